// A recipe's `[data]` table made into samples.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "data/chat_jsonl.h"
#include "data/emoji_source.h"
#include "data/folder.h"
#include "data/sample.h"
#include "data/talk.h"
#include "data/text_folder.h"

namespace tessera::data {

/// One part of a mixture: `[[data.mixture]]` with a weight and a kind of its own.
struct MixturePart {
  double weight = 1.0;  // share of the samples, relative to the other parts
  std::string kind = "emoji";
  EmojiOptions emoji;
  TalkOptions talk;
  FolderOptions folder;
  TextFolderOptions text;
  ChatOptions chat;
  bool operator==(const MixturePart&) const = default;
};
template <class V> void fields(V& v, MixturePart& c) {
  v("weight", c.weight, "share of the samples, relative to the other parts");
  v("kind", c.kind, "emoji, talk, folder, text or chat");
  v("emoji", c.emoji, "Emoji World");
  v("talk", c.talk, "conversations about Emoji World");
  v("folder", c.folder, "people's own pictures");
  v("text", c.text, "people's own words");
  v("chat", c.chat, "conversations");
}

/// A recipe's `[data]` table.
struct DataConfig {
  std::string kind = "emoji";
  EmojiOptions emoji;
  TalkOptions talk;
  FolderOptions folder;
  TextFolderOptions text;
  ChatOptions chat;
  std::vector<MixturePart> mixture;
  std::string only;
  int64_t samples = 0;
  int64_t samples_seed = 0;
  bool operator==(const DataConfig&) const = default;
};
template <class V> void fields(V& v, DataConfig& c) {
  v("kind", c.kind, "emoji, talk, folder, text, chat or mixture");
  v("emoji", c.emoji, "Emoji World");
  v("talk", c.talk, "conversations about Emoji World");
  v("folder", c.folder, "people's own pictures");
  v("text", c.text, "people's own words");
  v("chat", c.chat, "conversations");
  v("mixture", c.mixture, "parts of a mixture, each with a weight");
  v("samples", c.samples, "number of samples to train on, over and over (0: all)");
  v("samples_seed", c.samples_seed, "which ones");
  v("only", c.only, "file of sample numbers, as `tessera data prune` writes it: a pass goes through these alone");
}

/// Has the data hold out `share`, for an objective that measures held-out samples, where nothing is held out yet. Sprites on white
/// are left alone beside other data: there a sprite that is held out is a name that is never learnt. So are data of which a file lists
/// samples, since its numbers count the samples as they were then.
void hold_out(DataConfig& config, double share);

/// The source a recipe asks for. Throws UserError.
std::unique_ptr<SampleSource> make_source(const DataConfig& config);

}  // namespace tessera::data
