// Direct preference optimisation: a language model learns to prefer one answer to another, as far as a reference allows. The reference is the
// model as training found it; what must stay true: its log probabilities are computed once for each pair and kept in the run's directory.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "models/lm/training/answer_scores.h"
#include "models/lm/training/objective.h"

namespace tessera::lm {

/// A recipe's `[loss]` table for the objective "preference".
struct PreferenceTraining {
  std::string kind = "sigmoid";
  double beta = 0.1;
  double smoothing = 0;
  double sft = 0;
  int64_t length = 0;
  AnswerRows rows;
  bool operator==(const PreferenceTraining&) const = default;
};
template <class V> void fields(V& v, PreferenceTraining& t) {
  v("kind", t.kind, "sigmoid (DPO) or ipo (squared distance to a margin of 1 / (2 beta), log probabilities per token)");
  v("beta", t.beta, "how strongly the reference holds the model; smaller lets it go further");
  v("smoothing", t.smoothing, "sigmoid: share of pairs whose labels are taken to be wrong, below 0.5");
  v("sft", t.sft, "weight of the chosen answer's own loss per token beside the preference");
  v("length", t.length, "longest conversation in tokens; longer ones are cut (0: the model's context)");
  fields(v, t.rows);
}

/// Two answers to one prompt as sequences of which only what the answers do not share as turns is graded.
struct PreferencePair {
  train::Sequence chosen, rejected;
  /// Whether both grade something and they differ, after the cut.
  bool usable() const;
  /// A hash of both.
  uint64_t identity() const;
};

/// Throws UserError for a sample that is no pair, as sequence_of() does, and where there is no chat template.
PreferencePair preference_pair(const Sample& sample, const text::Tokenizer& tokenizer,
                               const std::optional<text::ChatTemplate>& chat, int64_t room);

/// Log probabilities of pairs under the reference, in nats and per token.
struct ReferenceScores {
  struct Score {
    double chosen = 0, rejected = 0;  // sums over graded tokens
  };
  std::unordered_map<uint64_t, Score> by_pair;

  /// Throws UserError for a file of another kind.
  static ReferenceScores read(const Path& file);
  void write(const Path& file, FileSystem& files = disk()) const;
};

class PreferenceObjective final : public train::Objective {
 public:
  /// `lm.heldout` are pairs. Throws UserError as LmObjective does and for settings out of range.
  PreferenceObjective(LmObjective::Parts lm, PreferenceTraining training, uint64_t seed, at::Device device);

  /// Computes the reference's log probabilities of all pairs of `source` and of those held out that `file` does not hold, and keeps them
  /// there. Must come before the first step. Throws UserError when no pair can be learnt from, and when the file was made with another model.
  void measure_reference(const SampleSource& source, const Path& file);

  std::vector<train::Parameter> parameters() override { return lm_.parameters(); }
  std::unique_ptr<train::Prepared> prepare(Sample sample) const override;
  /// Mean over the usable pairs. Rewards are beta times the log ratio to the reference (Rafailov et al. 2023, arXiv 2305.18290, eq. 7;
  /// IPO: Azar et al. 2023, arXiv 2310.12036, eq. 17).
  train::Loss prepared_loss(const train::PreparedBatch& batch, const train::StepContext& context) override;
  void save_model(const Path& directory, FileSystem& files) override { lm_.save_model(directory, files); }
  void save_samples(const Path& directory, const std::string& stem) override { lm_.save_samples(directory, stem); }
  const DecoderLm& model() const { return lm_.model(); }
  /// heldout_loss, heldout_accuracy (pairs whose chosen answer has the higher reward), heldout_margin.
  std::map<std::string, double> evaluate() override;

 private:
  struct Row final : train::Prepared {
    PreferencePair pair;
  };
  std::vector<ReferenceScores::Score> reference_of(const std::vector<PreferencePair>& pairs) const;
  void require_same_reference(const PreferencePair& known) const;
  AnswerScoring scoring() const;

  LmObjective lm_;
  PreferenceTraining training_;
  at::Device device_;
  ReferenceScores reference_;
};

/// Throws UserError for keys and numbers that the recipe's tables cannot have; loads nothing.
void check_preference_tables(const Json& model, const Json& loss, std::string_view source);

/// The objective "preference" of a recipe; completes the recipe's `[model]` and `[loss]` tables. Throws UserError.
std::unique_ptr<train::Objective> make_preference_objective(train::Recipe& recipe, const SampleSource& source,
                                                            at::Device device);

}  // namespace tessera::lm
