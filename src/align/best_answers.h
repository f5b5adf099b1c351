// The best answers of scored rounds as rows to learn: what a round trains on, and what `tessera align export --best` writes. What must stay
// true: the worse answer of a pair is never the best one, and never scored above it.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

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

}  // namespace tessera::align
