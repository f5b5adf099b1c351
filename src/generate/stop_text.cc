// The text that is not given out yet is always shorter than the longest stop text, so each push looks at little.
#include "generate/stop_text.h"

#include <algorithm>
#include <utility>

namespace tessera::generate {

std::string StopText::push(std::string_view text) {
  if (stopped_) return "";
  held_ += text;
  size_t begin = held_.size(), end = std::string::npos;
  for (const std::string& stop : *stops_) {
    const size_t at = held_.find(stop);
    if (at == std::string::npos || at + stop.size() > end) continue;
    begin = at + stop.size() < end ? at : std::min(begin, at);
    end = at + stop.size();
  }
  stopped_ = end != std::string::npos;
  std::string shown = held_.substr(0, stopped_ ? begin : held_.size() - held_back());
  held_.erase(0, stopped_ ? held_.size() : shown.size());
  return shown;
}

std::string StopText::finish() { return std::exchange(held_, ""); }

/// Length of the longest end of the text that a stop text begins with.
size_t StopText::held_back() const {
  size_t longest = 0;
  for (const std::string& stop : *stops_) {
    for (size_t n = std::min(stop.size() - 1, held_.size()); n > longest; --n) {
      if (held_.compare(held_.size() - n, n, stop, 0, n) == 0) longest = n;
    }
  }
  return longest;
}

}  // namespace tessera::generate
