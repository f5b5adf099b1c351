// Codes by the one loop: what a picture depends on, and what it costs.
#include "models/liquid/draw.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <set>

#include <ATen/ops/randn.h>
#include <ATen/ops/tensor.h>

#include "core/error.h"
#include "models/liquid/testing.h"
#include "models/registry.h"

namespace tessera::liquid {
namespace {

using ::testing::HasSubstr;
using ::testing::ThrowsMessage;
using Codes = std::vector<std::vector<int64_t>>;

CodePlan plan_with(double cfg, uint64_t seed, int64_t window = 1) {
  return {.cfg = cfg,
          .sampling = {.temperature = 1, .top_k = 12, .top_p = 0.95, .seed = seed},
          .jacobi = {.window = window}};
}

struct Drawer {
  TinyLiquid tiny;
  Prompter prompter{tiny.bundle.config.pictures, *tiny.tokenizer};
  DrawnCodes draw(const std::vector<std::string>& texts, const CodePlan& plan, Codes* so_far = nullptr) const {
    std::vector<std::vector<int32_t>> prompts;
    for (const std::string& text : texts) prompts.push_back(prompter.drawing(text));
    return draw_codes(tiny.bundle.model, prompter, prompts, plan, so_far);
  }
};

TEST(LiquidDraw, EveryCodeIsOfTheCodebookAndAPictureHasItsNumberOfThem) {
  const Drawer drawer;
  for (uint64_t seed = 0; seed < 5; ++seed) {
    for (const auto& codes : drawer.draw({"a", "bc"}, plan_with(2, seed)).codes) {
      EXPECT_EQ(codes.size(), 16u);
      EXPECT_THAT(codes, ::testing::Each(::testing::AllOf(::testing::Ge(0), ::testing::Lt(16))));
    }
  }
}

TEST(LiquidDraw, APictureDependsOnItsPromptSeedAndNumberAloneWhateverIsDrawnBesideIt) {
  const Drawer drawer;
  const Codes together = drawer.draw({"red", "blue!", "red"}, plan_with(3, 7)).codes;
  EXPECT_NE(together[0], together[2]);  // the same prompt, another number
  for (size_t i = 0; i < 3; ++i) {
    CodePlan plan = plan_with(3, 7);
    plan.first_stream = i;
    EXPECT_EQ(drawer.draw({i == 1 ? "blue!" : "red"}, plan).codes.front(), together[i]) << i;
  }
  std::set<std::vector<int64_t>> different;
  for (uint64_t seed = 0; seed < 8; ++seed) different.insert(drawer.draw({"red"}, plan_with(3, seed)).codes.front());
  EXPECT_GT(different.size(), 2u);
}

TEST(LiquidDraw, GuessingAheadGivesTheSamePicturesInNoMorePasses) {
  const Drawer drawer;
  for (uint64_t seed = 0; seed < 4; ++seed) {
    const DrawnCodes plain = drawer.draw({"red", "blue!"}, plan_with(3, seed));
    EXPECT_EQ(plain.counts.passes, 16);
    for (const int64_t window : {2, 4, 16}) {
      const DrawnCodes guessed = drawer.draw({"red", "blue!"}, plan_with(3, seed, window));
      EXPECT_EQ(guessed.codes, plain.codes) << window;
      EXPECT_LE(guessed.counts.passes, plain.counts.passes);
    }
  }
}

TEST(LiquidDraw, DraftsGiveTheSamePicturesAndThoseTheyHoldInFewPasses) {
  const Drawer drawer;
  const Codes plain = drawer.draw({"red", "blue!"}, plan_with(3, 7)).codes;
  const auto narrow = [](const auto& codes) { return std::vector<int32_t>(codes.begin(), codes.end()); };
  const PictureDrafts seen({narrow(plain[0]), narrow(plain[1])});
  const PictureDrafts other({std::vector<int32_t>(plain[0].rbegin(), plain[0].rend())});
  for (const int64_t given : {0, 3}) {
    CodePlan plan = plan_with(3, 7, /*window=*/16);
    plan.given.assign(plain[0].begin(), plain[0].begin() + given);
    const Codes want = drawer
                           .draw({"red"},
                                 [&] {
                                   CodePlan one_by_one = plan;
                                   one_by_one.jacobi.window = 1;
                                   return one_by_one;
                                 }())
                           .codes;
    for (const PictureDrafts* drafts : {&seen, &other}) {
      plan.drafts = drafts;
      const DrawnCodes drawn = drawer.draw({"red"}, plan);
      EXPECT_EQ(drawn.codes, want) << given;
      if (drafts == &seen && given == 0) EXPECT_LE(drawn.counts.passes, 4);
    }
  }
  CodePlan both = plan_with(3, 7, 16);
  both.drafts = &seen;
  EXPECT_EQ(drawer.draw({"red", "blue!"}, both).codes, plain);
}

TEST(LiquidDraw, PicturesOfOnePromptReadItOnce) {
  const TinyLiquid tiny;
  const Prompter prompter(tiny.bundle.config.pictures, *tiny.tokenizer);
  const generate::Prompt prompt{.ids = prompter.drawing("a long prompt that is read once")};
  const std::vector<const generate::Prompt*> four(4, &prompt);
  PictureSteps steps(tiny.bundle.model, prompter.unconditional(), 3);
  steps.join(four);
  EXPECT_EQ(steps.rows(), 4u);
  EXPECT_EQ(steps.positions(), prompt.length() + std::ssize(prompter.unconditional()));
}

TEST(LiquidDraw, GuidanceMixesBothHalvesAndUpToOneThereIsNoSecondHalf) {
  const TinyLiquid tiny;
  const Prompter prompter(tiny.bundle.config.pictures, *tiny.tokenizer);
  const generate::Prompt prompt{.ids = prompter.drawing("red")}, bare{.ids = prompter.unconditional()};
  const generate::Prompt* const both[] = {&prompt, &bare};
  lm::LmSteps plain(tiny.bundle.model);
  const Tensor logits = plain.join(both);
  const std::vector<int32_t> id{static_cast<int32_t>(tiny.bundle.config.pictures.first) + 3};
  const Tensor next = plain.next(std::vector<int32_t>{id[0], id[0]});
  for (const double cfg : {2.5, 1.0, 0.0}) {
    PictureSteps steps(tiny.bundle.model, prompter.unconditional(), cfg);
    const auto want = [&](const Tensor& l) { return cfg > 1 ? l[1] + cfg * (l[0] - l[1]) : l[0]; };
    EXPECT_LT(lm::furthest(steps.join({both, 1})[0], want(logits)), 1e-5) << cfg;
    EXPECT_LT(lm::furthest(steps.next(id)[0], want(next)), 1e-5) << cfg;
    steps.rewind(0, prompt.length());
    EXPECT_LT(lm::furthest(steps.verify({id})[0], want(next)), 1e-4) << cfg;
  }
}

TEST(LiquidDraw, AHeadOfTheCodesAloneGivesTheSameLogits) {
  for (const char* family : {"qwen2", "llama"}) {  // tied and not
    const TinyLiquid tiny(family);
    const PictureTokens p = tiny.bundle.config.pictures;
    const Prompter prompter(p, *tiny.tokenizer);
    const generate::Prompt prompt{.ids = prompter.drawing("red")};
    const generate::Prompt* const one[] = {&prompt};
    const lm::DecoderLm codes = with_code_head(tiny.bundle.model, p);
    PictureSteps whole(tiny.bundle.model, prompter.unconditional(), 3), part(codes, prompter.unconditional(), 3);
    EXPECT_TRUE(at::equal(part.join(one), whole.join(one).narrow(1, p.first, p.codes))) << family;
    const std::vector<int32_t> id{static_cast<int32_t>(p.first)};
    EXPECT_TRUE(at::equal(part.next(id), whole.next(id).narrow(1, p.first, p.codes))) << family;
  }
}

TEST(LiquidDraw, GivenCodesStayAndTheOthersFollowThem) {
  const Drawer drawer;
  const std::vector<int64_t> whole = drawer.draw({"red"}, plan_with(3, 7)).codes.front();
  CodePlan plan = plan_with(3, 7);
  plan.given = {1, 2, 3, 4};
  const std::vector<int64_t> continued = drawer.draw({"red"}, plan).codes.front();
  EXPECT_EQ(continued.size(), 16u);
  EXPECT_EQ(std::vector<int64_t>(continued.begin(), continued.begin() + 4), plan.given);
  plan.sampling.temperature = 0;
  CodePlan greedy = plan;
  greedy.given = {};
  const std::vector<int64_t> first = drawer.draw({"red"}, greedy).codes.front();
  greedy.given.assign(first.begin(), first.begin() + 9);
  EXPECT_EQ(drawer.draw({"red"}, greedy).codes.front(), first);
}

TEST(LiquidDraw, ACallerSeesCodesComeAndCanEndIt) {
  const Drawer drawer;
  CodePlan plan = plan_with(3, 7);
  const Codes whole = drawer.draw({"red", "blue"}, plan).codes;
  Codes so_far;
  std::vector<int64_t> seen;
  plan.on_codes = [&](int64_t codes) {
    seen.push_back(codes);
    for (size_t i = 0; i < 2; ++i)
      EXPECT_TRUE(std::equal(so_far[i].begin(), so_far[i].end(), whole[i].begin())) << codes;
    return codes < 9;
  };
  const Codes drawn = drawer.draw({"red", "blue"}, plan, &so_far).codes;
  EXPECT_EQ(seen, (std::vector<int64_t>{1, 2, 3, 4, 5, 6, 7, 8, 9}));
  EXPECT_EQ(drawn[0].size(), 9u);
}

TEST(LiquidDraw, AContextTooShortForThePictureIsRefusedByHowMuch) {
  const Drawer drawer;
  EXPECT_THAT([&] { drawer.draw({std::string(160 - 16 - 44, 'x')}, plan_with(3, 1)); },
              ThrowsMessage<UserError>(HasSubstr("the context is 160 positions")));
}

TEST(CodeProbabilities, FiltersKeepTiesOfTopKAndTheCodeThatCrossesTopP) {
  const Tensor logits = at::tensor({2.0f, 1.0f, 1.0f, 0.0f, -1.0f});
  const auto kept = [&](const CodeSampling& s) {
    std::vector<int> kept;
    const Tensor p = code_probabilities(logits, s);
    EXPECT_NEAR(p.sum().item<double>(), 1, 1e-6);
    for (int i = 0; i < 5; ++i) {
      if (p[i].item<float>() > 0) kept.push_back(i);
    }
    return kept;
  };
  EXPECT_EQ(kept({.temperature = 1, .top_k = 2, .top_p = 1}), (std::vector<int>{0, 1, 2}));
  EXPECT_EQ(kept({.temperature = 1, .top_k = 0, .top_p = 1}), (std::vector<int>{0, 1, 2, 3, 4}));
  const double first = logits.softmax(0)[0].item<double>();
  EXPECT_EQ(kept({.temperature = 1, .top_k = 0, .top_p = first - 0.01}), (std::vector<int>{0}));
  EXPECT_EQ(kept({.temperature = 1, .top_k = 0, .top_p = first + 0.01}), (std::vector<int>{0, 1}));
  EXPECT_EQ(kept({.temperature = 1e-7, .top_k = 0, .top_p = 0.5}), (std::vector<int>{0}));
  EXPECT_THROW(code_probabilities(at::tensor({1.0f, NAN}), {}), FaultError);
}

/// The published program's own operations.
Tensor by_a_whole_sort(const Tensor& logits, double top_p) {
  const auto [sorted, order] = logits.sort(/*stable=*/true, /*dim=*/0, /*descending=*/true);
  Tensor removed = (sorted.softmax(0).cumsum(0) > top_p).roll(1, 0);
  removed[0] = false;
  return logits.masked_fill(removed.scatter(0, order, removed), -std::numeric_limits<float>::infinity()).softmax(0);
}

TEST(CodeProbabilities, TopPIsThatOfAWholeSortBitForBit) {
  at::manual_seed(3);
  for (const int64_t codes : {1, 2, 7, 16, 17, 130, 1024, 8192}) {
    for (const double spread : {0.0, 0.01, 1.0, 8.0}) {
      for (const double top_p : {0.001, 0.3, 0.5, 0.95, 0.999999, 1 - 1e-12}) {
        Tensor logits = (at::randn({codes}) * spread);
        for (const bool tied : {false, true}) {
          if (tied) logits = logits.round();
          const Tensor p = code_probabilities(logits, {.temperature = 1, .top_k = 0, .top_p = top_p});
          EXPECT_TRUE(p.equal(by_a_whole_sort(logits, top_p))) << codes << " codes, " << spread << ", top_p " << top_p;
        }
      }
    }
  }
}

TEST(CodeSequence, CodesAreDrawnByTheirProbabilities) {
  const PictureTokens pictures{.first = 2, .codes = 5, .edge = 1, .begin = 0, .end = 1, .unconditional = 7};
  const Tensor logits = at::tensor({9.0f, 9.0f, 0.5f, 1.5f, -0.5f, 0.0f, 1.0f, 9.0f});
  const Tensor p = code_probabilities(logits.narrow(0, 2, 5), {.temperature = 0.8, .top_k = 0, .top_p = 1});
  std::vector<double> counts(5, 0);
  constexpr int draws = 20'000;
  for (int i = 0; i < draws; ++i) {
    CodeSequence sequence({.ids = {0}}, {.stream = static_cast<uint64_t>(i)}, pictures,
                          {.temperature = 0.8, .top_k = 0, .top_p = 1, .seed = 4});
    counts[static_cast<size_t>(sequence.draw(logits.clone()) - 2)] += 1;
  }
  double chi = 0;
  for (int64_t i = 0; i < 5; ++i) {
    const double expected = p[i].item<double>() * draws;
    chi += std::pow(counts[static_cast<size_t>(i)] - expected, 2) / expected;
  }
  EXPECT_LT(chi, 18.5);  // of 4 degrees of freedom, exceeded by chance once in a thousand
}

}  // namespace
}  // namespace tessera::liquid
