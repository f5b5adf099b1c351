// Both sides of the bench read the same files; nothing random is left to either.
#include "bench/workload.h"

#include "core/rng.h"
#include "tensor/weights.h"

namespace tessera::bench {

using namespace infinity;

namespace {
const std::vector<std::string> captions{
    "red apple",   "grinning face", "fire engine", "musical note",   "alarm clock", "snowman without snow",
    "sailboat",    "hot beverage",  "rocket",      "cherry blossom", "umbrella",    "open book",
    "soccer ball", "owl",           "guitar",      "slice of pizza"};

DrawPlan plan_of(const Schedule& schedule) {
  const size_t scales = schedule.scales.size();
  return {.schedule = schedule,
          .cfg = std::vector<double>(scales, 3.0),
          .tau = std::vector<double>(scales, 0.5),
          .seed = 1};
}
}  // namespace

void make_model(const Path& directory) {
  codec::CodecConfig codec_config{.name = "bench",
                                  .picture_size = 64,
                                  .patch = 2,
                                  .channels = 32,
                                  .multipliers = {1, 2, 4},
                                  .encoder_blocks = 1,
                                  .decoder_blocks = 2,
                                  .middle_blocks = 0,
                                  .norm_groups = 8,
                                  .bits = 32,
                                  .scales = {1, 2, 4, 8}};
  codec::Codec codec(codec_config);
  codec::initialise(codec, 1);
  InfinityConfig config;
  config.width = 160;
  config.depth = 4;
  config.heads = 5;
  config.hidden = 640;
  config.bits = 32;
  config.text_width = 128;
  config.text_length = 64;
  config.pool_heads = 4;
  config.scales = codec_config.scales;
  config.text_encoder = nn::ByteEncoderConfig{.width = 128, .depth = 2, .heads = 4, .hidden = 512};
  config.codec = fingerprint(codec);
  Infinity model(config);
  initialise(model, 1, {.adaptive = 1, .gate = 1, .head = 1});
  save_model(model, codec, {}, StoredAs::f32, directory);
}

void make_batch(const Path& model_directory, int64_t count, const Path& file) {
  const Bundle bundle = infinity::load_model(model_directory, at::kCPU);
  const Schedule schedule = schedule_for(bundle.model.config);
  const std::vector<ScaleShape> scales = schedule.latent_scales(bundle.model.config.patchify);
  const int64_t bits = bundle.codec.config.bits;
  at::manual_seed(3);
  std::vector<NamedTensor> tensors{{"latents", at::randn({count, bits, scales.back().height, scales.back().width})}};
  const std::vector<Tensor> flips = codec::random_flips(count, bits, scales, 30, Rng(4), at::kCPU);
  for (size_t k = 0; k < flips.size(); ++k) tensors.push_back({fmt::format("flips.{}", k), flips[k]});
  Tensor dropped = at::zeros({count}, at::kBool),
         prompts = at::zeros({count, 64}, at::kByte);  // texts end at the first 0
  for (int64_t i = 0; i < count; ++i) {
    dropped.mutable_data_ptr<bool>()[i] = i % 10 == 9;
    const std::string& caption = captions[static_cast<size_t>(i) % captions.size()];
    std::copy(caption.begin(), caption.end(), prompts.mutable_data_ptr<uint8_t>() + 64 * i);
  }
  tensors.push_back({"dropped", dropped});
  tensors.push_back({"prompts", prompts});
  save_tensors(file, tensors);
}

Workload::Workload(const Path& model, const Path& batch)
    : drawing_(infinity::load_model(model, at::kCPU)),
      in_bf16_(infinity::load_model(read_model_directory(model), {.dtype = "auto", .exact = false, .writable = false})),
      model_(std::move(infinity::load_model(model, at::kCPU).model)) {
  const std::map<std::string, Tensor> stored = load_tensors(batch);
  latents_ = stored.at("latents");
  dropped_ = stored.at("dropped");
  positions_ = positions_of(model_.config, schedule_for(model_.config), at::kCPU);
  weights_ = position_weights(positions_.schedule, at::kCPU);
  for (size_t k = 0; k < positions_.schedule.scales.size(); ++k)
    flips_.push_back(stored.at(fmt::format("flips.{}", k)));
  const Tensor& prompts = stored.at("prompts");
  for (int64_t i = 0; i < prompts.size(0); ++i)
    prompts_.emplace_back(reinterpret_cast<const char*>(prompts[i].const_data_ptr<uint8_t>()));
}

void Workload::draw(const std::string& prompt, int64_t count, bool cached, bool exact) const {
  DrawRequest request;
  request.prompts.assign(static_cast<size_t>(count), prompt);
  request.seed = 1;
  request.cfg = {3.0};
  request.tau = {0.5};
  request.top_p = 1.0;
  request.use_cache = cached;
  (exact ? drawing_ : in_bf16_).draw(request);
}

void Workload::next_scale(const std::string& prompt) const {
  const at::NoGradGuard no_grad;
  const Infinity& model = drawing_.bundle().model;
  draw_codes(model, model.encode({prompt}), plan_of(schedule_for(model.config)));
}

void Workload::raster(const std::string& prompt, int64_t tokens) {
  const at::NoGradGuard no_grad;
  if (!raster_) {
    InfinityConfig config = drawing_.bundle().model.config;
    config.levels = std::max(config.levels, tokens);
    config.scales.clear();
    raster_.emplace(config);
    initialise(*raster_, 2, {.adaptive = 1, .gate = 1, .head = 1});
  }
  Schedule schedule{.scales = std::vector<ScaleShape>(static_cast<size_t>(tokens)), .span = {1, 1}};
  draw_codes(*raster_, raster_->encode({prompt}), plan_of(schedule));
}

double Workload::loss(bool step) {
  if (step && !optimizer_) {
    std::vector<train::Parameter> parameters;
    for_each_tensor(model_, [&](const std::string& name, Tensor& t) {
      if (!is_constant(name)) parameters.push_back({.name = name, .tensor = t});
    });
    optimizer_.emplace(std::move(parameters), train::OptimizerConfig{});
  }
  Lesson lesson;
  {
    const at::NoGradGuard no_grad;
    lesson = make_lesson(latents_, positions_.schedule, model_.config.patchify, "requantise", flips_);
  }
  const at::AutoGradMode gradients(step);
  const Condition condition = model_.condition(model_.without_prompt(model_.encode(prompts_), dropped_));
  const Graded graded =
      grade(model_.forward(lesson.features, condition, positions_), lesson.labels, weights_, model_.config);
  if (step) {
    graded.loss.backward();
    optimizer_->step(1e-6);
  }
  return graded.loss.item<double>();
}

}  // namespace tessera::bench
