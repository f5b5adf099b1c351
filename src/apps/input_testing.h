// Standard input for tests of the verbs that read it.
#pragma once

#include <iostream>
#include <sstream>
#include <string>

namespace tessera::apps {

/// Standard input holds these bytes as long as it lives.
class StandardInput {
 public:
  explicit StandardInput(const std::string& bytes) : bytes_(bytes), before_(std::cin.rdbuf(bytes_.rdbuf())) {
    std::cin.clear();
  }
  ~StandardInput() {
    std::cin.rdbuf(before_);
    std::cin.clear();
  }
  StandardInput(const StandardInput&) = delete;
  StandardInput& operator=(const StandardInput&) = delete;

 private:
  std::istringstream bytes_;
  std::streambuf* before_;
};

}  // namespace tessera::apps
