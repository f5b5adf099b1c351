// Runs a program and keeps its output: for tests of the command line.
#pragma once

#include <chrono>
#include <string>
#include <vector>

namespace tessera::testing {

/// What a finished program left behind.
struct Finished {
  int status = -1;  // exit status, or 128 + signal
  std::string out;
  std::string err;
};

/// Runs `words` (program first) with standard input closed and `environment` ("NAME=value") added to ours.
Finished run(const std::vector<std::string>& words, const std::vector<std::string>& environment = {});

/// The `tessera` of this build with the given words after it.
Finished tessera(const std::vector<std::string>& words, const std::vector<std::string>& environment = {});

/// The path of that program.
std::string program();

/// The same as tessera(), with SIGKILL after `pause` where it has not ended by then.
Finished killed_after(std::chrono::milliseconds pause, const std::vector<std::string>& words,
                      const std::vector<std::string>& environment = {});

}  // namespace tessera::testing
