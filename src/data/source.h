// A recipe's `[data]` table made into samples.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "data/emoji_source.h"
#include "data/folder.h"
#include "data/sample.h"
#include "data/talk.h"

namespace tessera::data {

/// One part of a mixture: `[[data.mixture]]` with a weight and a kind of its own.
struct MixturePart {
  double weight = 1.0;  // share of the samples, relative to the other parts
  std::string kind = "emoji";
  EmojiOptions emoji;
  TalkOptions talk;
  FolderOptions folder;
  bool operator==(const MixturePart&) const = default;
};
template <class V> void fields(V& v, MixturePart& c) {
  v("weight", c.weight, "share of the samples, relative to the other parts"),
      v("kind", c.kind, "emoji, talk or folder");
  v("emoji", c.emoji, "Emoji World"), v("talk", c.talk, "conversations about Emoji World"),
      v("folder", c.folder, "people's own pictures");
}

/// A recipe's `[data]` table.
struct DataConfig {
  std::string kind = "emoji";
  EmojiOptions emoji;
  TalkOptions talk;
  FolderOptions folder;
  std::vector<MixturePart> mixture;
  bool operator==(const DataConfig&) const = default;
};
template <class V> void fields(V& v, DataConfig& c) {
  v("kind", c.kind, "emoji, talk, folder or mixture");
  v("emoji", c.emoji, "Emoji World"), v("talk", c.talk, "conversations about Emoji World"),
      v("folder", c.folder, "people's own pictures");
  v("mixture", c.mixture, "parts of a mixture, each with a weight");
}

/// The source a recipe asks for. Throws UserError.
std::unique_ptr<SampleSource> make_source(const DataConfig& config);

}  // namespace tessera::data
