// What a loaded model can do. Verbs and servers ask for the capability and know nothing else of a model.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "media/image.h"

namespace tessera {

/// Pictures of one batch as they stand after a scale.
struct ScaleView {
  size_t scale = 0;   // from 0
  size_t scales = 0;  // how many there are
  size_t first = 0;   // index of the batch's first prompt
  std::vector<Image> pictures;
};

struct DrawRequest {
  std::vector<std::string> prompts;  // one picture each
  uint64_t seed = 0;
  uint64_t first_picture = 0;   // index that the first prompt counts as: picture i draws by (seed, first_picture + i)
  std::vector<double> cfg;      // guidance, one number or one per scale; empty: the model's own
  std::vector<double> tau;      // temperature, one number or one per scale; empty: the model's own
  std::optional<double> top_p;  // absent: the model's own
  double aspect = 1;            // height / width
  std::optional<Image> from;    // a picture whose first `keep_scales` scales are kept ("gt_leak")
  int64_t keep_scales = 0;
  int64_t batch = 16;     // prompts drawn at once
  bool use_cache = true;  // false: every scale goes through all earlier ones again (the slow second way)
  std::function<void(const ScaleView&)> on_scale;  // absent: only finished pictures are decoded
  std::function<void(size_t done)> on_batch;       // sees how many pictures are finished
};

/// Pictures from words.
class Draws {
 public:
  virtual ~Draws() = default;
  /// One picture for each prompt. Throws UserError for an empty or over-long prompt and for numbers out of range.
  virtual std::vector<Image> draw(const DrawRequest& request) const = 0;
};

/// Reads "W:H" (16:9) or a height / width number (0.5625). Throws UserError outside 1:4 to 4:1.
double parse_aspect(std::string_view text);

}  // namespace tessera
