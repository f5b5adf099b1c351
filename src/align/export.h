// What a run has made as JSONL files, written row by row: a store of any size takes no memory to export.
#pragma once

#include "align/best_answers.h"
#include "align/recipe.h"
#include "align/store.h"

namespace tessera::align {

/// The recipe that a run was begun with, out of its store; of a store that was begun with none, UserError.
AlignRecipe recipe_of(const Store& store);

/// Every prompt with its answers and scores: a line for each score, for each answer without one, and for each prompt without an answer.
/// Returns the number of lines.
int64_t export_all(const Store& store, const Path& file, FileSystem& files = disk());

/// The best answers of all scored rounds, as the run learns them: conversations as `tessera train` reads them, or preference pairs.
int64_t export_best(const Store& store, BestForm form, const Path& file, FileSystem& files = disk());

}  // namespace tessera::align
