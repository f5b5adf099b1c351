// Ranked answers to rows.
#include "align/best_answers.h"

#include <algorithm>

#include "align/inputs.h"
#include "core/rng.h"

namespace tessera::align {

int64_t best_of(const std::vector<ScoredAnswer>& answers) {
  const auto usable = std::ranges::find_if(
      answers, [](const ScoredAnswer& a) { return a.answer.finished && !a.answer.text.empty() && a.mass > 0; });
  return usable == answers.end() ? -1 : usable - answers.begin();
}

std::string best_row(const StoredPrompt& prompt, const std::vector<ScoredAnswer>& answers, BestForm form,
                     uint64_t seed) {
  const int64_t best = best_of(answers);
  if (best < 0) return "";
  const std::string& chosen = answers[static_cast<size_t>(best)].answer.text;
  if (form == BestForm::conversations) return row_of(prompt.text, chosen);
  std::vector<const std::string*> worse;
  for (size_t i = static_cast<size_t>(best) + 1; i < answers.size(); ++i) {
    const std::string& text = answers[i].answer.text;
    if (!text.empty() && text != chosen && answers[i].mass > 0) worse.push_back(&text);
  }
  if (worse.empty()) return "";
  Rng rng = Rng(seed).split(static_cast<uint64_t>(prompt.id));
  const Json row = {{"prompt", prompt.text}, {"chosen", chosen}, {"rejected", *worse[rng.below(worse.size())]}};
  return row.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
}

void each_best_row(const Store& store, int64_t round, std::string_view judge, BestForm form, uint64_t seed,
                   const std::function<void(const std::string& row)>& visit) {
  store.each_scored(round, judge, [&](const StoredPrompt& prompt, const std::vector<ScoredAnswer>& answers) {
    if (const std::string row = best_row(prompt, answers, form, seed); !row.empty()) visit(row);
  });
}

}  // namespace tessera::align
