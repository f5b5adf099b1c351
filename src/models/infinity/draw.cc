// The step of the scale loop is the transformer's: with its cache, or without (every scale from the start again).
#include "models/infinity/draw.h"

#include <limits>

#include <ATen/ops/cat.h>

#include "core/error.h"
#include "generate/scale_loop.h"
#include "media/compose.h"

namespace tessera::infinity {

namespace {

/// Gives the logits of scale k, conditional rows first, then, under guidance, the unconditional ones.
class Stepper {
 public:
  Stepper(const Infinity& model, const nn::TextStates& text, const DrawPlan& plan)
      : model_(model), cached_(plan.use_cache),
        positions_(positions_of(model.config, plan.schedule, text.states.device())) {
    condition_ = model.condition(text);
    if (cached_) state_ = model.start(condition_, positions_);
  }

  /// features [B, tokens of k, bits per token], absent for k = 0.
  Tensor logits(size_t k, const Tensor& features) {
    if (cached_) return model_.step(k, features, state_, positions_);
    if (k > 0) seen_ = present(seen_) ? at::cat({seen_, features}, 1) : features;
    Schedule so_far = positions_.schedule;
    so_far.scales.resize(k + 1);
    const Positions part = positions_of(model_.config, so_far, condition_.pooled.device());
    return model_.forward(seen_, condition_, part).slice(1, so_far.begin(k));
  }

