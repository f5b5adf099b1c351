// Requests are checked and become plans here; draw_codes.cc carries them out.
#include "models/infinity/draw.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "core/error.h"
#include "core/text_file.h"
#include "media/compose.h"
#include "media/decoders.h"
#include "tensor/live_bytes.h"

namespace tessera::infinity {

namespace {

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
    if (is_blank(prompts[i])) {
      throw UserError("[draw] prompt {} is empty; say what to draw, as in \"red apple\"", i + 1);
    }
    if (std::ssize(prompts[i]) >= longest) {
      throw UserError("[draw] prompt {} has {} bytes, want at most {}; this model reads no further", i + 1,
                      prompts[i].size(), longest - 1);
    }
  }
}

}  // namespace

DrawingInfinity::DrawingInfinity(Bundle bundle) : bundle_(std::move(bundle)) {
  if (bundle_.model.config.head != "bits") {
    throw UserError("[infinity] a model with an '{}' head cannot draw; want head 'bits'", bundle_.model.config.head);
  }
}

int64_t DrawingInfinity::weight_bytes() const {
  Infinity model = bundle_.model;  // shares its tensors, as the codec does
  codec::Codec codec = bundle_.codec;
  return bytes_of(model) + bytes_of(codec) + (bundle_.text ? bundle_.text->bytes() : 0);
}

namespace {

/// Of a batch that keeps its keys and values, at the most.
constexpr int64_t most_cache_bytes = int64_t{4} << 30;

/// Leaves a drawing between two scales.
struct Ended {};

void check_layers(const std::vector<int64_t>& layers, int64_t depth) {
  if (layers.empty()) throw UserError("[draw] no layer is named for guidance; 0 is on the logits");
  for (const int64_t layer : layers) {
    if (layer > 0 || layer <= -depth)
      throw UserError("[draw] guidance at layer {}, want 0 (on the logits) or {} to -1 (counted from the last block)",
                      layer, 1 - depth);
  }
}

void check_fast(const FastDrawing& fast, size_t scales) {
  if (fast.unguided_scales < 0 || fast.unguided_scales > static_cast<int64_t>(scales))
    throw UserError("[draw] unguided_scales is {}, want 0 to {}", fast.unguided_scales, scales);
  if (!(fast.settled >= 0 && fast.settled < 1))
    throw UserError("[draw] settled is {}, want at least 0 and below 1", fast.settled);
  if (fast.local_attention < 0) throw UserError("[draw] local_attention is {}, want at least 0", fast.local_attention);
}

/// `picture` over all of width x height at its own proportions, what stands out cut off evenly.
Image covering(const Image& picture, int64_t width, int64_t height) {
  const double factor = std::max(static_cast<double>(width) / static_cast<double>(picture.width),
                                 static_cast<double>(height) / static_cast<double>(picture.height));
  const auto grown = [&](int64_t edge, int64_t least) {
    return std::max<int64_t>(least, std::llround(static_cast<double>(edge) * factor));
  };
  const int64_t wide = grown(picture.width, width), tall = grown(picture.height, height);
  if (wide > media::max_pixels / tall) {  // of a picture this long, what stands out is cut off before it grows
    const auto kept = [&](int64_t edge, int64_t wanted) {
      return std::clamp<int64_t>(std::llround(std::ceil(static_cast<double>(wanted) / factor)), 1, edge);
    };
    const int64_t columns = kept(picture.width, width), rows = kept(picture.height, height);
    return media::resize_area(
        media::crop(picture, (picture.width - columns) / 2, (picture.height - rows) / 2, columns, rows), width, height);
  }
  return media::crop(media::resize_area(picture, wide, tall), (wide - width) / 2, (tall - height) / 2, width, height);
}

}  // namespace

void DrawingInfinity::check(const DrawRequest& request) const {
  check_prompts(request.prompts, bundle_.text ? std::numeric_limits<int64_t>::max() : bundle_.model.config.text_length);
  DrawRequest without_picture = request;  // which would take time
  without_picture.from.reset();
  without_picture.keep_scales = 0;
  const DrawPlan plan = plan_of(without_picture);
  const auto scales = std::ssize(plan.schedule.scales);
  if (request.keep_scales < 0 || request.keep_scales > scales)
    throw UserError("[draw] keep_scales is {}, want 0 to {}", request.keep_scales, scales);
}

