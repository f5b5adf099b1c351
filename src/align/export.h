// What a run has made as rows of JSONL: everything, or the best answers, which are also what a round trains on. Files are written row by row, so
// that a store of any size takes no memory. What must stay true: the worse answer of a pair is never the best one, and never scored above it.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "align/recipe.h"
#include "align/store.h"

namespace tessera::align {

enum class BestForm { conversations, pairs };

/// The best answer that ended by itself, which the judge gave a score: its index, or -1 where there is none. `answers` by falling score.
int64_t best_of(const std::vector<ScoredAnswer>& answers);

/// A line of JSONL, or "" for a prompt that teaches nothing. Of pairs, the best answer against another one drawn by chance from those that are
/// ranked behind it and say something else.
std::string best_row(const StoredPrompt& prompt, const std::vector<ScoredAnswer>& answers, BestForm form,
                     uint64_t seed);

/// The rows of a round, one by one.
void each_best_row(const Store& store, int64_t round, std::string_view judge, BestForm form, uint64_t seed,
                   const std::function<void(const std::string& row)>& visit);

/// The recipe that a run was begun with, out of its store; of a store that was begun with none, UserError.
AlignRecipe recipe_of(const Store& store);

/// Every prompt with its answers and scores: a line for each score, for each answer without one, and for each prompt without an answer.
/// Returns the number of lines.
int64_t export_all(const Store& store, const Path& file, FileSystem& files = disk());

/// The best answers of all scored rounds, as the run learns them: conversations as `tessera train` reads them, or preference pairs.
int64_t export_best(const Store& store, BestForm form, const Path& file, FileSystem& files = disk());

}  // namespace tessera::align
