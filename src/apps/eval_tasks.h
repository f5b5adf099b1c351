// Tasks of `tessera eval` beside those of eval.cc. Each prints a table and returns what --json adds.
#pragma once

#include "apps/eval.h"
#include "core/json.h"
#include "data/emoji_source.h"
#include "models/registry.h"

namespace tessera::apps {

Json measure_choice(const EvalOptions& options);      // eval_text.cc
Json measure_perplexity(const EvalOptions& options);  // eval_text.cc
Json measure_diversity(const EvalOptions& options);   // eval_diversity.cc
Json measure_emoji_qa(const EvalOptions& options);    // eval_sight.cc
Json measure_fid(const EvalOptions& options);         // eval_sight.cc

/// The names that the model was trained on, from the recipe in its directory; without one, all of Emoji World.
data::EmojiOptions emoji_of(const EvalOptions& options);
/// --count, or the task's own default.
int64_t count_or(const EvalOptions& options, int64_t otherwise);
/// Throws UserError when the model does not draw.
const Draws& drawing_model(const LoadedModel& model, const EvalOptions& options);

}  // namespace tessera::apps
