// Chooses the source by the kind the recipe names.
#include "data/source.h"

#include <algorithm>
#include <map>
#include <utility>

#include <fmt/ranges.h>

#include "core/error.h"
#include "data/mixture.h"
#include "data/selected.h"

namespace tessera::data {

namespace {
const EmojiOptions* emoji_of(const MixturePart& part) {
  return part.kind == "emoji" ? &part.emoji : part.kind == "talk" ? &part.talk.emoji : nullptr;
}

/// What Emoji World's pictures are told apart by; pictures of two kinds are never equal.
std::string material_of(const EmojiOptions& emoji) {
  return "emoji " + emoji.kind + (emoji.kind == "sprite" ? " on " + emoji.ground : "");
}

/// The share that a part holds out, and what it takes its samples from; nothing for an unknown kind.
std::pair<double*, std::string> heldout_of(MixturePart& part) {
  if (part.kind == "emoji") return {&part.emoji.heldout_share, material_of(part.emoji)};
  if (part.kind == "talk") return {&part.talk.emoji.heldout_share, material_of(part.talk.emoji)};
  if (part.kind == "folder") return {&part.folder.heldout_share, "folder " + part.folder.path};
  if (part.kind == "text") return {&part.text.heldout_share, "text " + part.text.path};
  if (part.kind == "chat") return {&part.chat.heldout_share, "chat " + part.chat.path};
  return {nullptr, ""};
}

/// Parts with the same material hold out the same: what one holds out, another must not train on.
std::vector<MixturePart> levelled(std::vector<MixturePart> parts) {
  std::map<std::string, double> most;
  std::map<std::string, std::vector<std::string>> names;  // of text files that are held out as a whole
  for (MixturePart& part : parts) {
    const auto [share, material] = heldout_of(part);
    if (share != nullptr) most[material] = std::max(most[material], *share);
    if (part.kind == "text") std::ranges::copy(part.text.heldout, std::back_inserter(names[material]));
  }
  for (MixturePart& part : parts) {
    const auto [share, material] = heldout_of(part);
    if (share != nullptr) *share = most[material];
    if (part.kind == "text") part.text.heldout = names[material];
  }
  return parts;
}

std::unique_ptr<SampleSource> mixture_of(const std::vector<MixturePart>& parts) {
  std::vector<WeightedSource> sources;
  for (const MixturePart& part : levelled(parts)) {
    sources.push_back({part.weight, make_source({.kind = part.kind,
                                                 .emoji = part.emoji,
                                                 .talk = part.talk,
                                                 .folder = part.folder,
                                                 .text = part.text,
                                                 .chat = part.chat})});
  }
  return std::make_unique<Mixture>(std::move(sources));
}
}  // namespace

void hold_out(DataConfig& config, double share) {
  if (!config.only.empty()) return;
  MixturePart whole{.kind = config.kind,
                    .emoji = config.emoji,
                    .talk = config.talk,
                    .folder = config.folder,
                    .text = config.text,
                    .chat = config.chat};
  std::vector<MixturePart*> parts;
  if (config.kind != "mixture") parts.push_back(&whole);
  for (MixturePart& part : config.mixture) parts.push_back(&part);
  const auto holds = [](MixturePart* part) {
    const double* const own = heldout_of(*part).first;
    return own != nullptr && *own > 0;
  };
  if (std::ranges::any_of(parts, holds)) return;
  const auto names_alone = [](const MixturePart* part) {
    const EmojiOptions* emoji = emoji_of(*part);
    return emoji != nullptr && emoji->kind == "sprite" && emoji->ground == "white";
  };
  const bool all = std::ranges::all_of(parts, names_alone);
  for (MixturePart* part : parts) {
    if (double* const own = heldout_of(*part).first; own != nullptr && (all || !names_alone(part))) *own = share;
  }
  config.emoji = whole.emoji;
  config.talk = whole.talk;
  config.folder = whole.folder;
  config.text = whole.text;
  config.chat = whole.chat;
}

std::unique_ptr<SampleSource> make_source(const DataConfig& config) {
  if (config.samples < 0) throw UserError("[data] samples is {}, want 0 or more", config.samples);
  if (config.samples > 0) {
    DataConfig all = config;
    all.samples = 0;
    return std::make_unique<Subset>(make_source(all), config.samples, static_cast<uint64_t>(config.samples_seed));
  }
  if (!config.only.empty()) {
    DataConfig all = config;
    all.only.clear();
    return std::make_unique<Selected>(make_source(all), config.only);
  }
  if (config.kind == "emoji") return make_emoji_source(config.emoji);
  if (config.kind == "folder") return std::make_unique<FolderSource>(config.folder);
  if (config.kind == "talk") {
    check(config.talk);
    return std::make_unique<TalkSource>(make_emoji_source(config.talk.emoji), config.talk);
  }
  if (config.kind == "text") return std::make_unique<TextFolder>(config.text);
  if (config.kind == "chat") return std::make_unique<ChatSource>(config.chat);
  if (config.kind == "mixture") return mixture_of(config.mixture);
  const std::vector<std::string> kinds = {"emoji", "talk", "folder", "text", "chat", "mixture"};
  throw UserError("[data] unknown kind of data '{}'; did you mean '{}'? There are {}", config.kind,
                  nearest_word(config.kind, kinds), fmt::join(kinds, ", "));
}

}  // namespace tessera::data
