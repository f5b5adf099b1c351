// How well a model predicts a text: sliding windows, so that every token but a document's first ones has much context
// before it.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "core/files.h"
#include "eval/intervals.h"
#include "models/capabilities.h"

namespace tessera::eval {

struct PerplexityTask {
  std::vector<std::string> documents;
  int64_t window = 0;  // tokens in the model's context at once; 0: the model's context length
  int64_t stride = 0;  // tokens that are scored of a window after the first; 0: half of it
  std::function<void(int64_t done, int64_t total)> on_progress;  // windows
};

struct PerplexityResult {
  int64_t documents = 0, tokens = 0, bytes = 0;  // that were scored
  double nats_per_token = 0;                     // the language-model loss
  Interval nats_interval;                        // over windows
  double perplexity = 0;                         // exp of it
  double bits_per_byte = 0;
};

/// Each token once. A tokenizer's begin token comes before a document and is not scored; without one a document's
/// first token has nothing before it and counts neither as token nor in bytes. Throws UserError for a window over the
/// context, a stride over the window, and documents without a token to score.
PerplexityResult measure_perplexity(const Writes& model, const PerplexityTask& task);

/// The words (core/text_file.h) of a text file, or of every .txt and .md file of a folder, sorted by path. Throws UserError when
/// there is none.
std::vector<std::string> read_documents(const Path& path);

}  // namespace tessera::eval
