// Liquid against its Python twin (tools/golden/liquid_twin.py): prompts, logits, greedy and sampled codes, in the released layout.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/error.h"
#include "core/json.h"
#include "models/liquid/loaded.h"
#include "models/registry.h"
#include "tests/golden/fixture.h"
#include "tests/support/scratch.h"

namespace tessera::liquid {
namespace {

using golden::expect_close;
using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

const Path golden_data = Path(TESSERA_SOURCE_DIR) / "tests/golden/data";

/// The twin's files as the release lies: Chameleon's codec in a folder of its own.
struct Release {
  tessera::testing::ScratchFolder scratch;
  Release() {
    std::filesystem::copy(golden_data / "liquid", scratch.path(), std::filesystem::copy_options::recursive);
    std::filesystem::copy(golden_data / "vq", scratch / "chameleon");
  }
  std::unique_ptr<LoadedModel> load() const { return load_model(scratch.path(), at::kCPU); }
};

std::vector<int32_t> ids_in(const Tensor& tensor) {
  const Tensor ids = tensor.to(at::kInt).contiguous();
  return {ids.const_data_ptr<int32_t>(), ids.const_data_ptr<int32_t>() + ids.numel()};
}

struct Twin {
  Release release;
  std::unique_ptr<LoadedModel> loaded = release.load();
  const LoadedLiquid& model = dynamic_cast<const LoadedLiquid&>(*loaded);
  golden::Fixture fixture{"liquid"};
  std::vector<std::string> prompts = fixture.config<std::vector<std::string>>("prompts");

  DrawnCodes draw(size_t prompt, const std::string& kind, int64_t window) const {
    CodePlan plan{.cfg = 7, .count = 24, .jacobi = {.window = window}};
    plan.sampling = {.temperature = kind == "greedy" ? 0 : 0.99, .top_k = 20, .top_p = 0.96};
    const Tensor numbers = fixture["exponentials." + std::to_string(prompt)];
    plan.sampling.exponentials = [numbers](uint64_t, size_t index) { return numbers[static_cast<int64_t>(index)]; };
    return draw_codes(model.bundle().model, model.prompter(), {model.prompter().drawing(prompts[prompt])}, plan);
  }
};

TEST(LiquidGolden, TheReleasedLayoutSaysWherePicturesAre) {
  const Twin twin;
  const PictureTokens want{
      .first = twin.fixture.config<int64_t>("first"), .codes = 48, .edge = 8, .begin = 7, .end = 8, .unconditional = 9};
  EXPECT_EQ(twin.model.bundle().config.pictures, want);
  EXPECT_TRUE(
      twin.model.bundle().model.config.gelu);  // hidden_act "gelu" without hidden_activation is Gemma's tanh form
  EXPECT_TRUE(twin.model.bundle().model.config.tied);
}

TEST(LiquidGolden, PromptsHaveTheTwinsIds) {
  const Twin twin;
  for (size_t i = 0; i < twin.prompts.size(); ++i)
    EXPECT_EQ(twin.model.prompter().drawing(twin.prompts[i]), ids_in(twin.fixture["prompt." + std::to_string(i)])) << i;
  EXPECT_EQ(twin.model.prompter().unconditional(), ids_in(twin.fixture["unconditional"]));
  const std::vector<int64_t> codes{5, 47};
  std::vector<int32_t> want = ids_in(twin.fixture["seeing.before"]);
  for (const int32_t id : twin.model.prompter().ids_of(codes)) want.push_back(id);
  for (const int32_t id : ids_in(twin.fixture["seeing.after"])) want.push_back(id);
  const std::string question = twin.fixture.config<std::vector<std::string>>("question").front();
  EXPECT_EQ(twin.model.prompter().seeing({{.role = "user", .content = question, .media = 1}}, {codes}), want);
}

TEST(LiquidGolden, LogitsOfBothHalvesEqualTheTwinsAtEveryStep) {
  const Twin twin;
  const generate::Prompt bare{.ids = twin.model.prompter().unconditional()};
  for (size_t i = 0; i < twin.prompts.size(); ++i) {
    const generate::Prompt prompt{.ids = twin.model.prompter().drawing(twin.prompts[i])};
    const generate::Prompt* const both[] = {&prompt, &bare};
    const Tensor want = twin.fixture["greedy.logits." + std::to_string(i)];
    const std::vector<int32_t> ids = ids_in(twin.fixture["greedy.ids." + std::to_string(i)]);
    lm::LmSteps steps(twin.model.bundle().model);
    Tensor logits = steps.join(both);
    for (size_t step = 0; step < ids.size(); ++step) {
      expect_close(logits, want[static_cast<int64_t>(step)], 1e-4, "logits of step " + std::to_string(step));
      logits = steps.next(std::vector<int32_t>{ids[step], ids[step]});
    }
  }
}

TEST(LiquidGolden, GreedyAndSampledCodesEqualTheTwinsForAnyWindow) {
  const Twin twin;
  const int64_t first = twin.model.bundle().config.pictures.first;
  for (const std::string kind : {"greedy", "sampled"}) {
    for (size_t i = 0; i < twin.prompts.size(); ++i) {
      std::vector<int64_t> want;
      for (const int32_t id : ids_in(twin.fixture[kind + ".ids." + std::to_string(i)])) want.push_back(id - first);
      for (const int64_t window : {1, 5, 24})
        EXPECT_EQ(twin.draw(i, kind, window).codes.front(), want) << kind << window;
    }
  }
}

TEST(LiquidGolden, AConvertedDirectoryDrawsTheSamePictures) {
  const Twin twin;
  const Path out = twin.release.scratch / "converted";
  convert_model(twin.release.scratch.path(), out, {.format = "f32"});
  const auto converted = load_model(out, at::kCPU);
  const DrawRequest request{.prompts = {"a red cat"}, .seed = 3};
  EXPECT_EQ(converted->draws()->draw(request), twin.model.draw(request));
  EXPECT_THAT([&] { convert_model(out, twin.release.scratch / "again", {.format = "f32"}); },
              ThrowsMessage<UserError>(HasSubstr("is a model directory already")));
}

TEST(LiquidGolden, ReleasedFilesThatDoNotBelongTogetherAreRefusedInOneLine) {
  const auto refusal = [](auto change, const std::string& message) {
    const Release release;
    change(release.scratch.path());
    EXPECT_THAT([&] { release.load(); }, ThrowsMessage<UserError>(HasSubstr(message)));
  };
  const auto rewrite = [](const Path& file, const std::string& from, const std::string& to) {
    std::string text = read_file(file);
    for (size_t at = text.find(from); at != std::string::npos; at = text.find(from, at + to.size()))
      text.replace(at, from.size(), to);
    write_file_atomically(file, text);
  };
  refusal([&](const Path& p) { rewrite(p / "config.json", "\"vocab_size\": 360", "\"vocab_size\": 312"); },
          "the rows of the codes are missing");
  refusal([&](const Path& p) { rewrite(p / "tokenizer.json", "<boi>", "<other>"); }, "neither <boi> nor <unused0>");
  refusal([](const Path& p) { std::filesystem::remove(p / "chameleon/vqgan.yaml"); }, "vqgan.yaml is missing");
  refusal(
      [&](const Path& p) {
        rewrite(p / "config.json", "\"max_position_embeddings\": 160", "\"max_position_embeddings\": 66");
      },
      "too short for one picture");
}

}  // namespace
}  // namespace tessera::liquid
