// What the benchmark programs share: requests as JSON lines in, answers out; a mistake is one line and exit status 2.
#pragma once

#include <iostream>
#include <string>
#include <vector>

#include "core/json.h"

namespace tessera::bench {

/// Answers every line of standard input until it ends.
template <class Answer> void serve(const Answer& answer) {
  for (std::string line; std::getline(std::cin, line);)
    std::cout << answer(parse_json(line, "request")).dump() << std::endl;
}

/// The body of main(): `run` takes the words of the command line.
template <class Run> int guarded(int count, char** words, const Run& run) {
  try {
    return run(std::vector<std::string>(words + 1, words + count));
  } catch (const std::exception& error) {
    std::cerr << error.what() << "\n";
    return 2;
  }
}

}  // namespace tessera::bench
