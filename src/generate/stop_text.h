// Texts that end a continuation, found as it comes. What is given out never holds the beginning of a stop text that
// may still be completed, and does not depend on how the text is cut into tokens.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace tessera::generate {

class StopText {
 public:
  /// `stops` stand until this one ends; none of them is empty.
  explicit StopText(const std::vector<std::string>& stops) : stops_(&stops) {}

  /// Takes the next text, gives what can be shown now. Of several stop texts the one that is complete first counts,
  /// the longest of those that end together; nothing comes after it.
  std::string push(std::string_view text);
  /// What was held back. Nothing after a stop.
  std::string finish();
  bool stopped() const { return stopped_; }

 private:
  size_t held_back() const;
  const std::vector<std::string>* stops_;
  std::string held_;  // given in, not yet given out
  bool stopped_ = false;
};

}  // namespace tessera::generate
