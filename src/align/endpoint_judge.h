// Servers as judges. Where all of them give log probabilities of a text that they are shown (/v1/completions with "echo" and "logprobs"), the score is
// the same mean over the scale as a model's here; else it is the whole number that they write. Which of the two is decided once for a run,
// since scores of both kinds cannot be compared.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "align/judge.h"
#include "align/recipe.h"

namespace tessera::align {

enum class JudgeForm { log_probabilities, integers };
std::string name_of(JudgeForm form);             // "log probabilities", "integers"
JudgeForm judge_form_of(std::string_view name);  // throws UserError for another name

/// Asks every server once; says which of them give no log probabilities. Nothing when `stop`, which is asked between events, ended it first.
/// Throws FaultError for one that does not answer.
std::optional<JudgeForm> judge_form(const JudgeTable& judge, const std::function<bool()>& stop);

/// Judges all requests; `done` gets their numbers and judgements as they come. One without a score, after three tries, has mass 0 and the lowest
/// score. Throws as ask_endpoints() does.
void judge_elsewhere(const JudgeTable& judge, JudgeForm form, const std::vector<Judge::Request>& requests,
                     const std::function<void(size_t request, const Judgement& judgement)>& done,
                     const std::function<bool()>& stop);

/// The score that a text gives: in double brackets, after "Rating:", or the first thing that it says; nothing outside of the scale.
std::optional<int64_t> score_in(std::string_view words, const Scale& scale);

/// Log probability of each score's text, out of the body of a completion whose choices echo the question with each of them; nothing where the
/// server does not say.
std::optional<std::vector<double>> echoed_log_probabilities(const Json& body, const Scale& scale);

}  // namespace tessera::align
