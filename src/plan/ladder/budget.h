// What to train for a given amount of compute: the size and the tokens that a ladder predicts to score best, how flat
// that optimum is, and how small a ladder would have given the same.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "plan/ladder/ladder.h"

namespace tessera::plan {

struct BudgetOptions {
  double flops = 0;             // for training and, if any, for inference together
  double inference_tokens = 0;  // to be served over the model's life, at 2 N FLOPs each
  double max_params = 0;        // above 0: no larger model (what the machine that serves it can hold)
  double tolerance = 0.01;  // a smaller ladder is as good when it predicts within this; a size when its mean accuracy
                            // is within a tenth of this of the best
  LadderOptions ladder;     // targets are ignored
};

/// One size on the budget's line.
struct BudgetPoint {
  double params = 0, tokens = 0, training_flops = 0, inference_flops = 0;
  double accuracy = 0;  // mean over the tasks, predicted
};
template <class V> void fields(V& v, BudgetPoint& p) {
  v("params", p.params, "");
  v("tokens", p.tokens, "");
  v("training_flops", p.training_flops, "");
  v("inference_flops", p.inference_flops, "");
  v("accuracy", p.accuracy, "mean over the tasks, a fraction");
}

/// A part of the ladder: all rungs up to a size and a length.
struct SubLadder {
  double max_params = 0, max_tokens_per_param = 0;
  size_t rungs = 0;
  double flops = 0, share = 0;  // of its training; as a share of the target's
  double deviation = 0;         // mean over tasks of |its prediction - the whole ladder's|, a fraction
};
template <class V> void fields(V& v, SubLadder& s) {
  v("max_params", s.max_params, "");
  v("max_tokens_per_param", s.max_tokens_per_param, "");
  v("rungs", s.rungs, "");
  v("flops", s.flops, "");
  v("share", s.share, "of the target's training compute");
  v("deviation", s.deviation, "from the whole ladder's prediction, a fraction");
}

struct Budget {
  BudgetPoint best;
  BudgetPoint smallest_as_good, largest_as_good;  // ends of the sizes that lose at most the tolerance's tenth
  std::vector<BudgetPoint> curve;                 // sizes around the best, ascending
  LadderForecast forecast;                        // of the best, with intervals and warnings
  std::vector<SubLadder> ladders;                 // every part that can be fitted, by cost
  double ladder_flops = 0;                        // of the whole ladder
  std::optional<SubLadder> cheapest;              // that deviates by at most the tolerance
};

/// Throws UserError: FLOPs that are not positive, inference that eats the whole budget at every size, a cap below any
/// sensible size, and what forecast_ladder throws.
Budget plan_budget(const LadderTable& table, const BudgetOptions& options, const LadderProgress& progress = {});

}  // namespace tessera::plan
