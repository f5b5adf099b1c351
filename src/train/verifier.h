// Rewards that can be checked: a rule, or a program of the user's, says what an answer is worth. What must stay true: the same attempts get
// the same rewards, and a program that breaks ends the run instead of handing out zeros.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/fields.h"

namespace tessera::train {

/// One answer to a question whose right answer is known.
struct Attempt {
  std::string prompt;     // the last user's turn
  std::string answer;     // what the model wrote
  std::string reference;  // the right answer, as the data have it
};

/// What an attempt is worth. A rule also says how it did under a stricter and a more lenient reading, since much of a gain can be format.
struct Verdict {
  double reward = 0;
  double strict = 0;   // 1 where the answer is the reference, blanks at its ends aside
  double lenient = 0;  // 1 where the reference can be found in it
};

/// A recipe's `[loss.reward]` table.
struct RewardTable {
  std::string rule = "number";
  std::string program;
  bool operator==(const RewardTable&) const = default;
};
template <class V> void fields(V& v, RewardTable& r) {
  v("rule", r.rule,
    "exact (the answer is the reference), number (its last number is the reference's last), contains (the reference "
    "stands in it, "
    "whatever its case) or program");
  v("program", r.program,
    "rule = \"program\": a shell command that reads lines of JSON with prompt, answer and reference and writes a "
    "number for each");
}

class Verifier {
 public:
  virtual ~Verifier() = default;
  /// A verdict for each attempt. Throws FaultError where a program fails.
  virtual std::vector<Verdict> judge(const std::vector<Attempt>& attempts) const = 0;
};

/// Throws UserError for an unknown rule and a program that is missing or that no rule asks for.
std::unique_ptr<Verifier> make_verifier(const RewardTable& table);

/// What each answer is worth beside the others to its prompt: its reward less its group's mean, over the group's deviation where `scaled`
/// (GRPO, arXiv 2402.03300). Rewards lie beside each other in groups of `group`; one whose rewards are all equal gets zeros.
std::vector<double> group_advantages(const std::vector<double>& rewards, int64_t group, bool scaled);

/// The last number of a text, in a plain form in which equal numbers are equal texts: "1,250.50" -> "1250.5"; "" where there is none.
std::string last_number(std::string_view text);

}  // namespace tessera::train
