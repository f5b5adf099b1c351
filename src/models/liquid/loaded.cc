// Requests become ids, ids become pictures and words.
#include "models/liquid/loaded.h"

#include <ATen/ops/tensor.h>
#include <c10/core/InferenceMode.h>

#include <algorithm>
#include <chrono>
#include <cmath>

#include "codec/codec_files.h"
#include "core/error.h"
#include "core/log.h"
#include "media/compose.h"
#include "models/lm/architecture/token_rows.h"
#include "tensor/live_bytes.h"

namespace tessera::liquid {

namespace {

constexpr media::Rgb grey{122, 116, 104};  // of padding, as the published program has it
constexpr size_t encoded_at_once = 16;
constexpr double most_side = 8192;  // of the square around a picture: that of media::max_pixels

Image plain(const media::Rgb& colour, int64_t width, int64_t height) {
  Image picture(width, height, 3);
  for (size_t i = 0; i < picture.pixels.size(); ++i) picture.pixels[i] = colour[i % 3];
  return picture;
}

/// The request's number, of which there may be one, or the model's own.
double one_number(const std::vector<double>& chosen, double own, std::string_view what) {
  if (chosen.size() > 1)
    throw UserError("[draw] {} numbers for {}, want one: this model draws code by code, without scales", chosen.size(),
                    what);
  return chosen.empty() ? own : chosen.front();
}

/// What guessing ahead saved, and what it cost where guesses were taken as they were.
std::string told(const generate::JacobiCounts& counts, const generate::JacobiOptions& options) {
  std::string text = fmt::format("{} codes in {} passes", counts.ids, counts.passes);
  if (options.settle == 0) return text;
  const double share = static_cast<double>(counts.settled) / static_cast<double>(std::max<int64_t>(1, counts.ids));
  return text +
         fmt::format("; {} of them ({:.1f}%) are guesses that would not have been drawn", counts.settled, 100 * share);
}

/// Whether requests are answered by the same settings and nobody watches, so that they can be rows of one call.
bool alike(const generate::TextOptions& a, const generate::TextOptions& b) {
  const auto watched = [](const generate::TextOptions& o) {
    return o.on_text || o.on_step || !o.constraints.empty() || !o.rows.empty();
  };
  return !watched(a) && !watched(b) && a.max_new_tokens == b.max_new_tokens && a.context == b.context &&
         a.sampling == b.sampling && a.stop == b.stop && a.end_tokens == b.end_tokens;
}

void refuse_clips(const SeeRequest& request) {
  for (const Media& media : request.media) {
    if (media.clip || media.frames.size() != 1)
      throw UserError("[liquid] {} is a clip; this model sees pictures",
                      media.source.empty() ? "one of the files" : media.source);
  }
}

}  // namespace

Image fitted(const Image& given, int64_t edge) {
  Image picture = media::over(given, media::white);
  if (const double longest = static_cast<double>(std::max(picture.width, picture.height)); longest > most_side) {
    const auto shrunk = [&](int64_t side) {
      return std::max<int64_t>(1, std::llround(static_cast<double>(side) * most_side / longest));
    };
    picture = media::resize_area(picture, shrunk(picture.width), shrunk(picture.height));
  }
  const int64_t side = std::max(picture.width, picture.height);
  if (picture.width == picture.height) return media::resize_lanczos(picture, edge, edge);
  Image square = plain(grey, side, side);
  media::paste(square, picture, (side - picture.width) / 2, (side - picture.height) / 2);
  return media::resize_lanczos(square, edge, edge);
}

std::vector<std::vector<int64_t>> codes_of(const vq::VqCodec& codec, const std::vector<Image>& pictures) {
  const at::NoGradGuard no_grad;
  std::vector<std::vector<int64_t>> all;
  for (size_t begin = 0; begin < pictures.size(); begin += encoded_at_once) {
    const std::vector<Image> part = codec::part_of(pictures, begin, encoded_at_once);
    const Tensor codes =
        codec.encode(vq::pictures_to_tensor(part, codec.codebook.device())).flatten(1).cpu().contiguous();
    for (int64_t b = 0; b < codes.size(0); ++b) {
      const int64_t* first = codes[b].const_data_ptr<int64_t>();
      all.emplace_back(first, first + codes.size(1));
    }
  }
  return all;
}

std::vector<Image> pictures_of(const vq::VqCodec& codec, const std::vector<std::vector<int64_t>>& codes, int64_t edge) {
  const at::NoGradGuard no_grad;
  const int64_t size = edge * codec.config.spatial_factor();
  std::vector<Image> pictures;
  for (const std::vector<int64_t>& each : codes) {
    const int64_t rows = std::ssize(each) / edge;
    Image canvas = plain(grey, size, size);
    if (rows > 0) {
      const std::vector<int64_t> whole(each.begin(), each.begin() + static_cast<ptrdiff_t>(rows * edge));
      const Tensor grid = at::tensor(whole, at::kLong).view({1, rows, edge}).to(codec.codebook.device());
      media::paste(canvas, vq::tensor_to_pictures(codec.decode(grid)).front(), 0, 0);
    }
    pictures.push_back(std::move(canvas));
  }
  return pictures;
}

LoadedLiquid::LoadedLiquid(Bundle bundle, lm::WriterParts parts) : bundle_(std::move(bundle)), decode_(parts.decode) {
  const auto turn = Prompter(bundle_.config.pictures, *parts.tokenizer).end_of_turn();
  if (turn) parts.defaults.end_tokens.push_back(*turn);
  writer_ = std::make_unique<lm::LmWriter>(std::move(parts));
  prompter_ = std::make_unique<Prompter>(bundle_.config.pictures, writer_->tokenizer());
}

int64_t LoadedLiquid::weight_bytes() const {
  lm::DecoderLm model = bundle_.model;  // shares its tensors, as the codec does
  vq::VqCodec codec = bundle_.codec;
  return bytes_of(model) + bytes_of(codec);
}

CodePlan LoadedLiquid::plan_of(const DrawRequest& request) const {
  DrawDefaults chosen = bundle_.config.drawing;
  chosen.cfg = one_number(request.cfg, chosen.cfg, "cfg");
  chosen.temperature = one_number(request.tau, chosen.temperature, "tau");
  chosen.top_p = request.top_p.value_or(chosen.top_p);
  chosen.top_k = request.top_k.value_or(chosen.top_k);
  chosen.window = request.window.value_or(chosen.window);
  chosen.settle = request.settle.value_or(chosen.settle);
  validate(chosen);
  const int64_t edge = bundle_.config.pictures.edge;
  const int64_t size = bundle_.codec.config.picture_size;
  if (request.aspect != 1 && !request.from)
    throw UserError("[draw] aspect (height / width) is {}, want 1: this model draws squares", request.aspect);
  if (request.size && (request.size->width != size || request.size->height != size))
    throw UserError("[draw] size is {}x{}, want {}x{}, which is all that this model draws", request.size->width,
                    request.size->height, size, size);
  if (!request.pixels.empty() || request.positive_prompt || request.cfg_layers != std::vector<int64_t>{0})
    throw UserError("[draw] pixels, positive_prompt and cfg_layers are for models that draw scale by scale");
  if (request.fast.unguided_scales > 0 || request.fast.settled > 0 || request.fast.local_attention > 0)
    throw UserError(
        "[draw] fast, unguided_scales, settled and local_attention are for models that draw scale by scale");
  if (request.settle.value_or(0) > 0 && chosen.window == 1)
    throw UserError("[draw] settle is {} but no codes are guessed ahead; want a window of at least 2", *request.settle);
  if (request.batch < 1) throw UserError("[draw] batch is {}, want at least 1", request.batch);
  if (!request.use_cache) throw UserError("[draw] this model does not draw without a cache");
  if (request.keep_scales < 0 || request.keep_scales > edge)
    throw UserError("[draw] keep_scales is {}, want 0 to {}, rows of codes", request.keep_scales, edge);
  if (request.keep_scales > 0 && !request.from)
    throw UserError("[draw] keep_scales is {} but there is no picture to keep them from", request.keep_scales);
  CodePlan plan{.cfg = chosen.cfg,
                .sampling = {.temperature = chosen.temperature,
                             .top_k = chosen.top_k,
                             .top_p = chosen.top_p,
                             .seed = request.seed},
                .first_stream = request.first_picture,
                .jacobi = {.window = chosen.window, .settle = chosen.settle},
                .drafts = bundle_.drafts.get(),
                .decode = decode_};
  if (!request.negative.empty()) plan.unconditional = prompter_->drawing(request.negative);
  if (request.keep_scales > 0) {
    plan.given = codes_of(bundle_.codec, {fitted(*request.from, bundle_.codec.config.picture_size)}).front();
    plan.given.resize(static_cast<size_t>(request.keep_scales * edge));
  }
  return plan;
}

std::vector<Image> LoadedLiquid::draw(const DrawRequest& request) const {
  if (request.prompts.empty()) throw UserError("[draw] no prompt; say what to draw, as in \"red apple\"");
  const int64_t edge = bundle_.config.pictures.edge;
  const CodePlan whole = plan_of(request);
  std::vector<std::vector<int32_t>> prompts;
  for (const std::string& prompt : request.prompts) prompts.push_back(prompter_->drawing(prompt));
  std::vector<Image> pictures;
  generate::JacobiCounts counts;
  const auto batch = static_cast<size_t>(request.batch);
  for (size_t begin = 0; begin < prompts.size(); begin += batch) {
    const size_t end = std::min(prompts.size(), begin + batch);
    CodePlan plan = whole;
    plan.first_stream += begin;
    // the model's own window is for one picture: several keep a pass busy by themselves
    if (!request.window)
      plan.jacobi.window = std::max<int64_t>(1, whole.jacobi.window / static_cast<int64_t>(end - begin));
    std::vector<std::vector<int64_t>> so_far;
    int64_t shown = std::ssize(plan.given) / edge;
    plan.on_codes = [&](int64_t codes) {
      for (; shown < codes / edge; ++shown) {
        const auto row = static_cast<size_t>(shown), rows = static_cast<size_t>(edge);
        if (request.on_scale) {
          std::vector<std::vector<int64_t>> above = so_far;
          for (auto& each : above) each.resize((row + 1) * rows);
          request.on_scale({row, rows, begin, pictures_of(bundle_.codec, above, edge)});
        }
        if (request.on_step && !request.on_step(row, rows)) return false;
      }
      return true;
    };
    const DrawnCodes drawn =
        draw_codes(bundle_.model, *prompter_,
                   {prompts.begin() + static_cast<ptrdiff_t>(begin), prompts.begin() + static_cast<ptrdiff_t>(end)},
                   plan, &so_far);
    counts.passes += drawn.counts.passes;
    counts.ids += drawn.counts.ids;
    counts.settled += drawn.counts.settled;
    const auto whole_picture = [&](const auto& each) { return std::ssize(each) == bundle_.config.pictures.count(); };
    if (!std::ranges::all_of(drawn.codes, whole_picture)) break;  // interrupted: half a picture is none
    std::vector<Image> finished = pictures_of(bundle_.codec, drawn.codes, edge);
    const bool goes_on = !request.on_pictures || request.on_pictures(begin, finished);
    std::ranges::move(finished, std::back_inserter(pictures));
    if (!goes_on) break;
  }
  const bool asked = request.window && whole.jacobi.window > 1;
  if (asked || whole.jacobi.settle > 0) log_info("[draw] {}", told(counts, whole.jacobi));
  return pictures;
}

std::vector<Image> LoadedLiquid::pictures_in(const SeeRequest& request) const {
  refuse_clips(request);
  std::vector<Image> pictures;
  for (const Media& media : request.media)
    pictures.push_back(fitted(media.frames.front(), bundle_.codec.config.picture_size));
  return pictures;
}

std::vector<int32_t> LoadedLiquid::asked(const SeeRequest& request,
                                         const std::vector<std::vector<int64_t>>& codes) const {
  std::vector<int32_t> ids = prompter_->seeing(request.messages, codes);
  const int64_t context = writer_->completed(request.options).context;
  if (std::ssize(ids) >= context)
    throw UserError("[liquid] the question takes {} tokens, {} of them for pictures; the context is {}: {} too many",
                    ids.size(), std::ssize(codes) * (bundle_.config.pictures.count() + 2), context,
                    std::ssize(ids) + 1 - context);
  return ids;
}

int64_t LoadedLiquid::prompt_length(const SeeRequest& request) const {
  refuse_clips(request);
  const std::vector<int64_t> any(static_cast<size_t>(bundle_.config.pictures.count()), 0);
  return std::ssize(asked(request, std::vector(request.media.size(), any)));
}

generate::Prompt LoadedLiquid::prompt(const SeeRequest& request) const {
  const c10::InferenceMode inference;
  return {.ids = asked(request, codes_of(bundle_.codec, pictures_in(request)))};
}

std::vector<Written> LoadedLiquid::see(const std::vector<SeeRequest>& requests) const {
  const c10::InferenceMode inference;
  const auto began = std::chrono::steady_clock::now();
  std::vector<std::vector<int32_t>> prompts;
  for (const SeeRequest& request : requests) prompts.push_back(prompt(request).ids);
  const double seen = std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
  std::vector<Written> written;
  for (size_t begin = 0; begin < requests.size();) {
    size_t end = begin + 1;
    while (end < requests.size() && alike(requests[begin].options, requests[end].options)) ++end;
    generate::TextOptions options = requests[begin].options;
    if (options.rows.empty()) {
      for (size_t i = begin; i < end; ++i) options.rows.push_back(i);
    }
    std::ranges::move(
        writer_->continue_ids(
            {prompts.begin() + static_cast<ptrdiff_t>(begin), prompts.begin() + static_cast<ptrdiff_t>(end)}, options),
        std::back_inserter(written));
    begin = end;
  }
  for (Written& each : written) each.first_token_seconds += seen, each.seconds += seen;
  return written;
}

std::unique_ptr<LoadedModel> load_liquid(const ModelDirectory& found, at::Device device, const LoadOptions& options) {
  auto tokenizer = text::load_tokenizer(found.path);
  Bundle bundle = load_bundle(found, *tokenizer, {.device = device, .dtype = options.dtype, .exact = options.exact});
  lm::require_rows_for(bundle.model.config, *tokenizer, found.path);
  lm::WriterParts parts{.model = bundle.model,
                        .tokenizer = std::move(tokenizer),
                        .defaults = lm::generation_defaults(found.path, bundle.text_config),
                        .decode = {.cache_int8 = options.cache_int8, .cache_bf16 = !options.exact}};
  if (!options.chat_template.empty()) {
    parts.chat = text::ChatTemplate::given(options.chat_template, text::special_tokens_of(*parts.tokenizer));
  } else {
    try {
      parts.chat = text::ChatTemplate::of(found.path);
    } catch (const UserError& error) {
      parts.no_chat = error.what();  // said when somebody wants to chat
    }
  }
  return std::make_unique<LoadedLiquid>(std::move(bundle), std::move(parts));
}

}  // namespace tessera::liquid
