// Prompts to answers, answers to weights of tokens, weights to one loss.
#include "models/lm/training/on_policy.h"

#include <ATen/ops/tensor.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <span>

#include "core/error.h"
#include "core/json.h"
#include "models/lm/architecture/model_files.h"

namespace tessera::lm {

namespace {
constexpr size_t prompts_measured_at_once = 32;
constexpr uint64_t heldout_seed = 1;

void check(const OnPolicyTraining& t) {
  if (t.group < 1) throw UserError("[lm] loss.group is {}, want at least 1", t.group);
  if (t.max_new_tokens < 1) throw UserError("[lm] loss.max_new_tokens is {}, want at least 1", t.max_new_tokens);
  if (!(t.temperature > 0 && std::isfinite(t.temperature)))
    throw UserError("[lm] loss.temperature is {}, want more than 0", t.temperature);
}

/// The parts of a recipe for answers to conversations; `training` is read from the recipe and written back.
LmObjective::Parts on_policy_parts(train::Recipe& recipe, const SampleSource& source, OnPolicyTraining& training,
                                   at::Device device) {
  from_json(recipe.loss, training, "recipe", "loss");
  check(training);
  LmObjective::Parts parts = parts_of(recipe, source, training.rows.lm(), device);
  if (!parts.chat) throw UserError("[lm] data.kind is '{}', want \"chat\"", recipe.data.kind);
  recipe.loss = to_json(training);
  return parts;
}
}  // namespace

OnPolicyObjective::OnPolicyObjective(LmObjective::Parts lm, OnPolicyTraining training, uint64_t seed, at::Device device)
    : lm_(std::move(lm), seed, device), training_(std::move(training)), device_(device) {
  check(training_);
}

std::unique_ptr<train::Prepared> OnPolicyObjective::prepare(Sample sample) const {
  auto row = std::make_unique<Row>();
  row->prompt = rollout_prompt(sample, *lm_.parts().tokenizer, lm_.parts().chat);
  if (std::ssize(row->prompt.ids) >= model().config.context)
    throw UserError("[lm] {} has a prompt of {} tokens, which leaves no room in the model's context of {}",
                    row->prompt.where, row->prompt.ids.size(), model().config.context);
  return row;
}

OnPolicyObjective::Answers OnPolicyObjective::answered(const std::vector<const RolloutPrompt*>& prompts, int64_t group,
                                                       double temperature, uint64_t seed) const {
  Answers answers{.prompts = prompts};
  answers.rollouts = sample_rollouts(model(), *lm_.parts().tokenizer, prompts,
                                     {.group = group,
                                      .max_new_tokens = training_.max_new_tokens,
                                      .sampling = {.temperature = temperature, .seed = seed}});
  for (const Rollout& rollout : answers.rollouts)
    answers.sequences.push_back(sequence_of(*prompts[rollout.prompt], rollout));
  return answers;
}

AnswerScoring OnPolicyObjective::scoring(const Answers& answers) const {
  int64_t longest = 0, all = 0;
  for (const train::Sequence& each : answers.sequences) {
    longest = std::max(longest, std::ssize(each.ids));
    all += std::ssize(each.ids);
  }
  // Rows twice as long as the longest answer hold several without attention becoming dear.
  return {.room = std::min(all, 2 * longest),
          .pack = training_.rows.pack,
          .recompute = training_.rows.recompute,
          .device = device_};
}

train::Loss OnPolicyObjective::prepared_loss(const train::PreparedBatch& batch, const train::StepContext& context) {
  std::vector<const RolloutPrompt*> prompts;
  for (const Row* row : train::prepared_as<Row>(batch)) prompts.push_back(&row->prompt);
  Rng rng = context.rng;
  Answers answers = answered(prompts, training_.group, training_.temperature, rng.next());
  const auto count = static_cast<double>(answers.rollouts.size());
  train::Loss loss{.weight = 0};
  for (const train::Sequence& each : answers.sequences)
    loss.weight += static_cast<double>(std::ranges::count_if(each.targets, [](int32_t target) { return target >= 0; }));
  loss.metrics["answer_tokens"] = loss.weight / count;
  loss.metrics["unfinished"] =
      static_cast<double>(std::ranges::count(answers.rollouts, false, &Rollout::ended)) / count;

  answers = that_teach(std::move(answers), loss.metrics);
  const AnswerScores scores = score_answers(model(), answers.sequences, scoring(answers));
  const Tensor weights = weigh(answers, scores, loss.metrics);
  loss.value = -(weights * scores.log_probabilities).sum() / loss.weight;
  return loss;
}

OnPolicyObjective::Answers OnPolicyObjective::that_teach(Answers answers, Metrics&) const { return answers; }

std::map<std::string, double> OnPolicyObjective::evaluate() {
  const at::NoGradGuard no_grad;
  Metrics sums;
  size_t count = 0;
  const std::vector<Sample>& samples = lm_.parts().heldout;
  for (size_t begin = 0; begin < samples.size(); begin += prompts_measured_at_once) {
    std::vector<std::unique_ptr<train::Prepared>> rows;
    std::vector<const RolloutPrompt*> prompts;
    for (size_t i = begin; i < std::min(begin + prompts_measured_at_once, samples.size()); ++i) {
      rows.push_back(prepare(samples[i]));
      prompts.push_back(&static_cast<const Row&>(*rows.back()).prompt);
    }
    const Answers answers = answered(prompts, 1, heldout_temperature(), heldout_seed + begin);
    measure(answers, sums);
    sums["unfinished"] += static_cast<double>(std::ranges::count(answers.rollouts, false, &Rollout::ended));
    count += prompts.size();
  }
  Metrics means;
  for (const auto& [name, sum] : sums) means["heldout_" + name] = sum / static_cast<double>(count);
  return means;
}

GrpoObjective::GrpoObjective(LmObjective::Parts lm, OnPolicyTraining training, uint64_t seed, at::Device device)
    : OnPolicyObjective(std::move(lm), training, seed, device), verifier_(train::make_verifier(training.reward)) {
  if (training.group < 2)
    throw UserError("[grpo] loss.group is {}, want at least 2: an answer is compared with others", training.group);
}

std::vector<train::Verdict> GrpoObjective::verdicts(const Answers& answers) const {
  std::vector<train::Attempt> attempts;
  for (const Rollout& rollout : answers.rollouts) {
    const RolloutPrompt& prompt = *answers.prompts[rollout.prompt];
    attempts.push_back({prompt.question, rollout.text, prompt.reference});
  }
  return verifier_->judge(attempts);
}

OnPolicyObjective::Answers GrpoObjective::that_teach(Answers answers, Metrics& metrics) const {
  std::vector<double> rewards;
  double strict = 0, lenient = 0;
  for (const train::Verdict& verdict : verdicts(answers)) {
    rewards.push_back(verdict.reward);
    strict += verdict.strict;
    lenient += verdict.lenient;
  }
  const auto count = static_cast<double>(rewards.size());
  const std::vector<double> worth = train::group_advantages(rewards, training().group, training().scaled);
  const auto group = static_cast<size_t>(training().group);
  Answers taught{.prompts = std::move(answers.prompts)};
  int64_t undecided = 0;
  for (size_t begin = 0; begin < worth.size(); begin += group) {
    const std::span<const double> of_group(worth.data() + begin, group);
    const bool decided = std::ranges::any_of(of_group, [](double w) { return w != 0; });
    undecided += decided ? 0 : 1;
    const bool last = begin + group == worth.size();
    if (!decided && !(last && taught.rollouts.empty()))
      continue;  // a step of nothing still wants a loss with gradients
    for (size_t i = begin; i < begin + group; ++i) {
      taught.rollouts.push_back(std::move(answers.rollouts[i]));
      taught.sequences.push_back(std::move(answers.sequences[i]));
      taught.worth.push_back(worth[i]);
    }
  }
  metrics["reward"] = std::accumulate(rewards.begin(), rewards.end(), 0.0) / count;
  metrics["strict"] = strict / count;
  metrics["lenient"] = lenient / count;
  metrics["undecided"] = static_cast<double>(undecided) / static_cast<double>(taught.prompts.size());
  return taught;
}

Tensor GrpoObjective::weigh(const Answers& answers, const AnswerScores& scores, Metrics&) const {
  return at::tensor(answers.worth, at::kDouble).to(scores.counts.options()).index_select(0, scores.sequence);
}

void GrpoObjective::measure(const Answers& answers, Metrics& sums) const {
  for (const train::Verdict& verdict : verdicts(answers)) {
    sums["reward"] += verdict.reward;
    sums["strict"] += verdict.strict;
    sums["lenient"] += verdict.lenient;
  }
}

DistillObjective::DistillObjective(LmObjective::Parts lm, DecoderLm teacher, OnPolicyTraining training, uint64_t seed,
                                   at::Device device)
    : OnPolicyObjective(std::move(lm), std::move(training), seed, device), teacher_(std::move(teacher)) {}

Tensor DistillObjective::weigh(const Answers& answers, const AnswerScores& scores, Metrics& metrics) const {
  const at::NoGradGuard no_grad;
  const Tensor taught = score_answers(teacher_, answers.sequences, scoring(answers)).log_probabilities;
  const Tensor weights = taught - scores.log_probabilities.detach();
  metrics["reverse_kl"] = -weights.mean().item<double>();
  return weights;
}

void DistillObjective::measure(const Answers& answers, Metrics& sums) const {
  const AnswerScoring how = scoring(answers);
  const AnswerScores own = score_answers(model(), answers.sequences, how);
  const AnswerScores taught = score_answers(teacher_, answers.sequences, how);
  sums["reverse_kl"] += ((own.sums() - taught.sums()) / own.counts).sum().item<double>();
}

void check_on_policy_tables(const Json& model, const Json& loss, std::string_view source) {
  check(tables_of<OnPolicyTraining>(model, loss, source));
}

std::unique_ptr<train::Objective> make_grpo_objective(train::Recipe& recipe, const SampleSource& source,
                                                      at::Device device) {
  OnPolicyTraining training;
  LmObjective::Parts parts = on_policy_parts(recipe, source, training, device);
  if (!training.teacher.empty()) throw UserError("[grpo] loss.teacher belongs to the objective \"distill\"");
  return std::make_unique<GrpoObjective>(std::move(parts), training, static_cast<uint64_t>(recipe.train.seed), device);
}

std::unique_ptr<train::Objective> make_distill_objective(train::Recipe& recipe, const SampleSource& source,
                                                         at::Device device) {
  OnPolicyTraining training;
  LmObjective::Parts parts = on_policy_parts(recipe, source, training, device);
  if (training.teacher.empty()) throw UserError("[distill] loss.teacher is missing; want a model's directory");
  const auto tokenizer = text::load_tokenizer(training.teacher);
  if (text::fingerprint(*tokenizer) != text::fingerprint(*parts.tokenizer))
    throw UserError("[distill] {} has another tokenizer than the student; want the same tokens under the same ids",
                    training.teacher);
  DecoderLm teacher = load_lm(training.teacher, {.device = device, .dtype = "fp32"});
  return std::make_unique<DistillObjective>(std::move(parts), std::move(teacher), training,
                                            static_cast<uint64_t>(recipe.train.seed), device);
}

}  // namespace tessera::lm
