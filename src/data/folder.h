// People's own pictures: a folder with captions.jsonl ({"file": "a.png", "caption": "..."} a line), or pictures that have
// their caption in a text file of the same stem (a.png, a.txt).
#pragma once

#include <string>
#include <vector>

#include "core/fields.h"
#include "core/files.h"
#include "data/sample.h"

namespace tessera::data {

/// A recipe's `[data.folder]` table.
struct FolderOptions {
  std::string path;            // the folder
  int64_t size = 64;           // samples are the centred square, scaled to this edge
  int64_t seed = 0;            // order of each pass
  double heldout_share = 0.0;  // of the pictures; they never train
  bool operator==(const FolderOptions&) const = default;
};
template <class V> void fields(V& v, FolderOptions& o) {
  v("path", o.path, "folder with captions.jsonl, or with pictures and .txt files of the same name");
  v("size", o.size, "edge in pixels of the centred square that is taken");
  v("seed", o.seed, "order of each pass");
  v("heldout_share", o.heldout_share, "share of the pictures that never train");
}

/// Every pass visits each picture once, in an order of its own.
class FolderSource final : public SampleSource {
 public:
  /// Reads the captions and checks that every picture is there. Throws UserError naming file and line: no folder, no
  /// captions, a line that is no JSON, a missing key or picture.
  explicit FolderSource(FolderOptions options);
  /// Throws UserError naming the file when a picture is damaged.
  Sample at(uint64_t index) const override;
  std::optional<uint64_t> pass_length() const override { return training_.size(); }
  /// Pictures that at() never gives: a file with two captions is on one side.
  std::vector<Sample> heldout(uint64_t most) const override;
  size_t longest_caption() const override;

 private:
  struct Item {
    Path file;
    std::string caption;
  };
  std::vector<Item> read_captions(const Path& file) const;
  std::vector<Item> find_text_files() const;
  void divide();
  Sample sample_of(uint64_t item) const;

  FolderOptions options_;
  std::vector<Item> items_;
  std::vector<uint64_t> training_, heldout_;  // into items_
};

}  // namespace tessera::data
