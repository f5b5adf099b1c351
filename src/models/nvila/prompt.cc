// Prompts are put together piece by piece, so that nothing a person types can become a control or media token.
#include "models/nvila/prompt.h"

#include <algorithm>

#include <ATen/ops/cat.h>
#include <ATen/ops/full.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>

#include "core/error.h"

namespace tessera::nvila {

namespace {

constexpr const char* system_line = "You are a helpful assistant";  // of NVILA's releases, which have no full stop here

std::optional<text::ChatTemplate> stored_template(const Path& directory) {
  for (const char* name : {"chat_template.jinja", "chat_template.json"}) {
    if (std::filesystem::exists(directory / name)) return text::ChatTemplate::of(directory);
  }
  const Path config = directory / "tokenizer_config.json";
  if (!std::filesystem::exists(config)) return std::nullopt;
  const Json tree = read_json_file(config);
  if (!tree.is_object() || !tree.contains("chat_template") || tree["chat_template"].is_null()) return std::nullopt;
  return text::ChatTemplate::of(directory);
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
    : Prompter(config, tokenizer, stored_template(directory)) {}

Prompter::Prompter(const NvilaConfig& config, const text::Tokenizer& tokenizer, std::optional<text::ChatTemplate> chat)
    : config_(&config), tokenizer_(&tokenizer), chat_(chat ? *chat : text::ChatTemplate::named("chatml")),
      own_template_(!chat), line_break_(tokenizer.encode("\n", {.add_special = false})) {}

void Prompter::add_text(PromptRow& row, const std::string& text, bool control, bool learnt) const {
  const std::vector<int32_t> ids = tokenizer_->encode(text, {.add_special = false, .parse_special = control});
  row.ids.insert(row.ids.end(), ids.begin(), ids.end());
  row.learnt.resize(row.ids.size(), learnt);
}

/// Leaves in `text` what must be read together with what follows.
void Prompter::add_media(PromptRow& row, const MediaPlan& plan, std::string& text) const {
  for (const int64_t rows : block_rows(*config_, plan)) {
    if (!text.empty()) add_text(row, text, false, false), text.clear();
    row.ids.insert(row.ids.end(), static_cast<size_t>(rows), media_row);
    row.ids.insert(row.ids.end(), line_break_.begin(), line_break_.end());
    row.learnt.resize(row.ids.size(), false);
    if (plan.listed) text = "\n";
  }
}

PromptRow Prompter::row(const std::vector<text::Message>& messages, const std::vector<MediaPlan>& plans,
                        bool open) const {
  std::vector<text::Message> turns;
  if (own_template_ && (messages.empty() || messages.front().role != "system"))
    turns.push_back({"system", system_line});
  for (const text::Message& message : messages)
    turns.push_back({message.role, plain_text(message.content), message.media});

  PromptRow row;
  size_t next = 0;
  for (const text::ChatPiece& piece : chat_.pieces(turns, open)) {
    if (piece.media < 0 || next + static_cast<size_t>(piece.media) > plans.size())
      throw UserError("[nvila] the conversation speaks of more pictures and clips than the {} that were given",
                      plans.size());
    std::string before;
    for (int64_t i = 0; i < piece.media; ++i) add_media(row, plans[next++], before);
    add_text(row, before + piece.text, piece.control, piece.answer);
  }
  if (next != plans.size())
    throw UserError("[nvila] {} pictures and clips were given, but the conversation speaks of {}", plans.size(), next);
  return row;
}

Assembled assemble(const std::vector<PromptRow>& rows, const std::vector<Tensor>& pixels, std::vector<MediaPlan> media,
                   at::Device device) {
  size_t longest = 0;
  for (const PromptRow& row : rows) longest = std::max(longest, row.ids.size());
  const auto count = static_cast<int64_t>(rows.size()), length = static_cast<int64_t>(longest);
  const Tensor ids = at::zeros({count, length}, at::kLong), labels = at::full({count, length}, no_label, at::kLong);
  std::vector<int64_t> pad, places;
  for (int64_t b = 0; b < count; ++b) {
    const PromptRow& row = rows[b];
    pad.push_back(length - std::ssize(row.ids));
    int64_t* const id = ids.mutable_data_ptr<int64_t>() + b * length + pad.back();
    int64_t* const label = labels.mutable_data_ptr<int64_t>() + b * length + pad.back();
    for (int64_t i = 0; i < std::ssize(row.ids); ++i) {
      if (row.ids[i] == media_row) {
        places.push_back(b * length + pad.back() + i);
        continue;
      }
      id[i] = row.ids[i];
      if (row.learnt[i]) label[i] = row.ids[i];
    }
  }
  Assembled all{.ids = ids.to(device), .labels = labels.to(device), .media = std::move(media)};
  if (std::any_of(pad.begin(), pad.end(), [](int64_t n) { return n > 0; }))
    all.pad = at::tensor(pad, at::kLong).to(device);
  all.places = at::tensor(places, at::kLong).to(device);
  if (!pixels.empty()) all.pixels = at::cat(pixels).to(device);
  return all;
}

}  // namespace tessera::nvila
