// Ranked classification as OLMES defines it (arXiv 2406.08446): requests are scored as they are published, and each of
// the standard's ways to choose among them is reported.
#pragma once

#include <functional>
#include <map>
#include <optional>

#include "eval/intervals.h"
#include "eval/olmes_task.h"
#include "models/capabilities.h"

namespace tessera::eval {

/// What one document came to.
struct OlmesOutcome {
  std::vector<double> nats;           // -log p of each continuation
  std::vector<double> unconditional;  // the same after "Answer:" alone, or empty
  std::map<std::string, bool> right;  // by each of olmes_metrics that can be judged; empty for a single continuation
  double bpb = 0;                     // bits per byte of the right continuation, its blank counted (OLMES)
  // As the ladder paper has them (arXiv 2412.04403): the blank before a continuation does not count.
  double ladder_bpb = 0;
  bool ladder_right = false;  // most likely per character
  double ladder_ce = 0;       // nats of the right one among the choices
};

struct Share {
  double share = 0;
  Interval interval;
};

struct OlmesResult {
  std::vector<OlmesOutcome> outcomes;  // a document each
  int64_t count = 0;
  std::map<std::string, Share> accuracies;  // by metric; empty for a task of bits per byte
  Mean bpb, ladder_bpb, ladder_ce;
  Share ladder_acc;
  std::map<std::string, Share> groups;  // MMLU's subjects, by the primary metric
  int64_t positions = 0;                // that went through the model
  int64_t naive_positions = 0;          // that would, if every request were read whole
  int64_t truncated = 0;                // requests whose context lost its beginning
};

/// Log-likelihoods of all requests and what follows from them. Characters are code points of UTF-8. Equal choices: the
/// earlier wins. MMLU's ladder numbers are means over its four categories, as the ladder's own are. `on_progress` is
/// called with the number of documents done. Throws UserError for a continuation that is longer than the model's
/// context.
OlmesResult measure_olmes(const Writes& model, const OlmesTask& task,
                          const std::function<void(int64_t done)>& on_progress = {});

/// What judges a document's choices, from their -log p alone.
OlmesOutcome olmes_outcome(const OlmesDocument& document, std::vector<double> nats, std::vector<double> unconditional,
                           const std::vector<size_t>& tokens);

/// Context and continuation as tokens, parted as lm-evaluation-harness parts them: white space at the context's end
/// goes to the continuation, both are encoded as one text, and what lies behind as many tokens as the context alone
/// has is the continuation. A begin token stands first when the tokenizer sets one. Of more than `longest` + 1 tokens
/// the first are left out (`truncated`).
struct OlmesTokens {
  Writes::ScoreRequest request;
  bool truncated = false;
};
OlmesTokens olmes_tokens(const text::Tokenizer& tokenizer, std::string context, std::string continuation,
                         int64_t longest, const std::string& where);

}  // namespace tessera::eval
