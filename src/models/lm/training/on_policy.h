// Learning from answers that the model writes itself: GRPO, where a checked reward says what they are worth, and distillation, where a teacher
// says how likely it finds their tokens. Answers are written and learned from within one step, so no ratio to an older policy, no critic
// and no copy of the model is needed.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "models/lm/training/answer_scores.h"
#include "models/lm/training/objective.h"
#include "models/lm/training/rollouts.h"
#include "train/verifier.h"

namespace tessera::lm {

/// A recipe's `[loss]` table for the objectives "grpo" and "distill".
struct OnPolicyTraining {
  int64_t group = 8;
  int64_t max_new_tokens = 128;
  double temperature = 1;
  bool scaled = true;
  train::RewardTable reward;
  std::string teacher;
  AnswerRows rows;
  bool operator==(const OnPolicyTraining&) const = default;
};
template <class V> void fields(V& v, OnPolicyTraining& t) {
  v("group", t.group, "answers written to each prompt");
  v("max_new_tokens", t.max_new_tokens, "longest answer in tokens");
  v("temperature", t.temperature, "at which answers are drawn, above 0");
  v("scaled", t.scaled, "grpo: divide a group's advantages by their spread");
  v("reward", t.reward, "grpo: what an answer is worth");
  v("teacher", t.teacher, "distill: directory of the model that judges the tokens; it has the student's tokenizer");
  fields(v, t.rows);
}

/// What the two have in common: prompts are answered, tokens are weighed, and those of a positive weight become more likely.
class OnPolicyObjective : public train::Objective {
 public:
  /// Throws UserError as LmObjective does and for settings out of range.
  OnPolicyObjective(LmObjective::Parts lm, OnPolicyTraining training, uint64_t seed, at::Device device);

  std::vector<train::Parameter> parameters() override { return lm_.parameters(); }
  std::unique_ptr<train::Prepared> prepare(Sample sample) const override;
  /// -mean over all tokens of weight x log probability. What weighs nothing does not go through the model again.
  train::Loss prepared_loss(const train::PreparedBatch& batch, const train::StepContext& context) override;
  void save_model(const Path& directory, FileSystem& files) override { lm_.save_model(directory, files); }
  void save_samples(const Path& directory, const std::string& stem) override { lm_.save_samples(directory, stem); }
  /// One answer to each held-out prompt.
  std::map<std::string, double> evaluate() override;
  const DecoderLm& model() const { return lm_.model(); }

 protected:
  using Metrics = std::map<std::string, double>;
  struct Answers {
    std::vector<const RolloutPrompt*> prompts;
    std::vector<Rollout> rollouts;
    std::vector<train::Sequence> sequences;  // of each rollout
    std::vector<double> worth;               // of each rollout, where it is known before the model reads them again
  };
  /// The rollouts that can teach something, at least one; adds to `metrics`. All, unless overridden.
  virtual Answers that_teach(Answers answers, Metrics& metrics) const;
  /// The weight of every graded token [T], without a tape; adds to `metrics`.
  virtual Tensor weigh(const Answers& answers, const AnswerScores& scores, Metrics& metrics) const = 0;
  /// Sums over answers to held-out prompts, by name; each is divided by the number of answers.
  virtual void measure(const Answers& answers, Metrics& sums) const = 0;
  /// 0 for greedy.
  virtual double heldout_temperature() const = 0;
  AnswerScoring scoring(const Answers& answers) const;
  const OnPolicyTraining& training() const { return training_; }
  const LmObjective& lm() const { return lm_; }

 private:
  struct Row final : train::Prepared {
    RolloutPrompt prompt;
  };
  Answers answered(const std::vector<const RolloutPrompt*>& prompts, int64_t group, double temperature,
                   uint64_t seed) const;

  LmObjective lm_;
  OnPolicyTraining training_;
  at::Device device_;
};

/// Group relative policy optimisation (arXiv 2402.03300) with answers of the current weights: an answer's advantage is its reward less its
/// group's mean, over its group's deviation where `scaled`. A group whose answers are all worth the same teaches nothing.
class GrpoObjective final : public OnPolicyObjective {
 public:
  GrpoObjective(LmObjective::Parts lm, OnPolicyTraining training, uint64_t seed, at::Device device);

 protected:
  /// Those of groups that are not all worth the same. Metrics: reward, strict, lenient (train::Verdict), undecided (share of groups that teach
  /// nothing).
  Answers that_teach(Answers answers, Metrics& metrics) const override;
  Tensor weigh(const Answers& answers, const AnswerScores& scores, Metrics& metrics) const override;
  void measure(const Answers& answers, Metrics& sums) const override;
  double heldout_temperature() const override { return 0; }

 private:
  std::vector<train::Verdict> verdicts(const Answers& answers) const;
  std::unique_ptr<train::Verifier> verifier_;
};

/// On-policy distillation (arXiv 2306.13649, with the reverse divergence): a token's weight is the teacher's log probability of it less the student's.
class DistillObjective final : public OnPolicyObjective {
 public:
  DistillObjective(LmObjective::Parts lm, DecoderLm teacher, OnPolicyTraining training, uint64_t seed,
                   at::Device device);

 protected:
  /// Metric: reverse_kl, nats a token, as the drawn tokens estimate it.
  Tensor weigh(const Answers& answers, const AnswerScores& scores, Metrics& metrics) const override;
  void measure(const Answers& answers, Metrics& sums) const override;
  double heldout_temperature() const override { return training().temperature; }

 private:
  DecoderLm teacher_;
};

/// Throws UserError for keys and numbers that the recipe's tables cannot have; loads nothing.
void check_on_policy_tables(const Json& model, const Json& loss, std::string_view source);

/// The objectives "grpo" and "distill" of a recipe; complete the recipe's `[model]` and `[loss]` tables. Throw UserError.
std::unique_ptr<train::Objective> make_grpo_objective(train::Recipe& recipe, const SampleSource& source,
                                                      at::Device device);
std::unique_ptr<train::Objective> make_distill_objective(train::Recipe& recipe, const SampleSource& source,
                                                         at::Device device);

}  // namespace tessera::lm
