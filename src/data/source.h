// A recipe's `[data]` table made into samples.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "data/emoji_source.h"
#include "data/sample.h"

namespace tessera::data {

/// A recipe's `[data]` table.
struct DataConfig {
  std::string kind = "emoji";
  EmojiOptions emoji;
  bool operator==(const DataConfig&) const = default;
};
template <class V> void fields(V& v, DataConfig& c) {
  v("kind", c.kind, "emoji");
  v("emoji", c.emoji, "Emoji World");
}

/// The source a recipe asks for. Throws UserError.
std::unique_ptr<SampleSource> make_source(const DataConfig& config);

}  // namespace tessera::data
