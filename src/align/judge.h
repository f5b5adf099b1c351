// A language model as a judge: how good an answer is, as a number between the scores it can give. What must stay true: the number is right for
// any tokenizer, also where "10" is two tokens and where the score does not come first.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "models/capabilities.h"
#include "text/message.h"

namespace tessera::align {

/// The judge's scale: whole scores from `low` to `high`.
struct Scale {
  int64_t low = 0, high = 10;
  int64_t count() const { return high - low + 1; }
  bool operator==(const Scale&) const = default;
};

/// An answer that people have rated.
struct RatedAnswer {
  std::string prompt, answer;
  double rating = 0;
};

/// The question to a judge, as the ALMA paper's appendix A.1 describes it: impartial, what counts, the scale, the form "Rating: [[3]]" as an
/// example, then the prompt and the response.
std::string judge_question(std::string_view prompt, std::string_view answer, const Scale& scale);
/// What a judge answers: "Rating: [[7]]".
std::string judge_answer(int64_t score);
/// A conversation that teaches a judge one rating, rounded to the scale.
std::vector<text::Message> judge_lesson(const RatedAnswer& rated, const Scale& scale);

/// What a judge thinks of an answer.
struct Judgement {
  double score = 0;                   // sum of s P(s) over the scale, P renormalised over it
  int64_t likeliest = 0;              // the most probable score, the lowest of equals
  bool tied = false;                  // whether another is as probable
  double mass = 0;                    // probability that it gives one of the scores at all, before P is renormalised
  std::vector<double> probabilities;  // of each score
};

/// From the log probability of each score's whole answer, in the order of the scale.
Judgement judgement_of(const std::vector<double>& log_probabilities, const Scale& scale);

/// Judges answers by one pass over each question: the eleven answers that a judge may give differ in their last tokens alone and share the
/// rest. `temperature` 1. An answer that is too long for the context is judged by its beginning. Throws UserError when the model has no chat
/// template, and for a prompt that leaves no room.
class Judge {
 public:
  Judge(const Writes& model, Scale scale) : model_(&model), scale_(scale) {}
  struct Request {
    std::string_view prompt, answer;
  };
  std::vector<Judgement> judge(const std::vector<Request>& requests) const;

 private:
  std::vector<int32_t> question(const Request& request, int64_t room) const;

  const Writes* model_;
  Scale scale_;
};

/// How well judgements agree with people: of all pairs of answers to one prompt that people rate differently, the share that the judge
/// puts in the same order. Pairs that the judge holds for equal count half, and are told.
struct Agreement {
  int64_t pairs = 0;
  double right = 0;  // ties count half
  int64_t ties = 0;
  double share() const { return pairs == 0 ? 0 : right / static_cast<double>(pairs); }
};
/// `groups`: of each answer its prompt; `ratings` and `scores` of each answer.
Agreement agreement(const std::vector<int64_t>& groups, const std::vector<double>& ratings,
                    const std::vector<double>& scores);

/// Whether a judge says the same of everything: fewer than two of its scores differ by more than a hundredth of the scale.
bool says_one_thing(const std::vector<double>& scores, const Scale& scale);

/// Rated answers from JSONL: {"prompt", "response" (or "answer"), "score" (or "rating")}. Throws UserError naming file and line for a key that is
/// missing or of the wrong type, an empty prompt or answer and a rating outside of the scale; says how many rows are there twice.
std::vector<RatedAnswer> read_ratings(const Path& file, const Scale& scale);

}  // namespace tessera::align
