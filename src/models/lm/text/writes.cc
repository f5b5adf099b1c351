// Rows of like length are written together; each is what it would be alone.
#include "models/lm/text/writes.h"

#include <algorithm>
#include <chrono>
#include <numeric>
#include <utility>

#include "core/error.h"
#include "models/lm/architecture/token_rows.h"

namespace tessera::lm {

namespace {

using Clock = std::chrono::steady_clock;
double since(Clock::time_point began) { return std::chrono::duration<double>(Clock::now() - began).count(); }

void require_room(size_t tokens, int64_t context, std::string_view what) {
  const auto count = static_cast<int64_t>(tokens);
  if (count < context) return;
  throw UserError("[lm] {} has {} tokens, the context is {}: {} too many for one new token", what, count, context,
                  count + 1 - context);
}

/// Positions of `lengths` in groups whose members go through the model together, longest first so that too little memory
/// shows at once.
std::vector<std::vector<size_t>> batches(const std::vector<size_t>& lengths, int64_t rows, int64_t tokens) {
  std::vector<size_t> order(lengths.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return lengths[a] > lengths[b]; });
  std::vector<std::vector<size_t>> groups;
  int64_t longest = 0;
  for (const size_t i : order) {
    const bool room =
        !groups.empty() && std::ssize(groups.back()) < rows && (std::ssize(groups.back()) + 1) * longest <= tokens;
    if (!room) groups.emplace_back(), longest = std::max<int64_t>(static_cast<int64_t>(lengths[i]), 1);
    groups.back().push_back(i);
  }
  return groups;
}

/// The special token that ends an assistant's turn: the last one of an answer. Earlier ones may open or close thinking. Nothing for
/// a template that refuses a question with its answer.
std::optional<int32_t> end_of_turn(const text::Tokenizer& tokenizer, const text::ChatTemplate& chat) {
  std::vector<text::ChatPiece> pieces;
  try {
    pieces = chat.pieces({{.role = "user", .content = "q"}, {.role = "assistant", .content = "a"}}, false);
  } catch (const UserError&) {
    return std::nullopt;
  }
  const text::ChatIds turns = text::encode_chat(tokenizer, pieces);
  for (size_t i = turns.ids.size(); i-- > 0;) {
    if (turns.answer[i] != 0 && tokenizer.is_special(turns.ids[i])) return turns.ids[i];
  }
  return std::nullopt;
}

}  // namespace

LmWriter::LmWriter(WriterParts parts) : parts_(std::move(parts)), end_tokens_(parts_.defaults.end_tokens) {
  if (const auto end = parts_.tokenizer->end_token()) end_tokens_.push_back(*end);
  if (!parts_.chat) return;
  if (const auto end = end_of_turn(*parts_.tokenizer, *parts_.chat)) end_tokens_.push_back(*end);
}

generate::TextOptions LmWriter::completed(generate::TextOptions options) const {
  generate::check(options);
  options.end_tokens.insert(options.end_tokens.end(), end_tokens_.begin(), end_tokens_.end());
  for (const std::string& stop : options.stop) {
    const auto id = parts_.tokenizer->id_of(stop);
    if (id && parts_.tokenizer->is_special(*id)) options.end_tokens.push_back(*id);
  }
  options.context = options.context > 0 ? std::min(options.context, context()) : context();
  return options;
}

std::unique_ptr<generate::TokenSteps> LmWriter::steps(int64_t positions) const {
  DecodeOptions decode = parts_.decode;
  decode.capacity = (positions + decode.block - 1) / decode.block * decode.block;
  return std::make_unique<LmSteps>(parts_.model, decode);
}

int64_t LmWriter::position_bytes() const {
  const LmConfig& c = parts_.model.config;
  const at::ScalarType kept = cache_format(parts_.model, parts_.decode);
  const int64_t head = c.head_dim * static_cast<int64_t>(c10::elementSize(kept)) + (kept == at::kChar ? 4 : 0);
  return 2 * c.depth * c.kv_heads * head;
}

void LmWriter::require_known(std::span<const int32_t> ids, std::string_view what) const {
  require_rows(parts_.model.config, *parts_.tokenizer, ids, what);
}

