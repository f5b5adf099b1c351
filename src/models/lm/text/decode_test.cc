// Laws of a model's steps, in every family's shape: pieces, caches, neighbours and forks change nothing that a row can see.
#include "models/lm/text/decode.h"

#include <gmock/gmock.h>

#include "core/error.h"
#include "models/lm/testing.h"

namespace tessera::lm {
namespace {

using Ids = std::vector<int32_t>;

Ids some_ids(int64_t count, int64_t vocabulary = 36, uint64_t seed = 5) {
  Ids ids;
  Rng rng(seed);
  for (int64_t i = 0; i < count; ++i) ids.push_back(static_cast<int32_t>(rng.below(static_cast<uint64_t>(vocabulary))));
  return ids;
}

Tensor join(LmSteps& steps, const std::vector<Ids>& prompts) {
  std::vector<generate::Prompt> owned;
  for (const Ids& ids : prompts) owned.push_back({.ids = ids});
  std::vector<const generate::Prompt*> joining;
  for (const generate::Prompt& prompt : owned) joining.push_back(&prompt);
  return steps.join(joining);
}

/// Logits [V] after these ids by one plain pass.
Tensor plain(const DecoderLm& model, const Ids& ids) {
  return full_logits(model, at::tensor(std::vector<int64_t>(ids.begin(), ids.end())).unsqueeze(0))[0][-1];
}

/// A family, or one whose layers lie in blocks ("llama_in_q4_1").
class LmStepping : public ::testing::TestWithParam<std::string> {
 protected:
  const at::NoGradGuard no_grad;
  const size_t family_ends = std::min(GetParam().find("_in_"), GetParam().size());
  const std::string family = GetParam().substr(0, family_ends);
  const bool in_blocks = family_ends < GetParam().size();
  const DecoderLm model =
      in_blocks ? tiny_block_lm(family, GetParam().substr(family_ends + 4)) : tiny_lm(tiny_config(family));
};

std::vector<std::string> stepping_models() {
  std::vector<std::string> all = tiny_families();
  for (const std::string& family : tiny_families()) {
    all.push_back(family + "_in_q8_0");
    all.push_back(family + "_in_q4_1");
  }
  return all;
}

TEST_P(LmStepping, PromptsInPiecesAndSingleStepsEqualThePlainPass) {
  const Ids ids = some_ids(60);
  const double near = in_blocks ? 2e-3 : 2e-4;  // activations are rounded to 16 bits
  for (const int64_t prompt : {1, 5, 31, 32, 33, 50}) {
    LmSteps steps(model, {.block = 4, .chunk = 40});
    Tensor logits = join(steps, {Ids(ids.begin(), ids.begin() + prompt)});
    for (int64_t n = prompt; n < 60; ++n) {
      ASSERT_LT(furthest(logits[0], plain(model, Ids(ids.begin(), ids.begin() + n))), near) << prompt << " then " << n;
      logits = steps.next(std::span(ids).subspan(static_cast<size_t>(n), 1));
    }
  }
}

TEST_P(LmStepping, RowsOfUnlikeAgeHaveTheBitsThatTheyHaveAlone) {
  const std::vector<Ids> prompts = {some_ids(45, 36, 1), some_ids(3, 36, 2), some_ids(33, 36, 3), some_ids(20, 36, 4)};
  const auto alone = [&](size_t which) {
    LmSteps steps(model, {.block = 8, .chunk = 32});
    std::vector<Tensor> logits = {join(steps, {prompts[which]})};
    for (int32_t id = 0; id < 8; ++id) logits.push_back(steps.next(std::span(&id, 1)));
    return logits;
  };
  const auto a = alone(0), b = alone(1), c = alone(2), d = alone(3);
  LmSteps steps(model, {.block = 8, .chunk = 32});
  EXPECT_TRUE(join(steps, {prompts[0]}).equal(a[0]));
  EXPECT_TRUE(steps.next(Ids{0})[0].equal(a[1][0]));
  const Tensor joined = join(steps, {prompts[1], prompts[2]});
  EXPECT_TRUE(joined[0].equal(b[0][0]));
  EXPECT_TRUE(joined[1].equal(c[0][0]));
  Tensor logits = steps.next(Ids{1, 0, 0});
  EXPECT_TRUE(logits[0].equal(a[2][0]));
  EXPECT_TRUE(logits[1].equal(b[1][0]));
  EXPECT_TRUE(logits[2].equal(c[1][0]));
  EXPECT_TRUE(join(steps, {prompts[3]})[0].equal(d[0][0]));
  steps.keep(std::vector<size_t>{2, 0, 3});
  logits = steps.next(Ids{1, 2, 0});
  EXPECT_TRUE(logits[0].equal(c[2][0]));
  EXPECT_TRUE(logits[1].equal(a[3][0]));
  EXPECT_TRUE(logits[2].equal(d[1][0]));
}

TEST_P(LmStepping, SeveralIdsAtOnceHaveTheBitsOfOneByOneAndCanBeTakenBack) {
  const Ids prompt = some_ids(10), more = some_ids(6, 36, 9);
  LmSteps one(model, {.block = 4, .chunk = 16}), several(model, {.block = 4, .chunk = 16});
  join(one, {prompt, {1}}), join(several, {prompt, {1}});
  std::vector<Tensor> want;
  for (const int32_t id : more) want.push_back(one.next(Ids{id, 3})[0]);
  const Tensor got = several.verify({more, {}});
  ASSERT_EQ(got.size(0), 6);
  for (int64_t i = 0; i < 6; ++i) EXPECT_TRUE(got[i].equal(want[static_cast<size_t>(i)])) << i;
  several.rewind(0, 12);
  EXPECT_EQ(several.length(0), 12);
  EXPECT_EQ(several.length(1), 1);
  EXPECT_TRUE(several.verify({{more[2]}, {}})[0].equal(want[2]));
}

TEST_P(LmStepping, AForkGoesItsOwnWay) {
  const Ids prompt = some_ids(10);
  LmSteps steps(model, {.block = 4, .chunk = 16}), alone(model, {.block = 4, .chunk = 16});
  join(steps, {prompt}), join(alone, {prompt});
  steps.fork(0, 10);
  const Tensor both = steps.next(Ids{1, 2});
  EXPECT_TRUE(both[0].equal(alone.next(Ids{1})[0]));
  alone.rewind(0, 10);
  EXPECT_TRUE(both[1].equal(alone.next(Ids{2})[0]));
  EXPECT_TRUE(steps.next(Ids{5, 5})[1].equal(alone.next(Ids{5})[0]));
}

TEST_P(LmStepping, AKnownBeginningIsNotReadAgainAndChangesNoBit) {
  const Ids shared = some_ids(40), tail = some_ids(9, 36, 8);
  Ids whole = shared;
  whole.insert(whole.end(), tail.begin(), tail.end());
  LmSteps steps(model, {.block = 8, .chunk = 16}), alone(model, {.block = 8, .chunk = 16});
  join(steps, {shared});
  const int64_t before = steps.positions();
  EXPECT_TRUE(join(steps, {whole})[0].equal(join(alone, {whole})[0]));
  EXPECT_EQ(steps.recalled(), 32) << "whole chunks";
  EXPECT_EQ(steps.positions() - before, 49 - 32);
  steps.keep({});
  EXPECT_TRUE(join(steps, {whole})[0].equal(join(alone, {whole})[0])) << "also after its rows have left";
  EXPECT_EQ(steps.recalled(), 32 + 48);
}

TEST_P(LmStepping, EmbeddingsStandForTheirIds) {
  const Ids ids = some_ids(37);
  LmSteps words(model), embedded(model);
  const Tensor rows = model.embed(at::tensor(std::vector<int64_t>(ids.begin(), ids.end())).unsqueeze(0)).squeeze(0);
  const generate::Prompt prompt{.ids = {1, 2}, .embeddings = rows};
  const generate::Prompt* const joining[] = {&prompt};
  EXPECT_TRUE(embedded.join(joining).equal(join(words, {ids})));
  EXPECT_EQ(embedded.length(0), 37);
  EXPECT_TRUE(embedded.next(Ids{4}).equal(words.next(Ids{4})));
}

/// How far 8-bit storage of keys and values moves the logits, as a share of their length.
double eight_bits_move(const DecoderLm& model, const Ids& ids) {
  LmSteps exact(model), rounded(model, {.cache_int8 = true});
  const Tensor want = join(exact, {ids}), got = join(rounded, {ids});
  EXPECT_FALSE(got.equal(want));
  EXPECT_LT(rounded.cache().bytes() * 2, exact.cache().bytes());
  return ((got - want).norm() / want.norm()).item<double>();
}

TEST_P(LmStepping, AnEightBitCacheIsNearTheExactOneAndSmaller) {
  const Ids ids = some_ids(20);
  const double moved = eight_bits_move(model, ids);
  if (in_blocks) EXPECT_NEAR(moved, eight_bits_move(unpacked(model), ids), 0.01);
  else EXPECT_LT(moved, 0.05);
}

TEST_P(LmStepping, ACacheInBf16IsNearThatInFp32AndRowsHaveTheSameBitsInACrowd) {
  DecoderLm narrow = in_blocks ? tiny_block_lm(family, GetParam().substr(family_ends + 4)) : tiny_lm(model.config);
  const DecodeOptions in_bf16{.cache_bf16 = true, .block = 8, .chunk = 32};
  if (!in_blocks) {
    EXPECT_EQ(cache_format(narrow, in_bf16), at::kFloat) << "weights in fp32";
    for (Block& block : narrow.layers) block.mlp.gate_proj.weight = block.mlp.gate_proj.weight.to(at::kHalf);
  }
  EXPECT_EQ(cache_format(narrow, in_bf16), at::kBFloat16);
  EXPECT_EQ(cache_format(narrow, {}), at::kFloat);
  const Ids prompt = some_ids(41);
  LmSteps exact(narrow, {.block = 8, .chunk = 32}), alone(narrow, in_bf16), crowd(narrow, in_bf16);
  const Tensor wide = join(exact, {prompt}), want = join(alone, {prompt}),
               got = join(crowd, {some_ids(7, 36, 2), prompt, some_ids(12, 36, 3)});
  EXPECT_LT((want - wide).norm().item<double>(), 0.02 * wide.norm().item<double>());
  EXPECT_LT(alone.cache().bytes(), exact.cache().bytes());
  EXPECT_TRUE(got[1].equal(want[0]));
  EXPECT_TRUE(crowd.next(Ids{1, 2, 3})[1].equal(alone.next(Ids{2})[0]));
}

TEST_P(LmStepping, BrainFloatsHaveTheSameBitsInACrowd) {
  DecoderLm narrow = tiny_lm(model.config);
  for_each_tensor(narrow, [](const std::string&, Tensor& t) { t = t.to(at::kBFloat16); });
  LmSteps alone(narrow, {.block = 8, .chunk = 32}), crowd(narrow, {.block = 8, .chunk = 32});
  const Ids prompt = some_ids(41);
  const Tensor want = join(alone, {prompt}), got = join(crowd, {some_ids(7, 36, 2), prompt, some_ids(12, 36, 3)});
  EXPECT_TRUE(got[1].equal(want[0]));
  EXPECT_TRUE(crowd.next(Ids{1, 2, 3})[1].equal(alone.next(Ids{2})[0]));
}

INSTANTIATE_TEST_SUITE_P(All, LmStepping, ::testing::ValuesIn(stepping_models()),
                         [](const auto& info) { return info.param; });

/// A model with gated DeltaNets.
class LmStates : public ::testing::Test {
 protected:
  const at::NoGradGuard no_grad;
  const DecoderLm model = tiny_lm(tiny_config("qwen3_5_text"));
  Ids part(const Ids& ids, int64_t from, int64_t to) const { return {ids.begin() + from, ids.begin() + to}; }
};

TEST_F(LmStates, ARowTakenBackBehindWhatIsKeptIsReadAgain) {
  const Ids ids = some_ids(60), other = some_ids(5, 36, 9);
  for (const int64_t length : {58, 45, 37, 33, 32, 20, 5}) {
    LmSteps steps(model, {.block = 4, .chunk = 16});
    join(steps, {part(ids, 0, 50), {7}});
    for (int64_t n = 50; n < 60; ++n) steps.next(Ids{ids[static_cast<size_t>(n)], 1});
    steps.rewind(0, length);
    ASSERT_EQ(steps.length(0), length);
    ASSERT_EQ(steps.length(1), 11) << "its neighbour stays";
    Ids whole = part(ids, 0, length);
    whole.insert(whole.end(), other.begin(), other.end());
    const Tensor got = steps.verify({other, {}})[4];
    EXPECT_LT(furthest(got, plain(model, whole)), 2e-4) << length;
  }
}

TEST_F(LmStates, WhatIsTakenBackOverACutHasTheBitsOfTheStepsBefore) {
  const Ids prompt = some_ids(250), more = some_ids(12, 36, 3);
  LmConfig longer = model.config;
  longer.context = 512;
  const DecoderLm wide = tiny_lm(longer);
  LmSteps one(wide), several(wide);
  join(one, {prompt}), join(several, {prompt});
  std::vector<Tensor> want;
  for (const int32_t id : more) want.push_back(one.next(Ids{id})[0]);
  for (const int64_t kept : {2, 6, 9}) {  // before, at and behind position 256
    several.verify({more});
    several.rewind(0, 250 + kept);
    const Tensor got = several.verify({{more[static_cast<size_t>(kept)]}});
    EXPECT_TRUE(got[0].equal(want[static_cast<size_t>(kept)])) << kept;
    several.rewind(0, 250);
  }
}

TEST_F(LmStates, AForkOfAnEarlierPositionIsReadFromTheLastKeptOne) {
  const Ids ids = some_ids(40);
  LmSteps steps(model, {.block = 4, .chunk = 16});
  join(steps, {ids});
  steps.fork(0, 35);
  EXPECT_EQ(steps.length(1), 35);
  const Tensor both = steps.next(Ids{1, ids[35]});
  EXPECT_LT(furthest(both[1], plain(model, part(ids, 0, 36))), 2e-4);
}

TEST_F(LmStates, TheNextTurnGoesOnFromTheRowThatLeftOrFromItsLastKeptState) {
  const Ids first = some_ids(30), answer = some_ids(4, 36, 2);
  LmSteps steps(model, {.block = 4, .chunk = 16, .keep_last = true});
  join(steps, {first});
  for (const int32_t id : answer) steps.next(Ids{id});
  steps.keep({});
  Ids next = first;  // the answer is written otherwise in the next turn
  next.insert(next.end(), {answer[0], 35, 1, 2});
  EXPECT_LT(furthest(join(steps, {next})[0], plain(model, next)), 2e-4);
  EXPECT_EQ(steps.recalled(), 30) << "where the prompt ended";
}

TEST(LmSteps, RefusesIdsWithoutARowInTheEmbedding) {
  const DecoderLm model = tiny_lm(tiny_config());
  LmSteps steps(model);
  EXPECT_THAT(
      [&] {
        join(steps, {{1, 40}});
      },
      ::testing::ThrowsMessage<UserError>(::testing::HasSubstr("token id 40 has no row in the embedding")));
}

}  // namespace
}  // namespace tessera::lm
