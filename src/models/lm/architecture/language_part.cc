// Other parts are left out by name, so that an unknown tensor is still refused.
#include "models/lm/architecture/language_part.h"

#include <algorithm>
#include <array>

#include <fmt/ranges.h>

#include "core/error.h"
#include "core/log.h"

namespace tessera::lm {

namespace {

struct Composite {
  std::string_view model_type;  // of the whole
  std::string_view language;    // of its language model, whose files may hold other parts too
  std::string_view prefix;      // of its tensors, in place of "model."
  std::array<std::string_view, 2> others;
};
constexpr std::array composites{
    Composite{"qwen3_5", "qwen3_5_text", "model.language_model.", {"model.visual.", "mtp."}}};

std::string type_of(const Json& tree) {
  const auto type = tree.find("model_type");
  return type != tree.end() && type->is_string() ? type->get<std::string>() : std::string();
}

}  // namespace

std::vector<std::string> composite_model_types() {
  std::vector<std::string> all;
  for (const Composite& each : composites) all.emplace_back(each.model_type);
  return all;
}

Json language_config(const Json& tree, std::string_view source) {
  const std::string type = type_of(tree);
  const auto found = std::ranges::find(composites, type, &Composite::model_type);
  if (found == composites.end()) return tree;
  const auto part = tree.find("text_config");
  if (part == tree.end() || !part->is_object())
    throw UserError("[lm] {}: no 'text_config', the language model of model_type '{}'", source, type);
  Json own = *part;
  if (!own.contains("model_type")) own["model_type"] = found->language;
  if (own["model_type"] != found->language)
    throw UserError("[lm] {}: text_config.model_type is {}, want \"{}\"", source, own["model_type"].dump(),
                    found->language);
  for (const char* key :
       {"tie_word_embeddings", "quantization_config", "bos_token_id", "eos_token_id", "pad_token_id"}) {
    if (const auto outer = tree.find(key); outer != tree.end() && !outer->is_null()) own[key] = *outer;
  }
  return own;
}

WeightSource language_weights(const WeightSource& stored, const Json& tree) {
  const std::string type = type_of(tree);
  const auto found = std::ranges::find_if(
      composites, [&](const Composite& each) { return each.model_type == type || each.language == type; });
  if (found == composites.end()) return stored;
  size_t left_out = 0;
  std::vector<std::string_view> parts;
  const WeightSource own = stored.renamed([&](std::string_view name) {
    for (const std::string_view other : found->others) {
      if (!name.starts_with(other)) continue;
      ++left_out;
      const std::string_view part = other.substr(0, other.size() - 1);
      if (std::ranges::find(parts, part) == parts.end()) parts.push_back(part);
      return std::string();
    }
    if (!name.starts_with(found->prefix)) return std::string(name);
    return "model." + std::string(name.substr(found->prefix.size()));
  });
  if (left_out > 0)
    log_info("[lm] {}: {} tensors are left out, which are no part of the language model: {}", stored.path().string(),
             left_out, fmt::join(parts, ", "));
  return own;
}

}  // namespace tessera::lm
