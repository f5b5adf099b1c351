// What people give to a run: seeds and ratings, read and checked whole before anything is trained.
#pragma once

#include <string>
#include <vector>

#include "align/judge.h"
#include "align/recipe.h"
#include "align/store.h"

namespace tessera::align {

struct Inputs {
  std::vector<StoredPrompt> prompts;  // of the seeds, those that are there twice too
  std::string seed_rows;              // JSONL as it was given
  std::vector<RatedAnswer> ratings;   // none where endpoints judge
};

/// Reads both files. Throws UserError naming file and row: a row that is no conversation or has pictures, one that asks nothing, and what
/// read_ratings() refuses.
Inputs read_inputs(const AlignRecipe& recipe);

/// A conversation of one question as a line of a JSONL file.
std::string row_of(std::string_view prompt, std::string_view answer);

/// What the judge learns: a row for each rating.
std::string lessons_of(const std::vector<RatedAnswer>& ratings, const Scale& scale);

}  // namespace tessera::align
