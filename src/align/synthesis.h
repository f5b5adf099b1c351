// New prompts from a base model that is shown a few (ALMA 3.1), and the choice of a round's prompts.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "align/recipe.h"
#include "align/store.h"
#include "models/capabilities.h"

namespace tessera::align {

/// The text that a base model continues with one more prompt: the examples as a numbered list that breaks off before the next one.
std::string few_shot_text(const std::vector<std::string>& examples);
/// The prompt in what it wrote: up to the line's end, without blanks at its ends; "" for one of no letter.
std::string prompt_in(std::string_view continuation);

/// How a pool came to be.
struct Synthesis {
  int64_t written = 0;  // continuations in all
  int64_t empty = 0;    // without a prompt
  int64_t equal = 0;    // that were there already
  int64_t near = 0;     // that nearly were
  int64_t kept = 0;     // in the store, with those of earlier processes
};

/// Adds synthetic prompts until the store holds `table.pool` or too few are new; goes on where an earlier process stopped. Batches are
/// numbered: number i is a function of (seed, i) alone. `examples`: the seeds' prompts. Ctrl-C ends it after a batch.
Synthesis synthesize(const Writes& base, Store& store, const std::vector<StoredPrompt>& examples,
                     const PromptTable& table, uint64_t seed, int64_t at_once);

/// Prompts for a round that were never used: with clusters one of each, drawn by chance, from those with unused prompts; else any. Throws
/// UserError when too few are left.
std::vector<int64_t> choose_prompts(const Store& store, int64_t round, int64_t count, bool diversified, uint64_t seed);

}  // namespace tessera::align
