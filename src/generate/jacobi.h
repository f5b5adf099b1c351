// Speculative Jacobi decoding (arXiv 2410.01699) with coupled draws: ids further on are guessed, a window of them is read in one pass, and
// those that would have been drawn anyway stay. What must stay true: ids are those that the plain loop draws.
#pragma once

#include "generate/id_loop.h"

namespace tessera::generate {

struct JacobiOptions {
  int64_t window = 16;  // ids of a sequence that a pass reads at most, at least 1
  /// Passes after which the ids of a window are taken as they are guessed, whatever would have been drawn: fewer passes for another
  /// distribution. 0: never, and nothing is lost.
  int64_t settle = 0;
  bool operator==(const JacobiOptions&) const = default;
};

struct JacobiCounts {
  int64_t passes = 0;   // of the model, the one that reads the prompts among them
  int64_t ids = 0;      // drawn, by all sequences
  int64_t settled = 0;  // of them: taken as guessed without being what would have been drawn
};

/// What may come after the ids of a sequence, by something else than the model: at most so many ids; often nothing.
using Recall = std::function<std::vector<int32_t>(const Sequence& sequence, int64_t most)>;

/// Runs sequences to their ends as run() does. The id at each place is drawn by random numbers that belong to the place alone, so a guess
/// made from logits that are nearly right is often the id that the right logits give; each pass keeps the ids up to the first that
/// is not, and guesses the ones after it again: what `recall` says, and beyond that from the logits it has just computed. Throws UserError for
/// options out of range.
JacobiCounts run_jacobi(TokenSteps& steps, std::span<Sequence* const> sequences, const JacobiOptions& options,
                        const std::function<bool(int64_t ids)>& on_step = {}, const Recall& recall = {});

}  // namespace tessera::generate
