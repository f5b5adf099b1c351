// Repetition metrics of continuations (Hyperfitting, ICLR 2025): variety, repetition, how certain the model is, and how
// much of the text it has read verbatim. Everything is counted in the model's own tokens; special tokens never count.
#pragma once

#include <functional>
#include <map>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "data/citation_index.h"
#include "eval/intervals.h"
#include "models/capabilities.h"

namespace tessera::eval {

/// A text that is continued: its own words follow, so that they can be set beside the model's.
struct Context {
  std::string prompt;
  std::vector<int32_t> prompt_ids, reference;  // the text's own continuation
};

/// `count` contexts of `prompt_tokens` that are each followed by `reference_tokens`, spread evenly over all texts. Throws UserError
/// when the texts are too short for one.
std::vector<Context> contexts_of(const std::vector<std::string>& texts, const text::Tokenizer& tokenizer, int64_t count,
                                 int64_t prompt_tokens, int64_t reference_tokens);

struct DiversityTask {
  std::vector<Context> contexts;
  std::vector<int64_t> lengths = {96, 224};  // new tokens after which is measured; rising
  int64_t window = 50;                       // tokens of the sliding type-token ratio
  generate::TextOptions options;             // how tokens are drawn
  double match_entropy = 0;  // draw at the temperature whose predictions have this entropy (nats); 0: as options say
  const data::CitationIndex* read = nullptr;  // what the model was trained on
  int64_t batch = 32;
  std::function<void(int64_t done)> on_progress;  // contexts
};

/// Of texts cut to one length.
struct Variety {
  int64_t tokens = 0;  // the requested length
  Mean counted;        // tokens that a text has; fewer where it ended by itself
  Mean ttr,
      ttr_window;  // different tokens over tokens; the same over windows, averaged (MATTR, Covington and McFall 2010)
  std::map<int64_t, double> repeated;  // by n: share of n-grams that were there before in the same text
  double self_bleu = 0;                // BLEU-4 of each text against all others, averaged
  double read_bleu = 0;                // BLEU-4 against all training passages
  Mean longest_read;                   // longest run of tokens that occurs in the training data
  int64_t longest_read_at_most = 0;    // over all texts
  double over_ten = 0;                 // share of texts with a run of more than ten
};

/// Predictions of the contexts' own continuations.
struct Certainty {
  double perplexity = 0, entropy = 0, top1 = 0;  // entropy in nats; top1: mean probability of the most likely token
};

struct DiversityResult {
  std::vector<Variety> written, reference;  // one for each length
  Certainty certainty;                      // at temperature 1
  double temperature = 0;                   // that tokens were drawn at
  std::vector<Written> texts;
};

/// Throws UserError when lengths, window and contexts do not go together.
DiversityResult measure_diversity(const Writes& model, const DiversityTask& task);

/// Share of the predictions of the contexts' own continuations whose most likely token is another one in `other`. Throws UserError when
/// the two have different tokenizers.
double changed_top1(const Writes& model, const Writes& other, const std::vector<Context>& contexts, int64_t batch);

Certainty measure_certainty(const Writes& model, const std::vector<Context>& contexts, double temperature,
                            int64_t batch);

using Texts = std::vector<std::vector<int32_t>>;
/// BLEU (Papineni et al. 2002) of orders 1 to 4 against many references at once, each n-gram's count clipped to the most that one
/// reference holds; orders above 1 smoothed by one (Lin and Och 2004); no brevity penalty, since texts are cut to one length.
class Bleu {
 public:
  explicit Bleu(const Texts& references);
  double of(std::span<const int32_t> text) const;
  /// `own`: index of the text itself among the references, which does not count.
  double of_reference(size_t own) const;

 private:
  struct Most {
    int64_t first = 0, second = 0;  // the largest and the next largest count in one reference
    size_t holder = 0;              // the reference of the largest
  };
  template <class Allowed> double score(std::span<const int32_t> text, Allowed allowed) const;
  std::unordered_map<uint64_t, Most> most_;  // by n-gram
  const Texts* references_;
};

}  // namespace tessera::eval
