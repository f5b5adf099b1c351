// What Liquid's objective teaches: which tokens of which sequences, and that runs are the same when resumed.
#include "models/liquid/objective.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <set>

#include "core/error.h"
#include "models/liquid/testing.h"
#include "train/loop.h"

namespace tessera::liquid {
namespace {

using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

/// Captioned pictures, a conversation and a text in turn.
class ThreeKinds final : public SampleSource {
 public:
  Sample at(uint64_t index) const override {
    const Image picture = speckled(16, 16, index % 6);
    if (index % 3 == 0) return {.picture = picture, .caption = "picture " + std::to_string(index % 6)};
    if (index % 3 == 2) return {.tokens = {97, 98, 99, 100, 256}};
    return {.messages = {{.role = "user", .content = "q?", .media = 1}, {.role = "assistant", .content = "yes"}},
            .media = {{.frames = {picture}, .clip = false, .source = {}}}};
  }
};

const ThreeKinds three_kinds;

std::unique_ptr<LiquidObjective> objective_of(const TinyLiquid& tiny, const LiquidTraining& training,
                                              const train::TuneConfig& tune = {}) {
  Bundle bundle = tiny.bundle;
  for_each_tensor(bundle.model, [](const std::string&, Tensor& t) { t = t.detach().clone(); });
  return std::make_unique<LiquidObjective>(
      LiquidObjective::Parts{.bundle = std::move(bundle),
                             .tokenizer = text::load_tokenizer(tiny.bundle.directory),
                             .tune = tune,
                             .training = training,
                             .measured = {three_kinds.at(0), three_kinds.at(1), three_kinds.at(2)},
                             .source = &three_kinds});
}

std::vector<int32_t> learned_of(const Prompter::Lesson& lesson) {
  std::vector<int32_t> ids;
  for (size_t i = 0; i < lesson.ids.size(); ++i) {
    if (lesson.learned[i] != 0) ids.push_back(lesson.ids[i]);
  }
  return ids;
}

TEST(LiquidLessons, CodesAreLearnedWhereAPictureIsDrawnAndWordsWhereItIsSeen) {
  const TinyLiquid tiny;
  const PictureTokens p = tiny.bundle.config.pictures;
  const Prompter prompter(p, *tiny.tokenizer);
  const std::vector<int64_t> codes{3, 0, 15};
  const auto code = [&](int64_t c) { return static_cast<int32_t>(p.first + c); };
  const auto begin = static_cast<int32_t>(p.begin), end = static_cast<int32_t>(p.end);

  const auto drawing = prompter.drawing_lesson("hi", " Draw it.", codes, false);
  EXPECT_EQ(learned_of(drawing), (std::vector<int32_t>{code(3), code(0), code(15), end, 256}));
  std::vector<int32_t> want = prompter.drawing("hi", " Draw it.");
  want.insert(want.end(), {code(3), code(0), code(15), end, 256});
  EXPECT_EQ(drawing.ids, want);
  EXPECT_EQ(drawing.ids.front(), data::testing::turn_begin_id);  // what the tokenizer begins texts with

  const auto bare = prompter.drawing_lesson("hi", "", codes, true);
  EXPECT_EQ(bare.ids, (std::vector<int32_t>{data::testing::turn_begin_id, static_cast<int32_t>(p.unconditional), begin,
                                            code(3), code(0), code(15), end, 256}));
  EXPECT_EQ(learned_of(bare), learned_of(drawing));

  EXPECT_EQ(learned_of(prompter.caption_lesson("hi", codes)), (std::vector<int32_t>{'h', 'i', 256}));
  const auto talk = prompter.talk_lesson(
      {{.role = "user", .content = "q", .media = 1}, {.role = "assistant", .content = "no"}}, {codes});
  EXPECT_EQ(talk.ids, (std::vector<int32_t>{data::testing::turn_begin_id, begin, code(3), code(0), code(15), end, 'q',
                                            'n', 'o', 256}));
  EXPECT_EQ(learned_of(talk), (std::vector<int32_t>{'n', 'o', 256}));
  EXPECT_THAT([&] { prompter.ids_of({16}); },
              ThrowsMessage<UserError>(HasSubstr("picture code 16 is out of range, want 0 to 15")));
}

TEST(LiquidLessons, TypedControlTokensStayText) {
  const TinyLiquid tiny;
  const Prompter prompter(tiny.bundle.config.pictures, *tiny.tokenizer);
  const auto ids = prompter.drawing("a<|im_end|>b");
  EXPECT_EQ(std::ranges::count(ids, data::testing::turn_end_id), 0);
}

TEST(LiquidObjective, TheLossIsTheMeanOverLearnedTokensOfEachSequenceByItself) {
  const TinyLiquid tiny;
  const at::NoGradGuard no_grad;
  const auto objective = objective_of(tiny, {.drawing = 1, .without_prompt = 0, .suffixes = false});
  const Prompter prompter(tiny.bundle.config.pictures, *tiny.tokenizer);
  const lm::DecoderLm& model = tiny.bundle.model;
  double nats = 0, learned = 0;
  const auto add = [&](const Prompter::Lesson& lesson) {
    const Tensor ids = at::tensor(std::vector<int64_t>(lesson.ids.begin(), lesson.ids.end()), at::kLong).unsqueeze(0);
    const Tensor logits =
        model.logits(model.forward(model.embed(ids), lm::positions_of(model, ids.size(1), {}, at::kCPU)));
    const Tensor log_p = logits.log_softmax(-1);
    for (size_t i = 1; i < lesson.ids.size(); ++i) {
      if (lesson.learned[i] == 0) continue;
      nats -= log_p[0][static_cast<int64_t>(i) - 1][lesson.ids[i]].item<double>(), learned += 1;
    }
  };
  const std::vector<Sample> batch{three_kinds.at(0), three_kinds.at(1), three_kinds.at(2)};
  add(prompter.drawing_lesson(batch[0].caption, drawing_suffix, codes_of(tiny.bundle.codec, {batch[0].picture}).front(),
                              false));
  add(prompter.talk_lesson(batch[1].messages, codes_of(tiny.bundle.codec, batch[1].media[0].frames)));
  add({.ids = batch[2].tokens, .learned = {1, 1, 1, 1, 1}});
  const train::Loss loss = objective->loss(batch, {});
  EXPECT_EQ(loss.weight, learned);
  EXPECT_NEAR(loss.value.item<double>(), nats / learned, 1e-4);
  const auto unpacked = objective_of(tiny, {.drawing = 1, .without_prompt = 0, .suffixes = false, .pack = false});
  EXPECT_NEAR(unpacked->loss(batch, {}).value.item<double>(), nats / learned, 1e-4);
  const auto measured = objective->evaluate();
  EXPECT_THAT(measured, ::testing::SizeIs(5));
  EXPECT_GT(measured.at("heldout_caption"), 0);
}

TEST(LiquidObjective, MaxZAddsTheSquareOfTheLargestLogit) {
  const TinyLiquid tiny;
  const at::NoGradGuard no_grad;
  const std::vector<Sample> batch{three_kinds.at(2)};
  const double plain = objective_of(tiny, {})->loss(batch, {}).value.item<double>();
  const lm::DecoderLm& model = tiny.bundle.model;
  const Tensor ids = at::tensor({97, 98, 99, 100}, at::kLong).unsqueeze(0);
  const Tensor logits = model.logits(model.forward(model.embed(ids), lm::positions_of(model, 4, {}, at::kCPU)));
  const double term = logits.amax(-1).square().mean().item<double>();
  EXPECT_NEAR(objective_of(tiny, {.max_z = 0.5})->loss(batch, {}).value.item<double>(), plain + 0.5 * term, 1e-3);
}

TEST(LiquidObjective, PicturesAreDrawnCaptionedAndLeftWithoutPromptByTheirShares) {
  const TinyLiquid tiny;
  const auto objective = objective_of(tiny, {.drawing = 0.5, .without_prompt = 0.5});
  const at::NoGradGuard no_grad;
  std::set<double> learned;
  for (uint64_t i = 0; i < 12; ++i)
    learned.insert(objective->loss({three_kinds.at(0)}, {.rng = Rng(i)}).metrics.at("learned_tokens"));
  EXPECT_EQ(learned, (std::set<double>{10, 18}));  // "picture 0" and its end, or 16 codes and two ends
}

TEST(LiquidObjective, RedrawnPicturesAreSeenWithOtherCodesAndDrawnWithTheirOwn) {
  const TinyLiquid tiny;
  const at::NoGradGuard no_grad;
  const auto plain = objective_of(tiny, {.drawing = 1}), redrawn = objective_of(tiny, {.drawing = 1, .redrawn = 1});
  const auto captions = objective_of(tiny, {.drawing = 0}),
             seen_again = objective_of(tiny, {.drawing = 0, .redrawn = 1});
  const auto loss = [](const auto& objective, uint64_t sample) {
    return objective->loss({three_kinds.at(sample)}, {.rng = Rng(3)}).value.template item<double>();
  };
  EXPECT_EQ(loss(plain, 0), loss(redrawn, 0));
  EXPECT_EQ(loss(plain, 2), loss(redrawn, 2));
  EXPECT_NE(loss(plain, 1), loss(redrawn, 1));
  EXPECT_NE(loss(captions, 0), loss(seen_again, 0));
  EXPECT_EQ(loss(redrawn, 1), loss(redrawn, 1)) << "by the step's own random numbers";
}

TEST(LiquidObjective, ARunLowersAllLossesAndIsTheSameWhenItWasStoppedOnTheWay) {
  const TinyLiquid tiny;
  const auto run = [&](const std::string& name, int64_t steps, bool resume) {
    const auto objective = objective_of(tiny, {.sample_prompts = {"red"}});
    train::TrainConfig config{.steps = steps, .batch = 6, .log_every = 5, .evaluate_every = 0, .checkpoint_every = 15};
    config.schedule = {.kind = "constant", .learning_rate = 3e-3, .warmup_steps = 1};
    const auto before = objective->evaluate();
    train::train(*objective, three_kinds, config, {.directory = tiny.folder / name, .resume = resume});
    const auto after = objective->evaluate();
    if (!resume && steps == 30) {
      for (const auto& [kind, loss] : before) EXPECT_LT(after.at(kind), loss) << kind;
    }
    return read_file(tiny.folder / name / "model/model.safetensors");
  };
  const std::string whole = run("whole", 30, false);
  run("parts", 15, false);
  EXPECT_EQ(run("parts", 30, true), whole);
  EXPECT_TRUE(std::filesystem::exists(tiny.folder / "whole/samples/step-0000030.png"));
  const auto model = load_model(tiny.folder / "whole/model", at::kCPU);
  EXPECT_NE(model->draws(), nullptr);
}

TEST(LiquidObjective, CodesOfTheFirstPicturesWithWordsAreSavedAsDrafts) {
  const TinyLiquid tiny;
  const auto objective = objective_of(tiny, {.drafts = 9});  // there are two: three_kinds.at(0) and at(3)
  objective->save_model(tiny.folder / "drafted", disk());
  const auto drafts = PictureDrafts::in(tiny.folder / "drafted", 16, 16);
  ASSERT_NE(drafts, nullptr);
  std::vector<std::vector<int32_t>> want;
  for (const uint64_t i : {0, 3}) {
    const std::vector<int64_t> codes = codes_of(tiny.bundle.codec, {three_kinds.at(i).picture}).front();
    want.emplace_back(codes.begin(), codes.end());
  }
  EXPECT_THAT(drafts->pictures(), ::testing::UnorderedElementsAreArray(want));
  objective_of(tiny, {})->save_model(tiny.folder / "plain", disk());
  EXPECT_EQ(PictureDrafts::in(tiny.folder / "plain", 16, 16), nullptr);
  EXPECT_THAT([&] { objective_of(tiny, {.drafts = -1}); }, ThrowsMessage<UserError>(HasSubstr("loss.drafts is -1")));
}

TEST(LiquidObjective, AdaptersAreMergedAndNewRowsLearnBesideThem) {
  const TinyLiquid tiny;
  const auto objective = objective_of(tiny, {}, {.what = "lora", .rank = 2, .also = {"embed_tokens"}});
  std::set<std::string> names;
  for (const auto& p : objective->parameters()) names.insert(p.name);
  EXPECT_TRUE(names.contains("model.embed_tokens.weight"));
  EXPECT_FALSE(names.contains("model.layers.0.mlp.up_proj.weight"));
  objective->save_model(tiny.folder / "tuned", disk());
  EXPECT_NO_THROW(load_model(tiny.folder / "tuned", at::kCPU));
}

TEST(LiquidObjective, BesideAdaptersOnlyTheNewRowsOfALanguageModelsVocabularyLearn) {
  const TinyLiquid tiny;
  lm::LmConfig config = lm::tiny_config("qwen2");
  config.vocabulary = data::testing::byte_vocabulary;
  config.context = 160;
  const lm::DecoderLm words = lm::tiny_lm(config);
  lm::save_lm(tiny.folder / "words", words, {.stored_as = StoredAs::f32});  // beside its tokenizer
  vq::save_vq(tiny.bundle.codec, tiny.folder / "codec", StoredAs::f32);
  train::Recipe recipe;
  recipe.loss = {{"stored", "f32"}};
  recipe.model = {{"from", (tiny.folder / "words").string()},
                  {"codec", (tiny.folder / "codec").string()},
                  {"rows_rate", 3.0},
                  {"tune", {{"what", "lora"}, {"rank", 2}}}};
  const train::Recipe written = recipe;
  const auto objective = make_liquid_objective(recipe, three_kinds, at::kCPU);
  const int64_t old = config.vocabulary;
  train::TrainConfig training{.steps = 3, .batch = 6, .evaluate_every = 0};
  train::train(*objective, three_kinds, training, {.directory = tiny.folder / "run"});
  const ModelDirectory tuned = read_model_directory(tiny.folder / "run/model");
  const Tensor before = words.embed_tokens.weight;
  const Tensor after = load_bundle(tuned, *tiny.tokenizer, {.dtype = "fp32"}).model.embed_tokens.weight;
  EXPECT_TRUE(after.narrow(0, 0, old).equal(before));
  EXPECT_FALSE(after[old].equal(after[old + 1]));
  for (const train::Parameter& p : objective->parameters()) {
    const bool rows = p.name.ends_with("embed_tokens.weight");
    EXPECT_EQ(p.first_row, rows ? old : 0) << p.name;
    EXPECT_EQ(p.lr_scale, rows ? 3.0 : 1.0) << p.name;
  }

  recipe = written;
  recipe.model["rows_rate"] = 0;
  EXPECT_THAT([&] { make_liquid_objective(recipe, three_kinds, at::kCPU); },
              ThrowsMessage<UserError>(HasSubstr("rows_rate is 0, want")));
}

TEST(LiquidObjective, SamplesThatTeachNothingAreRefused) {
  const TinyLiquid tiny;
  const auto objective = objective_of(tiny, {});
  EXPECT_THAT([&] { objective->prepare({.caption = "words alone"}); },
              ThrowsMessage<UserError>(HasSubstr("no picture")));
  EXPECT_THAT([&] { objective_of(tiny, {.drawing = 2}); }, ThrowsMessage<UserError>(HasSubstr("want shares")));
  EXPECT_THAT([&] { objective_of(tiny, {.length = 20}); },
              ThrowsMessage<UserError>(HasSubstr("no room for a picture")));
}

}  // namespace
}  // namespace tessera::liquid
