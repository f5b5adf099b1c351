// MMLU from its rows: prompts as ranked classification asks them (OLMES's "rc"), which no request file holds.
#pragma once

#include "eval/olmes_task.h"

namespace tessera::eval {

/// Whether a folder holds subjects, each with Arrow files in dev/ and validation/ or test/.
bool is_mmlu(const Path& folder);

/// Variants are val_rc_5shot and test_rc_5shot (which split is asked): before each question one line names the
/// subject, then come the subject's first five rows of dev, solved. Throws UserError: another variant, files that are
/// no Arrow streams, rows without texts 'question', lists 'choices' or an 'answer' among them, a subject with fewer
/// than five solved examples.
OlmesTask read_mmlu(const Path& folder, const std::string& variant);

/// Which of stem, humanities, social_sciences and other a subject belongs to (Hendrycks et al. 2021); "" for one that
/// is none of the 57.
std::string mmlu_category(const std::string& subject);

}  // namespace tessera::eval
