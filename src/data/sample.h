// What training eats: a picture with its words, and where samples come from.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "media/image.h"

namespace tessera {

/// One picture and its caption.
struct Sample {
  Image picture;
  std::string caption;
  /// Two samples of one source with the same `picture_id` have the same pixels; what is computed from the picture
  /// alone (its codes) may be kept under this id. Empty: never repeated.
  std::optional<uint64_t> picture_id;
};

/// An endless, random-access stream of samples: `at(i)` is a pure function of i, so a run resumes from a number.
class SampleSource {
 public:
  virtual ~SampleSource() = default;
  virtual Sample at(uint64_t index) const = 0;
  /// How many samples make one pass, when the source is finite.
  virtual std::optional<uint64_t> pass_length() const { return std::nullopt; }
};

}  // namespace tessera
