// What the published sampler and encoder compute on random weights in the released formats, number by number. A folder of such files has
// NAME.pth or NAME_weights/ (transformer), NAME-vae.pth, NAME-RUN.safetensors and NAME-encode-SHAPE.safetensors. tests/golden/data/released has
// small ones of a Python twin; TESSERA_RELEASED may name another folder, as of files that the published code made.
#include <gtest/gtest.h>

#include <cstdlib>

#include <ATen/ops/cat.h>
#include <ATen/ops/full.h>
#include <ATen/ops/upsample_nearest2d.h>

#include "core/error.h"
#include "core/json.h"
#include "models/infinity/draw.h"
#include "models/infinity/objective.h"
#include "models/infinity/released.h"

namespace tessera::infinity {
namespace {

struct Recorded {
  Path transformer, vae, file;
  std::string name() const { return file.stem().string(); }
};

/// The transformers of the folder by their names.
std::map<std::string, Path> transformers_of(const Path& folder) {
  constexpr std::string_view shards = "_weights";
  std::map<std::string, Path> found;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    const Path path = entry.path();
    const std::string name = path.filename().string();
    if (path.extension() == ".pth" && !name.ends_with("-vae.pth")) found.emplace(path.stem().string(), path);
    if (entry.is_directory() && name.ends_with(shards))
      found.insert_or_assign(name.substr(0, name.size() - shards.size()), path);
  }
  return found;
}

void add_recorded(std::vector<Recorded>& all, const Path& folder, bool encodes) {
  for (const auto& [name, transformer] : transformers_of(folder)) {
    for (const auto& entry : std::filesystem::directory_iterator(folder)) {
      const std::string file = entry.path().filename().string();
      if (!file.starts_with(name + "-") || entry.path().extension() != ".safetensors") continue;
      if (file.starts_with(name + "-encode-") == encodes)
        all.push_back({transformer, folder / (name + "-vae.pth"), entry.path()});
    }
  }
}

std::vector<Recorded> recorded(bool encodes) {
  std::vector<Recorded> all;
  add_recorded(all, Path(TESSERA_SOURCE_DIR) / "tests/golden/data/released", encodes);
  if (const char* folder = std::getenv("TESSERA_RELEASED")) add_recorded(all, folder, encodes);
  return all;
}

/// Both files of a case and what was recorded.
class PublishedCode : public ::testing::TestWithParam<Recorded> {
 protected:
  void SetUp() override {
    bundle = load_released(GetParam().transformer, GetParam().vae, "0.06M");
    run.emplace(GetParam().file);
  }
  bool has(const std::string& name) const {
    const StoredTensor* stored = run->find(name);
    return stored != nullptr && scalar_count(stored->shape) > 0;
  }
  Tensor tensor(const std::string& name) const {
    const StoredTensor* stored = run->find(name);
    if (stored == nullptr) throw UserError("no {}", name);
    return mapped_tensor(*stored);
  }
  Tensor tensor(const std::string& name, size_t k) const { return tensor(name + "." + std::to_string(k)); }
  /// A number, or a list of them.
  std::vector<double> numbers(const char* key, double otherwise) const {
    if (!run->metadata().contains(key)) return {otherwise};
    const Json value = Json::parse(run->metadata()[key].get<std::string>());
    if (value.is_array()) return value.get<std::vector<double>>();
    return {value.get<double>()};
  }
  nn::TextStates states(const std::string& name) const {
    const Tensor all = tensor(name).to(at::kFloat).unsqueeze(0);
    return {all, at::full({1}, all.size(1), at::kLong), false};
  }
  /// Of a picture [3, H, W], the pixels that were recorded.
  Tensor recorded_pixels(const Tensor& picture) const {
    const auto stride = static_cast<int64_t>(numbers("decoded_stride", 1).front());
    return picture.slice(1, 0, picture.size(1), stride).slice(2, 0, picture.size(2), stride);
  }
  static double furthest(const Tensor& a, const Tensor& b) { return (a - b).abs().max().item<double>(); }

