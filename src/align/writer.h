// Many answers and prompts from one loaded model, as many side by side as memory is meant for. What must stay true: what is written for a job
// depends on the job alone, so that a run that goes on writes the same.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "models/capabilities.h"

namespace tessera::align {

/// One text to write.
struct WritingJob {
  std::vector<int32_t> prompt;  // ids
  uint64_t seed = 0;            // of its draws
  size_t key = 0;               // of the caller
};

struct WritingOptions {
  int64_t max_tokens = 256;
  double temperature = 1, top_p = 1;
  std::vector<std::string> stop;
  int64_t at_once = 16;
};

/// What came of a job.
struct WrittenText {
  size_t key = 0;
  std::string text;
  int64_t tokens = 0;
  bool finished = false;  // by an end token or a stop text
};

/// Writes all jobs: as one ends, the next joins. `done` gets them as they end, in an order of their own; false stops. Jobs that begin alike and
/// stand beside each other share what is read of their prompts. Throws UserError for a prompt that leaves no room.
void write_all(const Writes& model, const std::vector<WritingJob>& jobs, const WritingOptions& options,
               const std::function<bool(WrittenText)>& done);

}  // namespace tessera::align
