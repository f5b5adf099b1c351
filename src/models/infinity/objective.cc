// One teacher-forced step: latents -> flipped sums and labels -> logits -> weighted binary cross entropy.
#include "models/infinity/objective.h"

#include <ATen/ops/arange.h>
#include <ATen/ops/binary_cross_entropy_with_logits.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/cross_entropy_loss.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/tensor.h>

#include <cmath>
#include <set>

#include <fmt/ranges.h>

#include "core/error.h"
#include "core/files.h"
#include "core/json.h"
#include "core/text_file.h"
#include "media/compose.h"
#include "media/png.h"
#include "models/infinity/draw.h"
#include "nn/layers/peft.h"
#include "tensor/build.h"

namespace tessera::infinity {

namespace {

constexpr size_t most_states = 4096;  // captions whose states are kept; some 160 KB each where they have 20 tokens

/// The sums of codes after each scale, at the size of the last.
std::vector<Tensor> sums_of(const std::vector<Tensor>& bits, ScaleShape last) {
  std::vector<Tensor> sums;
  for (const Tensor& each : bits) {
    const Tensor grown = codec::grow(codec::bits_to_codes(each), last);
    sums.push_back(sums.empty() ? grown : sums.back() + grown);
  }
  return sums;
}
}  // namespace

Lesson lesson_of_bits(const std::vector<Tensor>& bits, const Schedule& schedule, bool patchify) {
  return {forced_features(sums_of(bits, schedule.latent_scales(patchify).back()), schedule, patchify),
          all_tokens(bits, patchify)};
}

Lesson make_lesson(const Tensor& latents, const Schedule& schedule, bool patchify, std::string_view correction,
                   const std::vector<Tensor>& flips) {
  const std::vector<ScaleShape> scales = schedule.latent_scales(patchify);
  const bool corrects_itself = correction == "requantise";
  const codec::ResidualCodes codes = codec::quantise(latents, scales, corrects_itself ? flips : std::vector<Tensor>());
  std::vector<Tensor> sums = codes.sums;
  if (correction == "flips") {
    std::vector<Tensor> seen;
    for (size_t k = 0; k < scales.size(); ++k) seen.push_back(codes.bits[k].logical_xor(flips[k]));
    sums = sums_of(seen, scales.back());
  }
  return {forced_features(sums, schedule, patchify), all_tokens(codes.bits, patchify)};
}

Tensor position_weights(const Schedule& schedule, at::Device device) {
  std::vector<float> weights;
  double total = 0;
  const auto last = static_cast<double>(schedule.scales.back().area());
  for (const ScaleShape& scale : schedule.scales) {
    const double weight = std::sqrt(last / static_cast<double>(scale.area()));
    weights.insert(weights.end(), static_cast<size_t>(scale.area()), static_cast<float>(weight));
    total += weight * static_cast<double>(scale.area());
  }
  return (at::tensor(weights) / total).to(device);
}

Graded grade(const Tensor& logits, const Tensor& labels, const Tensor& weights, const InfinityConfig& config) {
  const auto bits = static_cast<double>(config.bits_per_token());
  if (config.head == "index") {
    const Tensor nats =
        at::cross_entropy_loss(logits.transpose(1, 2), codewords(labels), {}, at::Reduction::None);  // [B, L]
    const Tensor drawn = logits.detach().argmax(-1).unsqueeze(-1);
    const Tensor drawn_bits =
        drawn.bitwise_right_shift(at::arange(labels.size(-1), drawn.options())).bitwise_and(1).to(at::kBool);
    return {(nats.mean(0) * weights).sum() / bits, (drawn_bits == labels).to(at::kFloat).mean(at::IntArrayRef({0, 2})),
            nats.detach().mean()};
  }
  const Tensor difference =
      logits.select(-1, 1) - logits.select(-1, 0);  // cross entropy of two classes is logistic in it
  const Tensor nats =
      at::binary_cross_entropy_with_logits(difference, labels.to(at::kFloat), {}, {}, at::Reduction::None);
  const Tensor per_position = nats.mean(at::IntArrayRef({0, 2}));  // [L]
  const Tensor correct = ((difference.detach() > 0) == labels).to(at::kFloat).mean(at::IntArrayRef({0, 2}));
  return {(per_position * weights).sum(), correct, per_position.detach().mean() * bits};
}

bool takes_weight_decay(std::string_view name, const Tensor& t) {
  if (t.dim() < 2) return false;
  for (const std::string_view exempt :
       {"cfg_uncond", "pos_start", "lvl_embed", "ada_gss", "scale_mul", "text_proj_for_sos.ca.mat_q",
        "text_encoder.embedding", "text_encoder.position"}) {
    if (name.find(exempt) != std::string_view::npos) return false;
  }
  return true;
}

InfinityObjective::InfinityObjective(Infinity model, codec::Codec codec, InfinityTraining training,
                                     std::vector<Sample> fixed, at::Device device, InfinityStart start)
    : model_(std::move(model)), codec_(std::move(codec)), training_(std::move(training)), fixed_(std::move(fixed)),
      device_(device), start_(std::move(start)) {
  train::validate(start_.tune);
  if (training_.correction != "off" && training_.correction != "flips" && training_.correction != "requantise") {
    throw UserError("[infinity] correction is '{}', want off, flips or requantise", training_.correction);
  }
  if (training_.flip_percent < 0 || training_.flip_percent > 100) {
    throw UserError("[infinity] flip_percent is {}, want 0 to 100", training_.flip_percent);
  }
  if (!(training_.drop_prompt >= 0 && training_.drop_prompt <= 1)) {
    throw UserError("[infinity] drop_prompt is {}, want 0 to 1", training_.drop_prompt);
  }
  for (const std::string& prompt : training_.sample_prompts) {
    if (!can_be_drawn(prompt))
      throw UserError("[infinity] sample prompt '{}' has {} bytes, want 1 to {}", prompt, prompt.size(),
                      model_.config.text_length - 1);
  }
  if (!start_.defaults)
    start_.defaults = DrawDefaults{.cfg = {training_.cfg}, .tau = {training_.tau}, .top_p = training_.top_p};
  require_same_codes(model_.config, codec_.config);
  model_.config.codec = fingerprint(codec_);
  positions_ = positions_of(model_.config, schedule_for(model_.config, 1, start_.pixels), device_);
  weights_ = position_weights(positions_.schedule, device_);
}

/// Drawing refuses what a text encoder inside the model would cut off.
bool InfinityObjective::can_be_drawn(std::string_view prompt) const {
  return !is_blank(prompt) && (start_.text || std::ssize(prompt) < model_.config.text_length);
}

nn::TextStates InfinityObjective::states_of(const std::vector<std::string>& captions) {
  if (!start_.text) return model_.encode(captions);
  std::set<std::string> unknown;
  if (states_.size() + captions.size() > most_states) states_.clear();
  for (const std::string& caption : captions) {
    if (!states_.contains(caption)) unknown.insert(caption);
  }
  const std::vector<std::string> list(unknown.begin(), unknown.end());
  if (!list.empty()) {
    const std::vector<Tensor> encoded = start_.text->encode(list);
    for (size_t i = 0; i < list.size(); ++i) states_.emplace(list[i], encoded[i]);
  }
  std::vector<Tensor> states;
  for (const std::string& caption : captions) states.push_back(states_.at(caption));
  return batch_of(states, 0, states.size());
}

std::vector<train::Parameter> InfinityObjective::parameters() {
  if (start_.tune.what != "full") return train::tuned_parameters(model_, start_.tune, start_.seed);
  std::vector<train::Parameter> all;
  for_each_tensor(model_, [&](const std::string& name, Tensor& t) {
    if (is_constant(name)) return;
    t.requires_grad_(true);
    all.push_back({.name = name, .tensor = t, .decay = takes_weight_decay(name, t)});
  });
  return all;
}

std::unique_ptr<train::Prepared> InfinityObjective::prepare(Sample sample) const {
  auto captioned = std::make_unique<Captioned>();
  captioned->picture = codec::pictures_to_tensor({sample.picture}, at::kCPU);
  captioned->caption = std::move(sample.caption);
  captioned->picture_id = sample.picture_id;
  return captioned;
}

Tensor InfinityObjective::latents_of(const std::vector<const Captioned*>& batch) {
  std::vector<Tensor> unknown;
  std::vector<size_t> missing;
  std::vector<Tensor> latents(batch.size());
  for (size_t i = 0; i < batch.size(); ++i) {
    const auto known = batch[i]->picture_id ? latents_.find(*batch[i]->picture_id) : latents_.end();
    if (known != latents_.end()) {
      latents[i] = known->second;
    } else {
      unknown.push_back(batch[i]->picture);
      missing.push_back(i);
    }
  }
  if (!unknown.empty()) {
    const Tensor encoded = codec_.encode(at::cat(unknown).to(device_));  // [n, d, H, W]
    for (size_t n = 0; n < missing.size(); ++n) {
      latents[missing[n]] = encoded[static_cast<int64_t>(n)].clone();
      const auto& id = batch[missing[n]]->picture_id;
      if (id && std::ssize(latents_) < training_.cached_pictures) latents_.emplace(*id, latents[missing[n]]);
    }
  }
  return at::stack(latents);
}

train::Loss InfinityObjective::prepared_loss(const train::PreparedBatch& samples, const train::StepContext& context) {
  const auto batch = train::prepared_as<Captioned>(samples);
  const auto count = static_cast<int64_t>(batch.size());
  const bool patchify = model_.config.patchify;
  const Schedule& schedule = positions_.schedule;
  Lesson lesson;
  {
    const at::NoGradGuard no_grad;
    const std::vector<Tensor> flips = codec::random_flips(count, codec_.config.bits, schedule.latent_scales(patchify),
                                                          training_.flip_percent, context.rng.split(1), device_);
    lesson = make_lesson(latents_of(batch), schedule, patchify, training_.correction, flips);
  }

  std::vector<std::string> captions;
  Tensor drop = at::empty({count}, at::kBool);
  Rng rng = context.rng.split(2);
  for (int64_t i = 0; i < count; ++i) {
    captions.push_back(batch[static_cast<size_t>(i)]->caption);
    drop.mutable_data_ptr<bool>()[i] = rng.chance(training_.drop_prompt);
  }
  const Condition condition = model_.condition(model_.without_prompt(states_of(captions), drop.to(device_)));
  const Graded graded =
      grade(model_.forward(lesson.features, condition, positions_), lesson.labels, weights_, model_.config);

  train::Loss result{
      graded.loss,
      {{"bit_acc", graded.correct.mean().item<double>()}, {"token_nats", graded.token_nats.item<double>()}}};
  for (size_t k = 0; k < schedule.scales.size(); ++k) {
    const Tensor of_scale = graded.correct.slice(0, schedule.begin(k), schedule.begin(k + 1));
    result.metrics[fmt::format("bit_acc_scale_{}", k + 1)] = of_scale.mean().item<double>();
  }
  return result;
}

Graded InfinityObjective::measure(const std::vector<const Captioned*>& batch, int64_t flip_percent) {
  const Schedule& schedule = positions_.schedule;
  const std::vector<ScaleShape> scales = schedule.latent_scales(model_.config.patchify);
  std::vector<Tensor> flips;
  Rng rng(static_cast<uint64_t>(flip_percent));
  for (const ScaleShape& scale : scales) {
    Tensor flip = at::empty({std::ssize(batch), codec_.config.bits, scale.height, scale.width}, at::kBool);
    bool* data = flip.mutable_data_ptr<bool>();
    for (int64_t i = 0; i < flip.numel(); ++i) data[i] = rng.chance(static_cast<double>(flip_percent) / 100);
    flips.push_back(flip.to(device_));
  }
  std::vector<std::string> captions;
  for (const Captioned* each : batch) captions.push_back(each->caption);
  const Lesson lesson = make_lesson(latents_of(batch), schedule, model_.config.patchify, "requantise", flips);
  const Tensor logits = model_.forward(lesson.features, model_.condition(states_of(captions)), positions_);
  return grade(logits, lesson.labels, weights_, model_.config);
}

std::map<std::string, double> InfinityObjective::evaluate() {
  const at::NoGradGuard no_grad;
  std::map<std::string, double> metrics;
  if (fixed_.empty()) return metrics;
  train::PreparedBatch fixed;
  for (const Sample& sample : fixed_) fixed.push_back(prepare(sample));
  // A few at once of large models; all of small ones.
  const auto at_once = static_cast<size_t>(std::max<int64_t>(1, 16384 / positions_.schedule.tokens()));
  const auto all = train::prepared_as<Captioned>(fixed);
  for (const int64_t percent : {0, 10, 20, 30}) {
    double loss = 0, correct = 0;
    for (size_t begin = 0; begin < all.size(); begin += at_once) {
      const size_t end = std::min(all.size(), begin + at_once);
      const Graded graded =
          measure({all.begin() + static_cast<ptrdiff_t>(begin), all.begin() + static_cast<ptrdiff_t>(end)}, percent);
      const double share = static_cast<double>(end - begin) / static_cast<double>(all.size());
      loss += share * graded.loss.item<double>();
      correct += share * graded.correct.mean().item<double>();
    }
    if (percent == 0) metrics["clean_loss"] = loss;
    metrics[percent == 0 ? "clean_bit_acc" : fmt::format("bit_acc_flips_{}", percent)] = correct;
  }
  return metrics;
}

DrawingInfinity InfinityObjective::drawing() const {
  return DrawingInfinity({model_, codec_, *start_.defaults, start_.text});
}

std::vector<const Sample*> InfinityObjective::shown_samples() const {
  constexpr size_t most = 8;
  std::vector<const Sample*> shown;
  std::set<std::string_view> captions;
  for (const Sample& sample : fixed_) {
    if (shown.size() == most) break;
    if (can_be_drawn(sample.caption) && captions.insert(sample.caption).second) shown.push_back(&sample);
  }
  return shown;
}

void InfinityObjective::save_samples(const Path& directory, const std::string& stem) {
  if (model_.config.head != "bits") return;
  std::vector<std::string> prompts = training_.sample_prompts;
  std::vector<Image> cells;
  if (prompts.empty()) {
    for (const Sample* sample : shown_samples()) {
      prompts.push_back(sample->caption);
      cells.push_back(sample->picture);
    }
  }
  if (prompts.empty()) return;
  const int64_t columns = std::ssize(cells);  // 0, about square, where there are no pictures to compare with
  for (Image& drawn : drawing().draw({.prompts = prompts, .seed = 1, .pixels = start_.pixels}))
    cells.push_back(std::move(drawn));
  media::write_png(directory / (stem + ".png"), media::contact_sheet(cells, {.columns = columns}));
  write_file_atomically(directory / (stem + ".txt"), fmt::format("{}\n", fmt::join(prompts, "\n")));
}

void InfinityObjective::save_model(const Path& directory, FileSystem& files) {
  const std::vector<nn::NamedLinear> linears = nn::named_linears(model_);
  const bool adapts =
      std::ranges::any_of(linears, [](const nn::NamedLinear& each) { return each.linear->lora.has_value(); });
  if (adapts) nn::save_adapters(linears, directory / "adapter", start_.base, files);
  save_bundle({adapts ? merged(model_) : model_, codec_, *start_.defaults, start_.text},
              training_.half ? StoredAs::f16 : StoredAs::f32, directory, files);
}

}  // namespace tessera::infinity