  DrawPlan plan_of(const Schedule& schedule) const {
    const auto of_scales = [&](std::vector<double> list) {
      list.resize(schedule.scales.size(), list.back());
      return list;
    };
    DrawPlan plan{.schedule = schedule, .cfg = of_scales(numbers("cfg", 3)), .tau = of_scales(numbers("tau", 1))};
    plan.top_p = numbers("top_p", 0.97).front();
    if (numbers("top_k", 900).front() == 1) plan.tau.assign(schedule.scales.size(), 0);
    plan.guided_layers.clear();
    for (const double layer : numbers("cfg_insertion_layer", 0))
      plan.guided_layers.push_back(static_cast<int64_t>(layer));
    if (has("negative_states")) plan.negative = states("negative_states");
    for (size_t k = 0; k < schedule.scales.size(); ++k) plan.exponentials.push_back(tensor("exponentials", k));
    return plan;
  }

  Bundle bundle;
  std::optional<WeightSource> run;
};

class PublishedDrawing : public PublishedCode {};
class PublishedEncoding : public PublishedCode {
 protected:
  /// [3, H, W]; small files have a coarse one, of which each pixel is a square.
  Tensor image() const {
    if (has("image")) return tensor("image");
    const auto edge = [&](const char* key) { return static_cast<int64_t>(numbers(key, 0).front()); };
    return at::upsample_nearest2d(tensor("coarse_image").unsqueeze(0), {edge("height"), edge("width")})[0];
  }
};

TEST_P(PublishedDrawing, IsTheSameBitForBit) {
  const at::NoGradGuard no_grad;
  const bool patchify = bundle.model.config.patchify;
  const Schedule schedule = published_schedule(numbers("ratio", 1).front(), "0.06M");
  const DrawPlan plan = plan_of(schedule);
  const DrawnCodes drawn = draw_codes(bundle.model, states("text_states"), plan);
  for (size_t k = 0; k < schedule.scales.size(); ++k) {
    const Tensor bits = to_tokens(drawn.codes.bits[k].to(at::kFloat), patchify)[0];
    EXPECT_TRUE(bits.to(at::kByte).equal(tensor("bits", k))) << "scale " << k;
    const double tau = numbers("tau", 1).size() > 1 ? numbers("tau", 1)[k] : numbers("tau", 1).front();
    const double guidance = 2 * plan.cfg[k] - 1;  // multiplies what rounding makes of logits that are within 1e-4
    EXPECT_LT(furthest(drawn.logits[k][0] / tau, tensor("mixed", k).squeeze(0)), 1e-4 * guidance / tau)
        << "scale " << k;
  }
  EXPECT_LT(furthest(drawn.codes.sum[0], tensor("codes")), 1e-5);
}

TEST_P(PublishedDrawing, HasTheLogitsOfATeacherForcedPass) {
  const at::NoGradGuard no_grad;
  if (!has("teacher_logits")) GTEST_SKIP() << "none was recorded for this run";
  const Schedule schedule = published_schedule(numbers("ratio", 1).front(), "0.06M");
  std::vector<Tensor> features;
  for (size_t k = 1; k < schedule.scales.size(); ++k) features.push_back(tensor("input", k));
  const Tensor teacher =
      bundle.model.forward(at::cat(features).unsqueeze(0), bundle.model.condition(states("text_states")),
                           positions_of(bundle.model.config, schedule, at::kCPU))[0];
  EXPECT_LT(furthest(teacher, tensor("teacher_logits").view(teacher.sizes())), 1e-4);
}

TEST_P(PublishedDrawing, DecodesToTheSamePicture) {
  const at::NoGradGuard no_grad;
  const Tensor decoded = bundle.codec.decode(tensor("codes").unsqueeze(0))[0];
  EXPECT_LT(furthest(recorded_pixels(decoded), tensor("decoded")), 1e-4);
}

TEST_P(PublishedEncoding, FindsTheSameBits) {
  const at::NoGradGuard no_grad;
  const bool patchify = bundle.model.config.patchify;
  const Tensor features = bundle.codec.encode(image().unsqueeze(0));
  EXPECT_LT(furthest(features[0], tensor("features")), 1e-4);
  Schedule schedule;
  std::vector<ScaleShape> latent;
  for (size_t k = 0; run->find("bits." + std::to_string(k)) != nullptr; ++k) {
    const Tensor bits = tensor("bits", k);
    latent.push_back({bits.size(0), bits.size(1)});
    schedule.scales.push_back({bits.size(0) / (patchify ? 2 : 1), bits.size(1) / (patchify ? 2 : 1)});
  }
  const codec::ResidualCodes codes = codec::quantise(features, latent);
  int64_t near_zero = 0;
  for (size_t k = 0; k < latent.size(); ++k) {
    const Tensor unit = codes.residuals[k] / codes.residuals[k].norm(2, {1}, /*keepdim=*/true);
    const Tensor other = codes.bits[k][0].permute({1, 2, 0}).to(at::kByte).ne(tensor("bits", k));
    const Tensor close = (unit[0].permute({1, 2, 0}).abs() < 1e-5);
    EXPECT_EQ(other.logical_and(close.logical_not()).sum().item<int64_t>(), 0) << "scale " << k;
    near_zero += other.logical_and(close).sum().item<int64_t>();
  }
  EXPECT_LE(near_zero, 2) << "bits that differ where the residual is within 1e-5 of zero";
  EXPECT_LT(furthest(codes.sums.back()[0], tensor("codes")), 1e-5);
  EXPECT_LT(furthest(recorded_pixels(bundle.codec.decode(codes.sums.back())[0]), tensor("decoded")), 1e-4);

  const Lesson lesson = make_lesson(features, schedule, patchify, "off", {});
  EXPECT_LT(furthest(lesson.features[0], tensor("train_input").view(lesson.features[0].sizes())), 1e-5);
  for (size_t k = 0; k < latent.size(); ++k) {
    const Tensor labels = lesson.labels[0].slice(0, schedule.begin(k), schedule.begin(k + 1)).to(at::kByte);
    EXPECT_TRUE(labels.equal(tensor("train_labels", k).view(labels.sizes()))) << "scale " << k;
  }
}

TEST(PublishedSchedules, AndRotaryPositionsAreTheSameForEveryRatio) {
  const char* folder = std::getenv("TESSERA_RELEASED");
  if (folder == nullptr || !std::filesystem::exists(Path(folder) / "rope-index.json"))
    GTEST_SKIP() << "TESSERA_RELEASED names no folder with rope-index.json";
  const Json all = read_json_file(Path(folder) / "rope-index.json");
  EXPECT_EQ(all.size(), template_ratios().size());
  for (const auto& [ratio, want] : all.items()) {
    const Schedule schedule = published_schedule(std::stod(ratio), "1M");
    ASSERT_EQ(schedule.scales.size(), want["schedule"].size()) << ratio;
    for (size_t k = 0; k < schedule.scales.size(); ++k) {
      const ScaleShape scale = schedule.scales[k];
      EXPECT_EQ(Json({scale.height, scale.width}), want["schedule"][k]) << ratio;
      for (int64_t i = 0; i < scale.height; ++i)
        EXPECT_EQ(nn::rope_index(i, schedule.span.height, scale.height), want["rows"][k][i]) << ratio << " " << k;
      for (int64_t i = 0; i < scale.width; ++i)
        EXPECT_EQ(nn::rope_index(i, schedule.span.width, scale.width), want["cols"][k][i]) << ratio << " " << k;
    }
    for (const auto& [area, size] : want["pixels"].items())
      EXPECT_EQ(schedule_of_size({}, size[0], size[1], 16).scales, published_schedule(std::stod(ratio), area).scales);
  }
}

std::string name_of(const ::testing::TestParamInfo<Recorded>& info) {
  std::string name = info.param.name();
  std::ranges::replace(name, '-', '_');
  return name;
}

INSTANTIATE_TEST_SUITE_P(Recorded, PublishedDrawing, ::testing::ValuesIn(recorded(false)), name_of);
INSTANTIATE_TEST_SUITE_P(Recorded, PublishedEncoding, ::testing::ValuesIn(recorded(true)), name_of);

}  // namespace
}  // namespace tessera::infinity
