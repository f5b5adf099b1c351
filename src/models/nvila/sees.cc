// Answers: a conversation's media and words become embeddings, which the language model goes on from.
#include "models/nvila/sees.h"

#include <algorithm>
#include <chrono>

#include <c10/core/InferenceMode.h>

#include "core/error.h"

namespace tessera::nvila {

namespace {

constexpr int64_t batch_rows = 32;         // requests at once
constexpr int64_t batch_positions = 8192;  // of all rows together, padding too

using Clock = std::chrono::steady_clock;
double since(Clock::time_point began) { return std::chrono::duration<double>(Clock::now() - began).count(); }

bool speaks(const generate::TextOptions& o) { return o.on_text || o.on_step || !o.rules.empty() || !o.rows.empty(); }

/// Whether two requests that may be equally long can be drawn as rows of one batch.
bool same_drawing(const generate::TextOptions& a, const generate::TextOptions& b) {
  return !speaks(a) && !speaks(b) && a.sampling == b.sampling && a.stop == b.stop && a.end_tokens == b.end_tokens;
}

}  // namespace

/// A request on its way.
struct LoadedNvila::Asked {
  size_t place;  // among the requests
  const SeeRequest* request;
  PromptRow row;
  std::vector<MediaPlan> plans;
  int64_t limit;  // new tokens at most: what was asked for, or what the context has room for after words and media
};

std::vector<int32_t> NvilaWriter::chat_prompt(const std::vector<text::Message>& messages) const {
  if (messages.empty() || messages.back().role != "user")
    throw UserError("[nvila] a conversation must end with a user's turn");
  return prompter_->row(messages, {}, true).ids;
}

LoadedNvila::LoadedNvila(NvilaModel model, const Path& directory, const lm::DecodeOptions& decode)
    : model_(std::move(model)), decode_(decode) {
  const Path own = tokenizer_directory(directory);
  tokenizer_ = text::load_tokenizer(own);
  require_same_words(model_.config, *tokenizer_, directory);
  prompter_ = std::make_unique<Prompter>(model_.config, *tokenizer_, own);
  lm::WriterParts parts{.model = model_.llm,
                        .tokenizer = text::load_tokenizer(own),
                        .chat = prompter_->chat(),
                        .defaults = lm::generation_defaults(own, text_config_json(directory)),
                        .decode = decode,
                        .spare_ids = true};
  writer_ = std::make_unique<NvilaWriter>(std::move(parts), *prompter_);
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
  one.limit = std::min(request.options.max_new_tokens, context - tokens);
  return one;
}

void LoadedNvila::answer(const std::vector<Asked>& batch, std::vector<Written>& written) const {
  const auto began = Clock::now();
  std::vector<PromptRow> rows;
  std::vector<std::vector<int32_t>> words;
  std::vector<Tensor> pixels;
  std::vector<MediaPlan> plans;
  generate::TextOptions options = writer_->completed(batch.front().request->options);
  options.max_new_tokens = batch.front().limit;
  const bool numbered = !options.rows.empty();
  for (const Asked& one : batch) {
    for (size_t i = 0; i < one.plans.size(); ++i)
      pixels.push_back(pixels_of(model_.config, one.request->media[i], one.plans[i]));
    plans.insert(plans.end(), one.plans.begin(), one.plans.end());
    rows.push_back(one.row), words.push_back(one.row.words());
    if (!numbered) options.rows.push_back(one.place);
  }
  double first = 0;
  const auto on_step = options.on_step;
  options.on_step = [&](int64_t tokens) {
    if (first == 0) first = since(began);
    return !on_step || on_step(tokens);
  };
  const Assembled all = assemble(rows, pixels, plans, model_.llm.embed_tokens.device());
  lm::DecodeSteps steps(model_.llm, {.embeddings = model_.embed(all), .pad = all.pad}, decode_);
  std::vector<generate::Continuation> said = generate::run(steps, words, *tokenizer_, options);
  for (size_t i = 0; i < batch.size(); ++i) {
    written[batch[i].place] = {.continuation = std::move(said[i]),
                               .prompt_tokens = std::ssize(rows[i].ids),
                               .first_token_seconds = first,
                               .seconds = since(began)};
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
        batch.empty() ||
        (std::ssize(batch) < batch_rows &&
         (std::ssize(batch) + 1) * std::ssize(batch.front().row.ids) <= batch_positions &&
         batch.front().limit == one.limit && same_drawing(batch.front().request->options, one.request->options));
    if (!fits) answer(batch, written), batch.clear();
    batch.push_back(std::move(one));
  }
  if (!batch.empty()) answer(batch, written);
  return written;
}

std::unique_ptr<LoadedModel> load_seeing_model(const Path& directory, at::Device device, const LoadOptions& options) {
  NvilaModel model = load_weights(directory, device, {.dtype = options.dtype, .writable = false});
  return std::make_unique<LoadedNvila>(std::move(model), directory,
                                       lm::DecodeOptions{.cache_int8 = options.cache_int8});
}

}  // namespace tessera::nvila
