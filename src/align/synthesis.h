// New prompts from a base model that is shown a few (ALMA 3.1), and the choice of a round's prompts.
#pragma once

#include <cstdint>
#include <functional>
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
  int64_t written = 0;  // continuations in all, with those of earlier processes
  int64_t empty = 0;    // without a prompt
  int64_t near = 0;     // that said what another says
  int64_t kept = 0;     // in the store
};
template <class V> void fields(V& v, Synthesis& s) {
  v("written", s.written, "continuations in all");
  v("empty", s.empty, "without a prompt");
  v("near", s.near, "that said what another says");
  v("kept", s.kept, "in the store");
}

/// Adds synthetic prompts until the store holds `table.pool` or too few are new; goes on where an earlier process stopped. Batches are
/// numbered: number i is a function of (seed, i) alone. Examples are the store's seeds. Ctrl-C ends it, within a batch without it.
/// `on_progress` is given how many are kept. Throws UserError for fewer seeds than are shown.
Synthesis synthesize(const Writes& base, Store& store, const PromptTable& table, uint64_t seed, int64_t at_once,
                     const std::function<void(int64_t kept)>& on_progress);

/// Prompts for a round that were never used: with clusters one of each, drawn by chance, from those with unused prompts; else any. Throws
/// UserError when too few are left.
std::vector<int64_t> choose_prompts(const Store& store, int64_t round, int64_t count, bool diversified, uint64_t seed);

}  // namespace tessera::align
