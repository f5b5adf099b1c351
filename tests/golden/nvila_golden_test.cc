// NVILA against its twin (tools/golden/nvila_twin.py): both checkpoint layouts from disk, tiles, features, prompts, logits.
#include <gtest/gtest.h>

#include "media/read_media.h"
#include "models/nvila/model_files.h"
#include "tests/golden/fixture.h"

namespace tessera::nvila {
namespace {

using golden::expect_close;
using golden::Fixture;

constexpr double tolerance = 1e-4;

/// Without alpha, which the twin drops as the reference does; the engine lays such pictures on white (docs/media.md).
Image image_of(const Tensor& pixels) {
  Image picture(pixels.size(1), pixels.size(0), 3);
  std::copy_n(pixels.slice(2, 0, 3).contiguous().const_data_ptr<uint8_t>(), picture.pixels.size(),
              picture.pixels.begin());
  return picture;
}

/// A model directory that the twin wrote, and what the twin answered.
struct Twin {
  explicit Twin(const std::string& layout)
      : fixture("nvila_" + layout), directory(Path(TESSERA_SOURCE_DIR) / "tests/golden/data" / ("nvila-" + layout)),
        model(load_weights(directory, at::kCPU)), tokenizer(text::load_tokenizer(tokenizer_directory(directory))),
        prompter(model.config, *tokenizer, tokenizer_directory(directory)) {}

  std::vector<Media> media(const std::string& name) const {
    std::vector<Media> all;
    for (const Tensor& pixels : fixture.list(name + ".media")) all.push_back({.frames = {image_of(pixels)}});
    if (name != "clip") return all;
    Media clip{.clip = true};
    for (const Media& frame : all) clip.frames.push_back(frame.frames.front());
    return {clip};
  }

  Assembled assembled(const std::vector<std::string>& names) const {
    const Json questions = fixture.config<Json>("questions");
    std::vector<PromptRow> rows;
    std::vector<Tensor> pixels;
    std::vector<MediaPlan> plans;
    for (const std::string& name : names) {
      const std::vector<Media> own = media(name);
      const std::vector<MediaPlan> own_plans = plans_of(model.config, own);
      rows.push_back(prompter.row({{"user", questions.at(name).get<std::string>(), std::ssize(own)}}, own_plans, true));
      for (size_t i = 0; i < own.size(); ++i) pixels.push_back(pixels_of(model.config, own[i], own_plans[i]));
      plans.insert(plans.end(), own_plans.begin(), own_plans.end());
    }
    return assemble(rows, pixels, plans, at::kCPU);
  }

  /// The ids as the twin lists them: -1 at a feature.
  static Tensor laid(const Assembled& batch) {
    const Tensor ids = batch.ids.clone();
    if (batch.positions.numel() > 0) ids.flatten().index_fill_(0, batch.positions, -1);
    return ids;
  }

  void expect_answers(const std::string& name) const {
    const at::NoGradGuard no_grad;
    const Assembled batch = assembled({name});
    const Tensor ids = laid(batch)[0];
    ASSERT_TRUE(ids.equal(fixture[name + ".ids"])) << name << ": other tokens\n" << ids << fixture[name + ".ids"];
    if (present(batch.pixels)) {
      const Tensor levels = (batch.pixels * 0.5 + 0.5) * 255;
      expect_close(levels.permute({0, 2, 3, 1}), fixture[name + ".tiles"].to(at::kFloat), 1.001, name + " tiles");
    }
    expect_close(model.embed(batch)[0], fixture[name + ".embeddings"], tolerance, name + " embeddings");
    const Tensor logits = model.logits(batch)[0];
    const Tensor& want = fixture[name + ".logits"];
    expect_close(logits.slice(0, logits.size(0) - want.size(0)), want, tolerance, name + " logits");
  }

