// Names of Gloo that c10d's ProcessGroupGloo.hpp mentions. LibTorch's wheel holds Gloo itself, compiled, but not its headers; the process
// group is made and called through its own exported functions, which hide these types behind pointers. Nothing here is ever
// constructed, called or derived from by Tessera; a LibTorch that brings Gloo's headers is built against those.
#pragma once

#include <chrono>

namespace gloo {

class Context {
 public:
  void setTimeout(std::chrono::milliseconds timeout);
};

}  // namespace gloo