std::vector<Written> LmWriter::continue_prompts(LmSteps& steps, std::vector<generate::Prompt> prompts,
                                                const generate::TextOptions& completed) const {
  const auto began = Clock::now();
  const int64_t known = steps.recalled();
  std::vector<int64_t> lengths;
  for (const generate::Prompt& prompt : prompts) lengths.push_back(prompt.length());
  double first = 0;
  generate::TextOptions options = completed;
  options.on_step = [&](int64_t tokens) {
    if (first == 0) first = since(began);
    return !completed.on_step || completed.on_step(tokens);
  };
  std::vector<generate::Continuation> said = generate::run(steps, std::move(prompts), *parts_.tokenizer, options);
  std::vector<Written> written;
  for (size_t r = 0; r < said.size(); ++r) {
    written.push_back({.continuation = std::move(said[r]),
                       .prompt_tokens = lengths[r],
                       .remembered_tokens = said.size() == 1 ? steps.recalled() - known : 0,
                       .first_token_seconds = first,
                       .seconds = since(began)});
  }
  return written;
}

std::vector<Written> LmWriter::continue_ids(const std::vector<std::vector<int32_t>>& prompts,
                                            const generate::TextOptions& options) const {
  const auto began = Clock::now();
  generate::TextOptions full = completed(options);
  std::vector<size_t> lengths;
  for (size_t i = 0; i < prompts.size(); ++i) {
    const std::string what = prompts.size() == 1 ? "the prompt" : fmt::format("prompt {}", i + 1);
    if (prompts[i].empty()) throw UserError("[lm] {} is empty; say how the text begins", what);
    require_room(prompts[i].size(), full.context, what);
    require_rows(parts_.model.config, *parts_.tokenizer, prompts[i], what);
    lengths.push_back(prompts[i].size());
  }
  std::vector<Written> written(prompts.size());
  for (Written& w : written) w.continuation.reason = generate::StopReason::caller;  // until its turn comes
  int64_t before = 0;  // tokens of the batches that are done
  for (const auto& group : batches(lengths, parts_.batch_rows, parts_.batch_tokens)) {
    std::vector<generate::Prompt> rows;
    full.rows.clear();
    for (const size_t i : group) {
      rows.push_back({.ids = prompts[i]}), full.rows.push_back(options.rows.empty() ? i : options.rows[i]);
    }
    int64_t drawn = 0;
    bool go_on = true;
    full.on_step = [&](int64_t tokens) {
      drawn = tokens;
      go_on = go_on && (!options.on_step || options.on_step(before + tokens));
      return go_on;
    };
    const double waited = since(began);
    LmSteps steps(parts_.model, parts_.decode);
    std::vector<Written> batch = continue_prompts(steps, std::move(rows), full);
    for (size_t r = 0; r < group.size(); ++r) {
      batch[r].first_token_seconds += waited, batch[r].seconds += waited;
      written[group[r]] = std::move(batch[r]);
    }
    before += drawn;
    if (!go_on) break;
  }
  return written;
}

std::vector<Written> LmWriter::write(const std::vector<std::string>& prompts,
                                     const generate::TextOptions& options) const {
  std::vector<std::vector<int32_t>> rows;
  for (const std::string& prompt : prompts) rows.push_back(text::encode_prompt(*parts_.tokenizer, prompt));
  return continue_ids(rows, options);
}

std::vector<int32_t> LmWriter::chat_prompt(const std::vector<text::Message>& messages,
                                           const text::TemplateInputs& inputs) const {
  if (!parts_.chat) throw UserError("[lm] this model cannot chat: {}", parts_.no_chat);
  const std::string_view last = messages.empty() ? std::string_view() : messages.back().role;
  if (last != "user" && last != "tool" && last != "system")
    throw UserError("[lm] a conversation must end with a user's turn, a tool's or the system's; got {}",
                    messages.empty() ? "no turns" : fmt::format("one of '{}'", last));
  return text::encode_chat(*parts_.tokenizer, parts_.chat->pieces(messages, true, inputs)).ids;
}

Written LmWriter::chat(const std::vector<text::Message>& messages, const generate::TextOptions& options,
                       const text::TemplateInputs& inputs) const {
  std::vector<int32_t> prompt = chat_prompt(messages, inputs);
  require_room(prompt.size(), context(), "the conversation");
  require_rows(parts_.model.config, *parts_.tokenizer, prompt, "the conversation");
  const std::unique_lock<std::mutex> alone(chatting_, std::try_to_lock);
  DecodeOptions decode = parts_.decode;
  decode.keep_last = true;
  // taken away while it is used: an error on the way leaves nothing half written
  std::unique_ptr<LmSteps> steps = alone ? std::move(memory_) : nullptr;
  if (!steps) steps = std::make_unique<LmSteps>(parts_.model, decode);
  Written answer = std::move(continue_prompts(*steps, {{.ids = std::move(prompt)}}, completed(options)).front());
  if (alone) memory_ = std::move(steps);
  return answer;
}

}  // namespace tessera::lm