  Fixture fixture;
  Path directory;
  NvilaModel model;
  std::unique_ptr<text::Tokenizer> tokenizer;
  Prompter prompter;
};

TEST(NvilaGolden, AFlatCheckpointGivesTheTwinsLogits) {
  const Twin twin("flat");
  EXPECT_EQ(twin.model.config.tiles.mode, "dynamic_s2");
  for (const char* name : {"one", "two", "clip", "words"}) twin.expect_answers(name);
}

TEST(NvilaGolden, ALegacyCheckpointGivesTheTwinsLogits) {
  const Twin twin("legacy");
  EXPECT_EQ(twin.model.config.projector, "mlp_downsample_3x3_fix");
  for (const char* name : {"one", "tall", "two", "clip"}) twin.expect_answers(name);
}

TEST(NvilaGolden, RowsOfABatchEqualEachAlone) {
  const at::NoGradGuard no_grad;
  const Twin twin("flat");
  const std::vector<std::string> names = {"words", "one", "two", "clip"};
  const Assembled batch = twin.assembled(names);
  ASSERT_TRUE(present(batch.pad));
  const Tensor logits = twin.model.logits(batch);
  for (size_t i = 0; i < names.size(); ++i) {
    const Tensor& want = twin.fixture[names[i] + ".logits"];
    expect_close(logits[static_cast<int64_t>(i)].slice(0, logits.size(1) - want.size(0)), want, tolerance,
                 names[i] + " in a batch");
  }
}

TEST(NvilaGolden, TowerFeaturesAndJoinedScalesEqualTheTwins) {
  const at::NoGradGuard no_grad;
  const Twin twin("flat");
  const Tensor pixels = normalised({image_of(twin.fixture["tower.tiles"][0])});
  expect_close(twin.model.vision_tower.forward(pixels), twin.fixture["tower.features"], tolerance, "tower");
  expect_close(twin.model.features(pixels), twin.fixture["tower.projected"], tolerance, "one picture, projected");
  const std::vector<Media> media = twin.media("one");
  const MediaPlan plan = plan_of(twin.model.config, media[0], true);
  const Tensor seen = twin.model.vision_tower.forward(pixels_of(twin.model.config, media[0], plan));
  expect_close(joined_scales(seen, twin.model.config.tiles, plan.grid), twin.fixture["one.joined"], tolerance,
               "scales");
}

TEST(NvilaGolden, ProjectorsOfEveryTypeEqualTheTwins) {
  const at::NoGradGuard no_grad;
  const Fixture fixture("nvila_parts");
  for (const std::string type : {"mlp_downsample", "mlp_downsample_2x2_fix", "mlp_downsample_3x3_fix", "mlp2x_gelu"}) {
    Projector projector(type, 6, 10);
    for (const NamedTensor& t : named_tensors(projector)) Tensor(t.tensor).copy_(fixture[type + ".weights." + t.name]);
    for (const std::string grid : {".4", ".7", ".9"})
      expect_close(projector.forward(fixture[type + grid + ".in"]), fixture[type + grid + ".out"], 1e-5, type + grid);
  }
}

TEST(NvilaGolden, TilesOfAThousandSizesEqualTheTwins) {
  const Fixture fixture("nvila_parts");
  const Tensor &sizes = fixture["sizes"], &dynamic = fixture["dynamic"], &joined = fixture["dynamic_s2"];
  ASSERT_EQ(sizes.size(0), 1000);
  for (int64_t i = 0; i < sizes.size(0); ++i) {
    const int64_t w = sizes[i][0].item<int64_t>(), h = sizes[i][1].item<int64_t>();
    const Grid lite = best_grid(w, h, 1, 12, 448), base = best_grid(w, h, 9, 12, 448);
    EXPECT_EQ(lite, (Grid{dynamic[i][0].item<int64_t>(), dynamic[i][1].item<int64_t>()})) << w << " x " << h;
    EXPECT_EQ(base, (Grid{joined[i][0].item<int64_t>(), joined[i][1].item<int64_t>()})) << w << " x " << h;
  }
}

TEST(NvilaGolden, SampledFramesEqualTheTwins) {
  const Fixture fixture("nvila_parts");
  const Tensor& pairs = fixture["frame_pairs"];
  const std::vector<Tensor> wanted = fixture.list("frames");
  ASSERT_EQ(static_cast<int64_t>(wanted.size()), pairs.size(0));
  for (size_t i = 0; i < wanted.size(); ++i) {
    const auto row = static_cast<int64_t>(i);
    const auto sampled = media::sampled_indexes(pairs[row][0].item<int64_t>(), pairs[row][1].item<int64_t>());
    const int64_t* want = wanted[i].const_data_ptr<int64_t>();
    EXPECT_EQ(sampled, std::vector<int64_t>(want, want + wanted[i].numel())) << pairs[row];
  }
}

}  // namespace
}  // namespace tessera::nvila
