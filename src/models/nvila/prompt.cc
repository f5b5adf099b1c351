// Prompts are put together piece by piece, so that nothing a person types can become a control or media token.
#include "models/nvila/prompt.h"

#include <algorithm>

#include <ATen/ops/cat.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>

#include "core/error.h"

namespace tessera::nvila {

namespace {

text::ChatTemplate template_of(const Path& directory) {
  for (const char* name : {"chat_template.jinja", "chat_template.json"}) {
    if (std::filesystem::exists(directory / name)) return text::ChatTemplate::of(directory);
  }
  const Path config = directory / "tokenizer_config.json";
  const Json tree = std::filesystem::exists(config) ? read_json_file(config) : Json();
  const bool stored = tree.is_object() && tree.contains("chat_template") && !tree["chat_template"].is_null();
  return stored ? text::ChatTemplate::of(directory) : text::ChatTemplate::named("nvila");
}

/// How many media each message has, checked against how many there are.
void require_media(const std::vector<text::Message>& messages, size_t given) {
  int64_t spoken = 0;
  for (const text::Message& message : messages) {
    if (message.media < 0 || message.media > 1 << 20)
      throw UserError("[nvila] a message speaks of {} pictures and clips", message.media);
    spoken += message.media;
  }
  if (spoken != static_cast<int64_t>(given))
    throw UserError("[nvila] {} pictures and clips were given, but the conversation speaks of {}", given, spoken);
}

}  // namespace

std::vector<int32_t> PromptRow::words() const {
  std::vector<int32_t> kept;
  std::copy_if(ids.begin(), ids.end(), std::back_inserter(kept), [](int32_t id) { return id != media_row; });
  return kept;
}

std::string plain_text(std::string text) {
  for (bool found = true; found;) {
    found = false;
    for (const std::string token : media_tokens) {
      for (size_t at = text.find(token); at != std::string::npos; at = text.find(token)) {
        text.erase(at, token.size());
        found = true;
      }
    }
  }
  constexpr const char* white = " \t\r\n\f\v";
  const size_t first = text.find_first_not_of(white);
  if (first == std::string::npos) return "";
  return text.substr(first, text.find_last_not_of(white) - first + 1);
}

Prompter::Prompter(const NvilaConfig& config, const text::Tokenizer& tokenizer, const Path& directory)
    : Prompter(config, tokenizer, template_of(directory)) {}

Prompter::Prompter(const NvilaConfig& config, const text::Tokenizer& tokenizer, text::ChatTemplate chat)
    : config_(&config), tokenizer_(&tokenizer), chat_(std::move(chat)),
      line_break_(tokenizer.encode("\n", {.add_special = false})) {}

void Prompter::add(PromptRow& row, const std::vector<int32_t>& ids) const {
  row.ids.insert(row.ids.end(), ids.begin(), ids.end());
  row.learnt.resize(row.ids.size(), false);
}

/// `last`: a text follows, which brings the separator with it.
void Prompter::add_media(PromptRow& row, const MediaPlan& plan, bool last) const {
  const std::vector<int64_t> blocks = block_rows(*config_, plan);
  for (size_t i = 0; i < blocks.size(); ++i) {
    add(row, std::vector<int32_t>(static_cast<size_t>(blocks[i]), media_row));
    add(row, line_break_);
    if (plan.listed && !(last && i + 1 == blocks.size())) add(row, line_break_);
  }
}

PromptRow Prompter::row(const std::vector<text::Message>& messages, const std::vector<MediaPlan>& plans,
                        bool add_generation_prompt, const text::TemplateInputs& inputs) const {
  require_media(messages, plans.size());
  std::vector<text::Message> turns;
  size_t next = 0;
  for (const text::Message& message : messages) {
    next += static_cast<size_t>(message.media);
    const bool own_line = message.media > 0 && plans[next - 1].listed;  // read as one text with the question
    text::Message& turn = turns.emplace_back(message);
    turn.content = plain_text(message.content);
    if (own_line) turn.content.insert(0, 1, '\n');
  }
  const text::ChatIds words = text::encode_chat(*tokenizer_, chat_.pieces(turns, add_generation_prompt, inputs));

  PromptRow row;
  next = 0;
  size_t done = 0;
  const auto add_words = [&](size_t end) {
    row.ids.insert(row.ids.end(), words.ids.begin() + static_cast<int64_t>(done),
                   words.ids.begin() + static_cast<int64_t>(end));
    for (; done < end; ++done) row.learnt.push_back(words.answer[done] != 0);
  };
  for (const text::ChatIds::Media& media : words.media) {
    add_words(media.at);
    for (int64_t i = 0; i < media.count; ++i) add_media(row, plans.at(next++), i + 1 == media.count);
  }
  add_words(words.ids.size());
  return row;
}

Assembled assemble(const std::vector<PromptRow>& rows, const std::vector<Tensor>& pixels, std::vector<MediaPlan> media,
                   at::Device device) {
  size_t longest = 0;
  for (const PromptRow& row : rows) longest = std::max(longest, row.ids.size());
  const auto count = static_cast<int64_t>(rows.size()), length = static_cast<int64_t>(longest);
  const Tensor ids = at::zeros({count, length}, at::kLong);
  std::vector<int64_t> pad, positions;
  for (int64_t b = 0; b < count; ++b) {
    const PromptRow& row = rows[b];
    pad.push_back(length - std::ssize(row.ids));
    int64_t* const id = ids.mutable_data_ptr<int64_t>() + b * length + pad.back();
    for (int64_t i = 0; i < std::ssize(row.ids); ++i) {
      if (row.ids[i] == media_row) {
        positions.push_back(b * length + pad.back() + i);
        continue;
      }
      id[i] = row.ids[i];
    }
  }
  Assembled all{.ids = ids.to(device), .media = std::move(media)};
  if (std::any_of(pad.begin(), pad.end(), [](int64_t n) { return n > 0; }))
    all.pad = at::tensor(pad, at::kLong).to(device);
  all.positions = at::tensor(positions, at::kLong).to(device);
  if (!pixels.empty()) all.pixels = at::cat(pixels).to(device);
  return all;
}

}  // namespace tessera::nvila
