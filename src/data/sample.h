// What training eats: a picture with its words, and where samples come from.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "media/image.h"
#include "text/message.h"

namespace tessera {

/// A question about a picture or clip whose answer is known.
struct Question {
  std::string kind;  // "presence", "count", "colour", "position", "size", "reading", "direction", "order"
  std::string text;
  std::string answer;
  bool operator==(const Question&) const = default;
};

/// Something that is really there: what it is and the square it fills, in pixels.
struct PlacedObject {
  uint64_t id = 0;       // in the source's catalogue
  std::string name;      // as captions call it
  int64_t x = 0, y = 0;  // left top corner
  int64_t size = 0;      // edge
  int64_t turn = 0;      // quarter turns clockwise
  bool operator==(const PlacedObject&) const = default;
};

/// One picture (or clip) and its words; `questions` and `objects` where the source knows the truth.
struct Sample {
  Image picture;
  std::vector<Image> frames;  // of a clip, in order; empty for a picture
  std::string caption;
  std::vector<Question> questions;
  std::vector<PlacedObject> objects;
  /// Of a text source: a window of token ids in a row, one longer than what is predicted.
  std::vector<int32_t> tokens;
  /// Of a conversation source: turns, and the pictures and clips that they speak of, in order.
  std::vector<text::Message> messages;
  /// Of a pair: the conversation with the worse answer, where `messages` has the better one; else empty.
  std::vector<text::Message> rejected;
  std::vector<Media> media;
  /// Of a conversation: definitions of tools that it may use, for the chat template; null: none.
  Json tools = nullptr;
  /// Two samples of one source with the same `picture_id` have the same pixels; what is computed from the picture
  /// alone (its codes) may be kept under this id. Empty: never repeated.
  std::optional<uint64_t> picture_id;
  /// Of a held-out sample: the part of the held-out data it belongs to, where parts are measured apart ("texts", "ends").
  std::string part;
  /// Where it stands, for messages: "chat.jsonl line 3"; empty where samples are made, not read.
  std::string where;
};

/// An endless, random-access stream of samples: `at(i)` is a pure function of i, so a run resumes from a number.
class SampleSource {
 public:
  virtual ~SampleSource() = default;
  virtual Sample at(uint64_t index) const = 0;
  /// Names the edition of the raw material (fonts, word lists), which recipes record; empty where there is none.
  virtual std::string edition() const { return ""; }
  /// How many samples make one pass, when the source is finite.
  virtual std::optional<uint64_t> pass_length() const { return std::nullopt; }
  /// Bytes of the longest caption, held-out samples' included, where a source knows it beforehand; else 0.
  virtual size_t longest_caption() const { return 0; }
  /// Samples to measure on, at most `most`, spread evenly over all there are. None of them is ever among the samples that at() gives: a
  /// source divides by what samples are, not by their index. Empty where the source's options hold nothing out.
  virtual std::vector<Sample> heldout(uint64_t /*most*/) const { return {}; }
};

}  // namespace tessera
