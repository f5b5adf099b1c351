// Tables of names that users of ollama, git, diffusers, transformers and TRL type, and the nearest spelling.
#include "apps/suggestions.h"

#include <algorithm>
#include <array>
#include <utility>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "core/fields.h"

namespace tessera::apps {

namespace {

/// What is typed, and what this program calls it; one name may stand for several.
using Elsewhere = std::pair<std::string_view, std::string_view>;

constexpr std::array kVerbs = std::to_array<Elsewhere>(
    {{"run", "chat"},      {"list", "inspect"},   {"ls", "inspect"},      {"show", "inspect"},   {"info", "inspect"},
     {"download", "pull"}, {"get", "pull"},       {"clone", "pull"},      {"fetch", "pull"},     {"generate", "write"},
     {"generate", "draw"}, {"complete", "write"}, {"describe", "see"},    {"caption", "see"},    {"sft", "train"},
     {"dpo", "train"},     {"finetune", "train"}, {"fine-tune", "train"}, {"pretrain", "train"}, {"grpo", "train"},
     {"evaluate", "eval"}, {"bench", "eval"},     {"benchmark", "eval"},  {"merge", "convert"},  {"export", "convert"},
     {"server", "serve"},  {"api", "serve"}});

constexpr std::array kOptions = std::to_array<Elsewhere>({{"--guidance-scale", "--cfg"},
                                                          {"--guidance", "--cfg"},
                                                          {"--negative-prompt", "--negative"},
                                                          {"--num-images", "--count"},
                                                          {"--num-images-per-prompt", "--count"},
                                                          {"--num-return-sequences", "--count"},
                                                          {"--image", "--init-image"},
                                                          {"--output", "--out"},
                                                          {"--output-dir", "--out"},
                                                          {"--max-length", "--max-new-tokens"},
                                                          {"--max-tokens", "--max-new-tokens"},
                                                          {"--n-predict", "--max-new-tokens"},
                                                          {"--temp", "--temperature"},
                                                          {"--repeat-penalty", "--repetition-penalty"},
                                                          {"--lora", "--adapter"},
                                                          {"--dataset", "--data"},
                                                          {"--task-name", "--task"},
                                                          {"--steps", "--set"},
                                                          {"--max-steps", "--set"},
                                                          {"--epochs", "--set"},
                                                          {"--lr", "--set"},
                                                          {"--learning-rate", "--set"},
                                                          {"--batch-size", "--batch"},
                                                          {"--batch-size", "--set"}});

std::string suggestion(std::string_view word, std::string_view letters, const std::vector<std::string>& known,
                       const auto& table) {
  std::vector<std::string> meant;
  for (const auto& [typed, ours] : table) {
    if (typed == word && std::ranges::find(known, ours) != known.end()) meant.emplace_back(ours);
  }
  if (meant.empty()) {
    const std::string nearest = nearest_word(word, known);
    if (nearest.empty() || 2 * edit_distance(word, nearest) > letters.size()) return "";
    meant.push_back(nearest);
  }
  return fmt::format("; did you mean '{}'?", fmt::join(meant, "' or '"));
}

}  // namespace

std::string verb_suggestion(std::string_view word, const std::vector<std::string>& known) {
  return suggestion(word, word, known, kVerbs);
}

std::string option_suggestion(std::string_view name, const std::vector<std::string>& known) {
  const std::string_view letters = name.substr(std::min(name.find_first_not_of('-'), name.size()));
  return suggestion(name, letters, known, kOptions);
}

}  // namespace tessera::apps
