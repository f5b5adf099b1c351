// Speculative Jacobi decoding against the plain loop, over toy models.
#include "generate/jacobi.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "generate/testing.h"

namespace tessera::generate {
namespace {

using testing::noise;
using testing::ToySteps;

struct Drawn {
  std::vector<std::vector<int32_t>> ids;
  std::vector<StopReason> reasons;
  bool operator==(const Drawn&) const = default;
};

Drawn drawn(ToySteps::Model model, const SequenceOptions& given, int64_t window, JacobiCounts* counts = nullptr,
            size_t rows = 3, int64_t settle = 0) {
  std::vector<std::unique_ptr<Sequence>> sequences;
  std::vector<Sequence*> all;
  for (size_t r = 0; r < rows; ++r) {
    SequenceOptions options = given;
    options.stream = r;
    options.max_new_tokens += static_cast<int64_t>(r);  // rows end apart
    sequences.push_back(std::make_unique<Sequence>(Prompt{.ids = {1, static_cast<int32_t>(r % 2)}}, options));
    all.push_back(sequences.back().get());
  }
  ToySteps steps(std::move(model));
  if (window == 0) run(steps, all);
  else {
    const JacobiCounts found = run_jacobi(steps, all, {.window = window, .settle = settle});
    if (counts != nullptr) *counts = found;
  }
  Drawn result;
  for (const auto& sequence : sequences) {
    result.ids.push_back(sequence->new_ids());
    result.reasons.push_back(sequence->reason());
  }
  return result;
}

/// Logits [V] that depend on the last id alone, and little: what pictures are like.
ToySteps::Model smooth(int64_t vocabulary) {
  return [=](const std::vector<int32_t>& tokens) {
    Tensor logits = at::empty({vocabulary}, at::kFloat);
    Rng rng(static_cast<uint64_t>(tokens.back()));
    for (int64_t i = 0; i < vocabulary; ++i)
      logits.mutable_data_ptr<float>()[i] = i == 4 ? 6.0f : static_cast<float>(rng.uniform(-1, 1));
    return logits;
  };
}

TEST(Jacobi, IdsAreThoseOfThePlainLoopForAnyWindowSeedAndSampling) {
  for (uint64_t seed = 0; seed < 20; ++seed) {
    for (const auto& model : {noise(12, 5), smooth(12)}) {
      SequenceOptions options{.sampling = {.temperature = 0.9, .top_k = 9, .seed = seed}, .max_new_tokens = 17};
      if (seed % 3 == 1) options.sampling.temperature = 0;
      if (seed % 3 == 2) options.sampling.repetition_penalty = 1.3;
      if (seed % 2 == 1) options.end_tokens = {3};
      if (seed % 5 == 4) options.context = 12;
      const Drawn plain = drawn(model, options, 0);
      for (const int64_t window : {1, 2, 5, 64})
        EXPECT_EQ(drawn(model, options, window), plain) << seed << " " << window;
    }
  }
}

TEST(Jacobi, WhatIsEasilyGuessedTakesFewPassesAndNoiseNeverMoreThanOneForAnId) {
  const SequenceOptions options{.sampling = {.temperature = 0.7, .seed = 3}, .max_new_tokens = 60};
  JacobiCounts counts;
  drawn(smooth(12), options, 16, &counts, 1);
  EXPECT_EQ(counts.ids, 60);
  EXPECT_LT(counts.passes * 3, counts.ids);
  drawn(noise(12, 5), options, 16, &counts, 1);
  EXPECT_LE(counts.passes, counts.ids);
}

TEST(Jacobi, DrawnIdsHaveTheModelsOwnDistribution) {
  constexpr int64_t vocabulary = 5, pictures = 4000;
  const auto model = noise(vocabulary, 8);
  const SequenceOptions options{.sampling = {.temperature = 1, .seed = 11}, .max_new_tokens = 2};
  std::map<std::vector<int32_t>, double> seen;
  for (int64_t i = 0; i < pictures; ++i) {
    SequenceOptions own = options;
    own.stream = static_cast<uint64_t>(i);
    Sequence sequence({.ids = {1, 0}}, own);
    Sequence* const row = &sequence;
    ToySteps steps(model);
    run_jacobi(steps, {&row, 1}, {.window = 8});
    seen[sequence.new_ids()] += 1;
  }
  double chi = 0;
  for (int32_t a = 0; a < vocabulary; ++a) {
    const double first = model({1, 0}).softmax(0)[a].item<double>();
    for (int32_t b = 0; b < vocabulary; ++b) {
      const double expected = first * model({1, 0, a}).softmax(0)[b].item<double>() * pictures;
      chi += (seen[{a, b}] - expected) * (seen[{a, b}] - expected) / expected;
    }
  }
  EXPECT_LT(chi, 51.2);  // of 24 degrees of freedom, exceeded by chance once in a thousand
}

TEST(Jacobi, SettlingBoundsThePassesAndCountsWhatWasNotDrawn) {
  const SequenceOptions options{.sampling = {.temperature = 1, .seed = 3}, .max_new_tokens = 65};
  JacobiCounts counts;
  drawn(noise(12, 5), options, 8, &counts, 1, /*settle=*/1);
  EXPECT_LE(counts.passes, 2 + 64 / 8);
  EXPECT_GT(counts.settled, 0);
}

TEST(Jacobi, ACallerEndsAllRowsBetweenPasses) {
  Sequence sequence({.ids = {1}}, {.max_new_tokens = 50});
  Sequence* const row = &sequence;
  ToySteps steps(noise(12, 5));
  run_jacobi(steps, {&row, 1}, {.window = 4}, [](int64_t ids) { return ids < 10; });
  EXPECT_EQ(sequence.reason(), StopReason::caller);
  EXPECT_LT(sequence.new_ids().size(), 15u);
}

TEST(Jacobi, WhatIsRecalledSavesPassesWhereItIsRightAndChangesNothingWhereItIsNot) {
  const SequenceOptions options{.sampling = {.temperature = 1, .seed = 3}, .max_new_tokens = 40};
  const std::vector<int32_t> plain = drawn(noise(12, 5), options, 0, nullptr, 1).ids.front();
  const auto passes_with = [&](const Recall& recall) {
    Sequence sequence({.ids = {1, 0}}, options);
    Sequence* const row = &sequence;
    ToySteps steps(noise(12, 5));
    const int64_t passes = run_jacobi(steps, {&row, 1}, {.window = 8}, {}, recall).passes;
    EXPECT_EQ(sequence.new_ids(), plain);
    return passes;
  };
  const auto rest_of = [&](const Sequence& sequence, int64_t most) {  // of `plain`
    const auto begin = plain.begin() + std::ssize(sequence.new_ids());
    return std::vector<int32_t>(begin, begin + std::min<ptrdiff_t>(most, plain.end() - begin));
  };
  EXPECT_EQ(passes_with(rest_of), 1 + 5);  // the prompt's, whose id is 1 of 40, and 39 ids in windows of 8
  const auto wrong = [&](const Sequence& sequence, int64_t most) {
    std::vector<int32_t> ids = rest_of(sequence, most);
    for (int32_t& id : ids) id = (id + 1) % 12;
    return ids;
  };
  EXPECT_EQ(passes_with(wrong), 40);
  EXPECT_LE(passes_with([](const Sequence&, int64_t) { return std::vector<int32_t>{}; }), 40);
}

TEST(Jacobi, OptionsOutOfRangeAreRefused) {
  ToySteps steps(noise(12, 5));
  EXPECT_THROW(run_jacobi(steps, {}, {.window = 0}), UserError);
  EXPECT_THROW(run_jacobi(steps, {}, {.settle = -1}), UserError);
}

}  // namespace
}  // namespace tessera::generate
