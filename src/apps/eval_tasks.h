// Tasks of `tessera eval` beside those of eval.cc. Each prints a table and returns what --json adds.
#pragma once

#include <map>

#include "apps/eval.h"
#include "core/json.h"
#include "data/emoji_source.h"
#include "eval/intervals.h"
#include "models/registry.h"

namespace tessera::apps {

Json measure_choice(const EvalOptions& options);      // eval_text.cc
Json measure_olmes(const EvalOptions& options);       // eval_olmes.cc
Json measure_perplexity(const EvalOptions& options);  // eval_text.cc
Json measure_diversity(const EvalOptions& options);   // eval_diversity.cc
Json measure_emoji_qa(const EvalOptions& options);    // eval_sight.cc
Json measure_fid(const EvalOptions& options);         // eval_sight.cc

/// The names that the model was trained on, from the recipe in its directory; without one, all of Emoji World.
data::EmojiOptions emoji_of(const EvalOptions& options);
/// Pictures with captions of the folder that the model was trained on, at most --count of them in squares of `size`, held-out ones where some
/// are; nothing for a model of other data. Throws UserError when the folder is not there any more.
std::vector<Sample> own_samples(const EvalOptions& options, int64_t size);
/// Says where the model was trained on other pictures than the task asks about.
void warn_of_other_pictures(const EvalOptions& options);
/// --count, or the task's own default.
int64_t count_or(const EvalOptions& options, int64_t otherwise);
/// The one --data. Throws UserError for none and for several; `what` says what it should be.
const Path& data_of(const EvalOptions& options, const char* what);
/// Throws UserError when the model does not write.
const Writes& writing_model(const LoadedModel& model, const EvalOptions& options);
/// What `tessera plan density` asks of a model, as far as it is known.
Json model_facts(const EvalOptions& options);
Json both(const eval::Interval& interval);
/// Refuses before the model runs what append_row() would refuse after it.
void check_row(const EvalOptions& options);
/// Puts cells into the table of --append, if that is given.
void append_row(const EvalOptions& options, const std::map<std::string, double>& cells);
/// Throws UserError when the model does not draw.
const Draws& drawing_model(const LoadedModel& model, const EvalOptions& options);

}  // namespace tessera::apps
