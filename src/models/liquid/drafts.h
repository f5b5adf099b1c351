// Codes of pictures that a model was trained on, as guesses for what it draws next (retrieval-based speculative decoding, arXiv 2311.08252):
// a picture that begins like one of them often goes on like it. The model checks every guess, so that none changes a picture.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "core/files.h"

namespace tessera::liquid {

class PictureDrafts {
 public:
  static constexpr const char* file_name = "drafts.safetensors";  // in a model directory

  /// Pictures of one number of codes. Equal ones are kept once. Throws UserError when lengths differ or there are none.
  explicit PictureDrafts(std::vector<std::vector<int32_t>> pictures);

  /// What may follow `codes`, those that a picture has so far: at most `most` codes, of the picture that agrees with the longest run of the last
  /// of them at their places, and of such pictures the one that agrees at most places. Nothing where not even the last code agrees.
  std::vector<int32_t> after(std::span<const int64_t> codes, int64_t most) const;

  size_t size() const { return pictures_.size(); }
  const std::vector<std::vector<int32_t>>& pictures() const { return pictures_; }

  /// One tensor `codes` [pictures, codes of one].
  void save(const Path& file, FileSystem& files = disk()) const;
  /// That of a model directory; null where it has none. Throws UserError for a file that is no such table, or whose codes are not `count` in
  /// [0, codes).
  static std::shared_ptr<const PictureDrafts> in(const Path& directory, int64_t count, int64_t codes);

 private:
  std::vector<std::vector<int32_t>> pictures_;  // sorted
};

}  // namespace tessera::liquid
