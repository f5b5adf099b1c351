// Answers: a conversation's media and words become embeddings, which the language model goes on from.
#include "models/nvila/sees.h"

#include <algorithm>
#include <chrono>

#include <c10/core/InferenceMode.h>

#include "core/error.h"
#include "media/compose.h"
#include "tensor/live_bytes.h"

namespace tessera::nvila {

namespace {

constexpr int64_t batch_rows = 32;         // requests at once
constexpr int64_t batch_positions = 8192;  // of all rows together, each counted as the longest

using Clock = std::chrono::steady_clock;
double since(Clock::time_point began) { return std::chrono::duration<double>(Clock::now() - began).count(); }

/// Whether two requests are drawn by the same numbers, so that they can be rows of one call.
bool same_drawing(const generate::TextOptions& a, const generate::TextOptions& b) {
  const auto speaks = [](const generate::TextOptions& o) {
    return o.on_text || o.on_step || !o.constraints.empty() || !o.rows.empty();
  };
  return !speaks(a) && !speaks(b) && a.max_new_tokens == b.max_new_tokens && a.context == b.context &&
         a.sampling == b.sampling && a.stop == b.stop && a.end_tokens == b.end_tokens;
}

}  // namespace

/// A request on its way.
struct LoadedNvila::Asked {
  size_t place;  // among the requests
  const SeeRequest* request;
  PromptRow row;
  std::vector<MediaPlan> plans;
};

std::vector<int32_t> NvilaWriter::chat_prompt(const std::vector<text::Message>& messages,
                                              const text::TemplateInputs& inputs) const {
  if (messages.empty() || messages.back().role != "user")
    throw UserError("[nvila] a conversation must end with a user's turn");
  return prompter_->row(messages, {}, true, inputs).ids;
}

LoadedNvila::LoadedNvila(NvilaModel model, const Path& directory, const Json& text_config,
                         const lm::DecodeOptions& decode)
    : model_(std::move(model)), decode_(decode) {
  const Path own = tokenizer_directory(directory);
  tokenizer_ = text::load_tokenizer(own);
  require_same_words(model_.config, *tokenizer_, directory);
  prompter_ = std::make_unique<Prompter>(model_.config, *tokenizer_, own);
  lm::WriterParts parts{.model = model_.llm,
                        .tokenizer = text::load_tokenizer(own),
                        .chat = prompter_->chat(),
                        .defaults = lm::generation_defaults(own, text_config),
                        .decode = decode};
  writer_ = std::make_unique<NvilaWriter>(std::move(parts), *prompter_);
}

int64_t LoadedNvila::weight_bytes() const {
  NvilaModel model = model_;  // shares its tensors
  return bytes_of(model);
}

LoadedNvila::Asked LoadedNvila::asked(const SeeRequest& request, size_t place) const {
  if (request.messages.empty() || request.messages.back().role != "user")
    throw UserError("[nvila] a conversation must end with a user's turn");
  Asked one{.place = place, .request = &request, .plans = plans_of(model_.config, request.media)};
  one.row = prompter_->row(request.messages, one.plans, true);
  const auto tokens = std::ssize(one.row.ids), context = writer_->completed(request.options).context;
  if (tokens >= context) {
    const auto media = tokens - std::ssize(one.row.words());
    throw UserError(
        "[nvila] the question takes {} tokens, {} of them for pictures and clips; the context is {}: {} too many",
        tokens, media, context, tokens + 1 - context);
  }
  return one;
}

/// By itself: what stands beside a picture does not change what is seen in it.
generate::Prompt LoadedNvila::seen(const Asked& one) const {
  std::vector<Tensor> pixels;
  for (size_t i = 0; i < one.plans.size(); ++i)
    pixels.push_back(pixels_of(model_.config, one.request->media[i], one.plans[i]));
  const Assembled row = assemble({one.row}, pixels, one.plans, model_.llm.embed_tokens.device());
  return {.ids = one.row.words(), .embeddings = model_.embed(row).squeeze(0)};
}

int64_t LoadedNvila::prompt_length(const SeeRequest& request) const { return std::ssize(asked(request, 0).row.ids); }

generate::Prompt LoadedNvila::prompt(const SeeRequest& request) const {
  const c10::InferenceMode inference;
  return seen(asked(request, 0));
}

void LoadedNvila::answer(const std::vector<Asked>& batch, std::vector<Written>& written) const {
  const auto began = Clock::now();
  std::vector<generate::Prompt> prompts;
  generate::TextOptions options = writer_->completed(batch.front().request->options);
  const bool numbered = !options.rows.empty();
  for (const Asked& one : batch) {
    prompts.push_back(seen(one));
    if (!numbered) options.rows.push_back(one.place);
  }
  const double seen = since(began);
  lm::LmSteps steps(model_.llm, decode_);
  std::vector<Written> answers = writer_->continue_prompts(steps, std::move(prompts), options);
  for (size_t i = 0; i < batch.size(); ++i) {
    answers[i].first_token_seconds += seen, answers[i].seconds += seen;
    written[batch[i].place] = std::move(answers[i]);
  }
}

std::vector<Written> LoadedNvila::see(const std::vector<SeeRequest>& requests) const {
  const c10::InferenceMode inference;
  std::vector<Asked> all;
  for (size_t i = 0; i < requests.size(); ++i) all.push_back(asked(requests[i], i));
  // rows of like length together, so that little is padding
  std::stable_sort(all.begin(), all.end(),
                   [](const Asked& a, const Asked& b) { return a.row.ids.size() > b.row.ids.size(); });
  std::vector<Written> written(requests.size());
  std::vector<Asked> batch;
  for (Asked& one : all) {
    const bool fits =
        batch.empty() || (std::ssize(batch) < batch_rows &&
                          (std::ssize(batch) + 1) * std::ssize(batch.front().row.ids) <= batch_positions &&
                          same_drawing(batch.front().request->options, one.request->options));
    if (!fits) answer(batch, written), batch.clear();
    batch.push_back(std::move(one));
  }
  if (!batch.empty()) answer(batch, written);
  return written;
}

Tensor LoadedNvila::embed(const std::vector<Image>& pictures) const {
  const c10::InferenceMode inference;
  const int64_t edge = model_.config.vision.image_size;
  std::vector<Image> sized;
  for (const Image& picture : pictures)
    sized.push_back(media::resize_bicubic(media::over(picture, media::white), edge, edge));
  const at::Device device = model_.llm.embed_tokens.device();
  return model_.vision_tower.forward(normalised(sized).to(device)).mean(1).to(at::kCPU, at::kFloat);
}

std::unique_ptr<LoadedModel> load_seeing_model(const ModelDirectory& directory, at::Device device,
                                               const LoadOptions& options) {
  const StoredConfig stored = read_config(directory);
  NvilaModel model = load_weights(directory, stored, device, {.dtype = options.dtype, .writable = false});
  return std::make_unique<LoadedNvila>(
      std::move(model), directory.path, stored.text,
      lm::DecodeOptions{.cache_int8 = options.cache_int8, .cache_bf16 = !options.exact});
}

}  // namespace tessera::nvila
