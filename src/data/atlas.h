// An atlas: Emoji World in one file, for machines without the font or Unicode's files. Same pixels, same words.
//
// Format (docs/emoji-world.md): a safetensors file with metadata {"format": "tessera-emoji-atlas-1", "world": ...} and
//   pictures  u8 [bytes]   the font's own PNGs, one after another
//   offsets   i64 [n + 1]  picture i is pictures[offsets[i] : offsets[i + 1]]
//   words     u8 [bytes]   JSON: a list of n objects {text, name, group, subgroup, keywords, languages}
#pragma once

#include <memory>

#include "data/emoji.h"

namespace tessera::data {

/// Writes the atlas; the same world gives the same bytes. Throws FaultError when the disk fails.
void write_atlas(const EmojiWorld& world, const Path& file, FileSystem& files = disk());

/// Reads it back. Throws UserError naming the first fault of a file that is no valid atlas.
std::unique_ptr<EmojiWorld> read_atlas(const Path& file);

}  // namespace tessera::data