 private:
  const Infinity& model_;
  bool cached_;
  Positions positions_;
  Condition condition_;
  DrawState state_;
  Tensor seen_;
};

/// The prompts' states followed by those of "no prompt", each at its prompt's length.
nn::TextStates with_unconditional(const Infinity& model, const nn::TextStates& text) {
  const Tensor all = at::ones({text.states.size(0)}, text.lengths.options().dtype(at::kBool));
  const nn::TextStates nothing = model.without_prompt(text, all);
  return {at::cat({text.states, nothing.states}), at::cat({text.lengths, text.lengths}), text.padded};
}

/// One number per scale from one number, or from as many as there are scales.
std::vector<double> per_scale(const std::vector<double>& chosen, const std::vector<double>& own, size_t scales,
                              std::string_view what, double least) {
  std::vector<double> list = chosen.empty() ? own : chosen;
  if (list.size() == 1) list.assign(scales, list.front());
  if (list.size() != scales)
    throw UserError("[draw] {} numbers for {}, want 1 or {}, one per scale", list.size(), what, scales);
  for (const double value : list) {
    if (!(value >= least && value <= 1000)) throw UserError("[draw] {} is {}, want {} to 1000", what, value, least);
  }
  return list;
}

void check_prompts(const std::vector<std::string>& prompts, int64_t longest) {
  if (prompts.empty()) throw UserError("[draw] no prompt; say what to draw, as in \"red apple\"");
  for (size_t i = 0; i < prompts.size(); ++i) {
    if (prompts[i].find_first_not_of(" \t\r\n") == std::string::npos) {
      throw UserError("[draw] prompt {} is empty; say what to draw, as in \"red apple\"", i + 1);
    }
    if (std::ssize(prompts[i]) >= longest) {
      throw UserError("[draw] prompt {} has {} bytes, want at most {}; this model reads no further", i + 1,
                      prompts[i].size(), longest - 1);
    }
  }
}

}  // namespace

DrawnCodes draw_codes(const Infinity& model, const nn::TextStates& text, const DrawPlan& plan) {
  const at::NoGradGuard no_grad;
  const bool patchify = model.config.patchify;
  const int64_t batch = text.states.size(0);
  const bool guides = std::any_of(plan.cfg.begin(), plan.cfg.end(), [](double cfg) { return cfg != 1; });
  Stepper stepper(model, guides ? with_unconditional(model, text) : text, plan);
  DrawnCodes drawn;

  const auto step = [&](size_t k, const Tensor& sum) {
    const ScaleShape scale = plan.schedule.scales[k];
    Tensor features = k == 0 ? Tensor() : features_of(sum, scale, patchify);
    if (guides && k > 0) features = at::cat({features, features});
    Tensor logits = stepper.logits(k, features);
    if (guides) logits = generate::guided(logits.slice(0, 0, batch), logits.slice(0, batch), plan.cfg[k]);
    drawn.logits.push_back(logits);
    const generate::BitSampling sampling{
        .tau = plan.tau[k], .top_p = plan.top_p, .seed = plan.seed, .first_picture = plan.first_picture, .scale = k};
    return to_grid(generate::sample_bits(logits, sampling), scale, patchify);
  };
  drawn.codes = generate::run({.scales = plan.schedule.latent_scales(patchify),
                               .bits = model.config.bits,
                               .batch = batch,
                               .device = text.states.device(),
                               .given = plan.given,
                               .on_scale = plan.on_scale},
                              step);
  return drawn;
}

DrawingInfinity::DrawingInfinity(Bundle bundle) : bundle_(std::move(bundle)) {
  if (bundle_.model.config.head != "bits") {
    throw UserError("[infinity] a model with an '{}' head cannot draw; want head 'bits'", bundle_.model.config.head);
  }
}

std::vector<Image> DrawingInfinity::draw(const DrawRequest& request) const {
  const InfinityConfig& config = bundle_.model.config;
  check_prompts(request.prompts, bundle_.text ? std::numeric_limits<int64_t>::max() : config.text_length);
  if (!(request.aspect >= 0.25 && request.aspect <= 4))
    throw UserError("[draw] aspect (height / width) is {}, want 0.25 to 4", request.aspect);
  if (request.batch < 1) throw UserError("[draw] batch is {}, want at least 1", request.batch);
  DrawPlan plan{.schedule = schedule_for(config, request.aspect), .seed = request.seed, .use_cache = request.use_cache};
  const size_t scales = plan.schedule.scales.size();
  plan.cfg = per_scale(request.cfg, bundle_.defaults.cfg, scales, "cfg", 0);
  plan.tau = per_scale(request.tau, bundle_.defaults.tau, scales, "tau", 0);
  plan.top_p = request.top_p.value_or(bundle_.defaults.top_p);
  if (!(plan.top_p > 0 && plan.top_p <= 1))
    throw UserError("[draw] top_p is {}, want more than 0 and at most 1", plan.top_p);
  if (request.keep_scales < 0 || request.keep_scales > static_cast<int64_t>(scales)) {
    throw UserError("[draw] keep_scales is {}, want 0 to {}", request.keep_scales, scales);
  }
  if (request.keep_scales > 0 && !request.from)
    throw UserError("[draw] keep_scales is {} but there is no picture to keep them from", request.keep_scales);

  const std::vector<Tensor> states = bundle_.text ? bundle_.text->encode(request.prompts) : std::vector<Tensor>();
  std::vector<Image> pictures;
  for (size_t begin = 0; begin < request.prompts.size(); begin += static_cast<size_t>(request.batch)) {
    const size_t end = std::min(request.prompts.size(), begin + static_cast<size_t>(request.batch));
    std::vector<Image> drawn = draw_batch(request, states, plan, begin, end);
    const bool goes_on = !request.on_pictures || request.on_pictures(begin, drawn);
    std::ranges::move(drawn, std::back_inserter(pictures));
    if (!goes_on) break;
  }
  return pictures;
}

std::vector<Image> DrawingInfinity::draw_batch(const DrawRequest& request, const std::vector<Tensor>& states,
                                               DrawPlan plan, size_t begin, size_t end) const {
  const at::NoGradGuard no_grad;
  const Infinity& model = bundle_.model;
  const codec::Codec& codec = bundle_.codec;
  const at::Device device = model.pos_start.device();
  const auto count = static_cast<int64_t>(end - begin);
  const std::vector<ScaleShape> latent = plan.schedule.latent_scales(model.config.patchify);
  plan.first_picture = request.first_picture + begin;

  if (request.keep_scales > 0) {
    const int64_t factor = codec.config.spatial_factor();
    const Image fitted = media::resize_area(media::over(*request.from, media::white), latent.back().width * factor,
                                            latent.back().height * factor);
    const Tensor encoded = codec.encode(codec::pictures_to_tensor({fitted}, device));
    const codec::ResidualCodes codes = codec::quantise(encoded, latent);
    for (int64_t k = 0; k < request.keep_scales; ++k) {
      const Tensor& bits = codes.bits[static_cast<size_t>(k)];
      plan.given.push_back(bits.expand({count, bits.size(1), bits.size(2), bits.size(3)}));
    }
  }
  if (request.on_scale) {
    plan.on_scale = [&](size_t k, const Tensor& sum) {
      request.on_scale({k, latent.size(), begin, codec::tensor_to_pictures(codec.decode(sum))});
    };
  }
  const std::vector<std::string> prompts(request.prompts.begin() + static_cast<ptrdiff_t>(begin),
                                         request.prompts.begin() + static_cast<ptrdiff_t>(end));
  const nn::TextStates text = bundle_.text ? batch_of(states, begin, end) : model.encode(prompts);
  return codec::tensor_to_pictures(codec.decode(draw_codes(model, text, plan).codes.sum));
}

}  // namespace tessera::infinity