DrawPlan DrawingInfinity::plan_of(const DrawRequest& request) const {
  const InfinityConfig& config = bundle_.model.config;
  if (!(request.aspect >= 0.25 && request.aspect <= 4))
    throw UserError("[draw] aspect (height / width) is {}, want 0.25 to 4", request.aspect);
  if (request.top_k || request.window || request.settle)
    throw UserError(
        "[draw] top_k, window and settle are for models that draw code by code; this one draws scale by scale");
  if (request.batch < 1) throw UserError("[draw] batch is {}, want at least 1", request.batch);
  const int64_t per_token = bundle_.codec.config.spatial_factor() * (config.patchify ? 2 : 1);
  DrawPlan plan{.schedule = request.size
                                ? schedule_of_size(config, request.size->height, request.size->width, per_token)
                                : schedule_for(config, request.aspect, request.pixels),
                .seed = request.seed,
                .guided_layers = request.cfg_layers,
                .kept = bundle_.kept,
                .fast = request.fast,
                .use_cache = request.use_cache};
  const size_t scales = plan.schedule.scales.size();
  plan.cfg = per_scale(request.cfg, bundle_.defaults.cfg, scales, "cfg", 0);
  plan.tau = per_scale(request.tau, bundle_.defaults.tau, scales, "tau", 0);
  plan.top_p = request.top_p.value_or(bundle_.defaults.top_p);
  check_layers(plan.guided_layers, config.depth);
  check_fast(plan.fast, scales);
  std::fill_n(plan.cfg.rbegin(), plan.fast.unguided_scales, 1.0);
  if (!(plan.top_p > 0 && plan.top_p <= 1))
    throw UserError("[draw] top_p is {}, want more than 0 and at most 1", plan.top_p);
  if (request.keep_scales < 0 || request.keep_scales > static_cast<int64_t>(scales)) {
    throw UserError("[draw] keep_scales is {}, want 0 to {}", request.keep_scales, scales);
  }
  if (request.keep_scales > 0 && !request.from)
    throw UserError("[draw] keep_scales is {} but there is no picture to keep them from", request.keep_scales);
  if (request.keep_scales > 0) plan.given = kept_bits(*request.from, plan.schedule, request.keep_scales);
  return plan;
}

std::vector<Tensor> DrawingInfinity::kept_bits(const Image& picture, const Schedule& schedule, int64_t scales) const {
  const at::NoGradGuard no_grad;
  const std::vector<ScaleShape> latent = schedule.latent_scales(bundle_.model.config.patchify);
  const int64_t factor = bundle_.codec.config.spatial_factor();
  const Image fitted =
      covering(media::over(picture, media::white), latent.back().width * factor, latent.back().height * factor);
  const at::Device device = bundle_.model.pos_start.device();
  std::vector<Tensor> bits =
      codec::quantise(bundle_.codec.encode(codec::pictures_to_tensor({fitted}, device)), latent).bits;
  bits.resize(static_cast<size_t>(scales));
  return bits;
}

int64_t DrawingInfinity::batch_for(const DrawRequest& request, const DrawPlan& plan) const {
  if (plan.fast.settled > 0) return 1;  // which tokens change is each picture's own matter
  const InfinityConfig& config = bundle_.model.config;
  const int64_t kept = plan.schedule.begin(plan.schedule.scales.size() - 1);
  const int64_t bytes = 2 * 2 * kept * config.width * config.depth * static_cast<int64_t>(c10::elementSize(plan.kept));
  return std::clamp<int64_t>(most_cache_bytes / std::max<int64_t>(1, bytes), 1, request.batch);
}

std::vector<Image> DrawingInfinity::draw(const DrawRequest& request) const {
  std::vector<std::string> prompts = request.prompts;
  if (request.positive_prompt) std::ranges::transform(prompts, prompts.begin(), with_positive_words);
  check_prompts(prompts, bundle_.text ? std::numeric_limits<int64_t>::max() : bundle_.model.config.text_length);
  DrawPlan plan = plan_of(request);
  const auto batch = static_cast<size_t>(batch_for(request, plan));

  std::vector<Tensor> states;  // of all prompts where a PromptEncoder makes them: it is loaded once
  if (bundle_.text) {
    if (!request.negative.empty()) prompts.push_back(request.negative);
    states = bundle_.text->encode(prompts);
    if (!request.negative.empty()) plan.negative = batch_of(states, states.size() - 1, states.size());
    prompts.resize(request.prompts.size());
  } else if (!request.negative.empty()) {
    check_prompts({request.negative}, bundle_.model.config.text_length);
    const at::NoGradGuard no_grad;
    plan.negative = bundle_.model.encode({request.negative});
  }
  std::vector<Image> pictures;
  for (size_t begin = 0; begin < prompts.size(); begin += batch) {
    const size_t end = std::min(prompts.size(), begin + batch);
    const auto from = prompts.begin() + static_cast<ptrdiff_t>(begin),
               to = prompts.begin() + static_cast<ptrdiff_t>(end);
    const at::NoGradGuard no_grad;
    const nn::TextStates text = bundle_.text ? batch_of(states, begin, end) : bundle_.model.encode({from, to});
    std::vector<Image> drawn;
    try {
      drawn = draw_batch(request, text, plan, begin);
    } catch (const Ended&) {
      break;
    }
    const bool goes_on = !request.on_pictures || request.on_pictures(begin, drawn);
    std::ranges::move(drawn, std::back_inserter(pictures));
    if (!goes_on) break;
  }
  return pictures;
}

std::vector<Image> DrawingInfinity::draw_batch(const DrawRequest& request, const nn::TextStates& text, DrawPlan plan,
                                               size_t begin) const {
  const at::NoGradGuard no_grad;
  const codec::Codec& codec = bundle_.codec;
  const int64_t count = text.states.size(0);
  plan.first_picture = request.first_picture + begin;
  for (Tensor& bits : plan.given) bits = bits.expand({count, bits.size(1), bits.size(2), bits.size(3)});
  const size_t scales = plan.schedule.scales.size();
  plan.on_scale = [&](size_t k, const Tensor& sum) {
    if (request.on_scale) request.on_scale({k, scales, begin, codec::tensor_to_pictures(codec.decode(sum))});
    if (request.on_step && !request.on_step(k, scales)) throw Ended();
  };
  const Tensor sum = draw_codes(bundle_.model, text, plan).codes.sum;
  return codec::tensor_to_pictures(codec.decode(sum));
}

}  // namespace tessera::infinity
