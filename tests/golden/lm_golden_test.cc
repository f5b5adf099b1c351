// Decoder language models against transformers (tools/golden/lm_twin.py): logits, greedy tokens, padded rows,
// gradients and ten losses, from directories as transformers writes them.
#include <gtest/gtest.h>

#include "models/lm/architecture/model_files.h"
#include "models/lm/text/decode.h"
#include "tests/golden/fixture.h"
#include "train/optimizer.h"

namespace tessera::lm {
namespace {

using golden::expect_close;
using golden::Fixture;

struct Twin {
  std::string family;
  Fixture fixture{"lm/" + family + "/expected"};
  DecoderLm model =
      load_lm(Path(TESSERA_SOURCE_DIR) / "tests/golden/data/lm" / family, {.dtype = "fp32", .writable = true});

  explicit Twin(std::string name) : family(std::move(name)) {}
  /// A gated DeltaNet's norm makes what is read as large as anything, also where next to nothing is; there fp32 is further from the
  /// references' fp64, in the reference's own program too.
  double tolerance() const { return model.config.linear ? 5e-4 : 1e-4; }
  Tensor logits(const Tensor& ids, const Tensor& pad = {}) const {
    return model.logits(model.forward(model.embed(ids), positions_of(model, ids.size(1), pad, at::kCPU)));
  }
};

class LmGolden : public ::testing::TestWithParam<const char*> {};

TEST_P(LmGolden, LogitsEqualTheReferences) {
  const at::NoGradGuard no_grad;
  const Twin twin(GetParam());
  expect_close(twin.logits(twin.fixture["ids"]), twin.fixture["logits"], twin.tolerance(), "logits");
}

TEST_P(LmGolden, SixtyFourGreedyTokensEqualTheReferencesThroughTheCache) {
  const at::NoGradGuard no_grad;
  const Twin twin(GetParam());
  const Tensor& ids = twin.fixture["ids"];
  const int64_t prompt = twin.fixture["prompt"].item<int64_t>();
  LmSteps steps(twin.model);
  const auto next = [&](const Tensor& fed) {
    std::vector<int32_t> words;
    for (int64_t i = 0; i < fed.size(1); ++i) words.push_back(static_cast<int32_t>(fed[0][i].item<int64_t>()));
    const generate::Prompt prompt_of{.ids = words};
    const generate::Prompt* const joining[] = {&prompt_of};
    return (steps.rows() == 0 ? steps.join(joining) : steps.next(words)).argmax(-1).item<int64_t>();
  };
  Tensor fed = ids.slice(1, 0, prompt);
  int undecided = 0;  // steps whose two best logits are closer than rounding
  for (int64_t step = 0; step < 64; ++step) {
    const int64_t token = next(fed), want = ids[0][prompt + step].item<int64_t>();
    if (twin.fixture["margins"].flatten()[step].item<double>() < 1e-5) ++undecided;
    else EXPECT_EQ(token, want) << "step " << step;
    fed = ids.slice(1, prompt + step, prompt + step + 1);
  }
  EXPECT_EQ(undecided, 0) << "the fixtures have none";
}

TEST_P(LmGolden, RowsPaddedOnTheLeftEqualTheReferences) {
  const at::NoGradGuard no_grad;
  const Twin twin(GetParam());
  const Tensor &ids = twin.fixture["padded.ids"], &pad = twin.fixture["padded.pad"];
  const Tensor got = twin.logits(ids, pad);
  for (int64_t row = 0; row < ids.size(0); ++row) {
    const int64_t begin = pad[row].item<int64_t>();
    expect_close(got[row].slice(0, begin), twin.fixture["padded.logits"][row].slice(0, begin), twin.tolerance(),
                 "row " + std::to_string(row));
  }
}

INSTANTIATE_TEST_SUITE_P(All, LmGolden,
                         ::testing::Values("qwen2", "llama", "gemma", "gemma2", "olmo2", "qwen3", "mistral", "smollm3",
                                           "gemma3_text", "olmo3", "phi3", "qwen3_5_text", "qwen3_5"),
                         [](const auto& info) { return std::string(info.param); });

class LmGoldenLong : public ::testing::TestWithParam<const char*> {};

TEST_P(LmGoldenLong, TextsOfSeveralChunksEqualTheReferencesInOnePassAndInPieces) {
  const at::NoGradGuard no_grad;
  const Twin twin(GetParam());
  const Tensor &ids = twin.fixture["long.ids"], &want = twin.fixture["long.logits"];
  expect_close(twin.logits(ids), want, twin.tolerance(), "logits");
  std::vector<int32_t> all(ids.const_data_ptr<int64_t>(), ids.const_data_ptr<int64_t>() + ids.numel());
  for (const int64_t prompt : {20, 40, 64, 65, 128, 140}) {  // by steps, in one chunk, in several
    LmSteps steps(twin.model);
    const generate::Prompt begin{.ids = {all.begin(), all.begin() + prompt}};
    const generate::Prompt* const joining[] = {&begin};
    expect_close(steps.join(joining)[0], want[0][prompt - 1], twin.tolerance(), "prompt of " + std::to_string(prompt));
    const Tensor rest = steps.verify({{all.begin() + prompt, all.end() - 1}});
    expect_close(rest, want[0].slice(0, prompt, 149), twin.tolerance(), "after " + std::to_string(prompt));
    expect_close(steps.next(std::span(all).last(1))[0], want[0][149], twin.tolerance(), "last");
  }
}

INSTANTIATE_TEST_SUITE_P(All, LmGoldenLong, ::testing::Values("qwen3_5_text", "qwen3_5"),
                         [](const auto& info) { return std::string(info.param); });

/// The loss that the twin computes on its padded rows, taken as whole ones.
struct Lesson {
  Twin twin;
  std::vector<train::Parameter> parameters;

  explicit Lesson(const std::string& family) : twin(family) {
    for_each_tensor(twin.model, [&](const std::string& name, Tensor& t) {
      parameters.push_back({.name = name, .tensor = t.requires_grad_(true), .decay = t.dim() > 1});
    });
  }
  Tensor loss() const {
    const Tensor& ids = twin.fixture["padded.ids"];
    const Tensor logits = twin.logits(ids).slice(1, 0, ids.size(1) - 1);
    return at::cross_entropy_loss(logits.flatten(0, 1), ids.slice(1, 1).flatten());
  }
};

class LmGoldenGradients : public ::testing::TestWithParam<const char*> {};

TEST_P(LmGoldenGradients, LossAndGradientsEqualTheReferences) {
  const Lesson lesson(GetParam());
  const Tensor loss = lesson.loss();
  expect_close(loss, lesson.twin.fixture["loss"], 1e-4, "loss");
  loss.backward();
  lesson.twin.fixture.expect_gradients(lesson.parameters, 1e-4);
}

INSTANTIATE_TEST_SUITE_P(All, LmGoldenGradients, ::testing::Values("gemma2", "qwen3_5_text"),
                         [](const auto& info) { return std::string(info.param); });

TEST(LmGoldenTraining, TenTrainingLossesEqualTheReferences) {
  const Lesson lesson("gemma2");
  train::AdamW optimizer(lesson.parameters, {.beta1 = 0.9, .beta2 = 0.97, .weight_decay = 0.05, .clip = 5});
  std::vector<float> losses;
  for (int step = 0; step < 10; ++step) {
    const Tensor loss = lesson.loss();
    losses.push_back(loss.item<float>());
    loss.backward();
    optimizer.step(1e-3);
  }
  expect_close(at::tensor(losses), lesson.twin.fixture["losses"], 1e-4, "losses");
}

}  // namespace
}  // namespace tessera::lm
