// Conversations about Emoji World: a sample's picture or clip, with some of its questions and their known answers as turns.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "data/emoji_source.h"

namespace tessera::data {

/// A recipe's `[data.talk]` table.
struct TalkOptions {
  EmojiOptions emoji;
  int64_t turns = 4;               // most questions of a conversation
  double listing = 0.5;            // share of conversations that begin with naming everything
  std::vector<std::string> kinds;  // kinds of questions asked; empty: all
  int64_t frames = 0;              // of a clip that are shown; 0: all
  bool operator==(const TalkOptions&) const = default;
};
template <class V> void fields(V& v, TalkOptions& o) {
  v("emoji", o.emoji, "Emoji World");
  v("turns", o.turns, "most questions of a conversation");
  v("listing", o.listing, "share of conversations that begin with naming everything that is there");
  v("kinds", o.kinds, "kinds of questions asked, such as count and position; empty: all");
  v("frames", o.frames, "frames of a clip that are shown, spread evenly (0: all)");
}
/// Throws UserError for a value outside its range or an unknown kind.
void check(const TalkOptions& options);

/// The questions that a sample can be asked: its own, and for a single sprite what it is (kind "name").
std::vector<Question> questions_of(const Sample& sample);
/// What is there, in words: a scene's names from left to right, a clip's caption; of one thing alone its bare name, so that one
/// question has one form of answer.
Question listing_of(const Sample& sample);
/// What a model is shown of a sample: its picture, or a number of frames of its clip, spread evenly (0: all).
Media media_of(const Sample& sample, int64_t frames, std::string source);

class TalkSource final : public SampleSource {
 public:
  TalkSource(std::unique_ptr<SampleSource> pictures, TalkOptions options);
  /// The sample of the source of pictures, with `messages` and `media`.
  Sample at(uint64_t index) const override;
  /// That of the pictures, and of the questions: the number rises when what is asked or answered changes.
  std::string edition() const override { return pictures_->edition() + ", talk 2"; }
  std::optional<uint64_t> pass_length() const override { return pictures_->pass_length(); }
  /// Conversations about the pictures that the source of pictures holds out.
  std::vector<Sample> heldout(uint64_t most) const override;

 private:
  Sample talk_about(Sample sample, Rng rng) const;

  std::unique_ptr<SampleSource> pictures_;
  TalkOptions options_;
};

/// Every conversation as lines of text, for a tokenizer to learn from.
std::string as_text(const std::vector<text::Message>& messages);

}  // namespace tessera::data
