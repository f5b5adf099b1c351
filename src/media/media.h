// What people bring along with a question: pictures and clips.
#pragma once

#include <string>
#include <vector>

#include "media/image.h"

namespace tessera {

/// A picture, or the frames of a clip in order.
struct Media {
  std::vector<Image> frames;
  bool clip = false;
  std::string source;  // names it in errors
  bool operator==(const Media&) const = default;
};

}  // namespace tessera
