// Conversations from a JSONL file, one a line, with or without pictures. What must stay true: a row that is wrong is found before
// training starts, and named by its line.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/fields.h"
#include "core/files.h"
#include "data/chat_row.h"
#include "data/sample.h"

namespace tessera::data {

/// A recipe's `[data.chat]` table.
struct ChatOptions {
  std::string path;            // the .jsonl file; pictures are looked for beside it
  double heldout_share = 0.0;  // of the rows; they never train
  int64_t frames = 8;          // of each clip, spread evenly
  int64_t samples = 0;         // number of rows to train on, chosen by the seed; 0: all
  int64_t seed = 0;            // order of each pass
  bool operator==(const ChatOptions&) const = default;
};
template <class V> void fields(V& v, ChatOptions& o) {
  v("path", o.path, "JSONL file of conversations; pictures are looked for beside it");
  v("heldout_share", o.heldout_share, "share of the rows that never train");
  v("frames", o.frames, "frames of each clip, spread evenly");
  v("samples", o.samples, "number of rows to train on (0: all)");
  v("seed", o.seed, "order of each pass");
}

/// Every pass visits each row once, in an order of its own. Rows stay on the disk; only their offsets are kept (of a file in
/// UTF-16 the text).
class ChatSource final : public SampleSource {
 public:
  /// Reads every row and looks for its pictures. Throws UserError naming file and line.
  explicit ChatSource(ChatOptions options);

  /// `messages` and `media`. Throws UserError naming file and line when a picture is damaged.
  Sample at(uint64_t index) const override;
  std::string edition() const override;
  std::optional<uint64_t> pass_length() const override { return training_.size(); }
  /// Rows that at() never gives, nor any that says the same.
  std::vector<Sample> heldout(uint64_t most) const override;

  /// Rows in the file's own order, as samples and as they are written.
  uint64_t rows() const { return lines_.size(); }
  Sample row(uint64_t place) const { return read(lines_[place]); }
  std::string_view line(uint64_t place) const { return words(lines_[place]); }

 private:
  struct Line {
    size_t begin, length;
    int64_t number;
  };
  std::string_view words(const Line& line) const { return all().substr(line.begin, line.length); }
  std::string_view all() const { return decoded_.empty() ? file_.bytes() : decoded_; }
  std::string where(const Line& line) const;
  Path path_of(const std::string& written) const;
  uint64_t checked_identity(const Line& line, RowRepairs& repairs) const;
  void divide();
  Sample read(const Line& line) const;

  ChatOptions options_;
  MappedFile file_;
  std::string decoded_;  // the text of a file in UTF-16; empty for UTF-8, which is read from the file
  std::vector<Line> lines_;
  std::vector<uint64_t> identities_;          // of each line: what is said and shown there
  std::vector<uint64_t> training_, heldout_;  // into lines_, in an order by chance that no seed changes
};

}  // namespace tessera::data
