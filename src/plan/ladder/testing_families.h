// Families of ladders for tests and studies whose truth departs from the fitted form: kinks, thresholds of tasks, mixtures
// of data, mistakes of the learning rate, ceilings. Runs and targets share errors over tasks and are measured on a limited
// number of questions. What a forecast says is compared with what the target measured.
#pragma once

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "plan/ladder/ladder.h"
#include "plan/ladder/testing.h"

namespace tessera::plan::testing {

/// How the truth departs from a power law followed by a sigmoid.
enum class Departure {
  none,
  kink,           // below some loss, which no rung may reach, accuracy follows the loss faster or slower
  threshold,      // two populations of questions that are learnt at different losses
  mixture,        // the loss is a mixture of two laws, and the tasks weigh them differently
  learning_rate,  // each size was trained a little off its best learning rate, the target too
};
inline constexpr Departure kDepartures[] = {Departure::none, Departure::kink, Departure::threshold, Departure::mixture,
                                            Departure::learning_rate};
inline const char* departure_name(Departure departure) {
  constexpr const char* names[] = {"none", "kink", "threshold", "mixture", "learning rate"};
  return names[static_cast<size_t>(departure)];
}

/// What is drawn; ladders differ in sizes, lengths, laws, noise and the target's distance.
struct FamilyOptions {
  Departure departure = Departure::none;
  size_t tasks = 5;
  size_t checkpoints = 20;        // evaluations of a run, evenly spaced in tokens
  bool has_bpb = true;            // else the loss on text alone
  bool has_loss = true;           // neither: tables of N, D and accuracy alone
  double ceiling = 0;             // of every task; 0: 1 for half of the tasks, down to .85 for the others
  double target_times = 0;        // the target's size over the largest rung's; 0: drawn from 2 to 12
  size_t largest_rungs_less = 0;  // so many of the largest sizes are left out, everything else is the same
  double data_term = 1;           // what is learnt from a token, against the plain recipe: times B of every law
  uint64_t luck = 0;              // of runs and questions; the laws do not depend on it
};

/// A table, with its target measured, and the names of its tasks' true accuracies.
struct FamilyLadder {
  LadderTable table;
  std::vector<double> measured, expected;  // of the target by task: on its questions; on infinitely many
  LadderTarget target;
};

namespace detail {

/// The true way from size and tokens to one task's loss and accuracy.
struct TaskTruth {
  LossLaw first, second;  // the loss is a mixture of both
  double share = 1;       // of the first
  Sigmoid early, late;    // two populations of questions
  double early_share = 1;
  double kink_at = 0, kink = 0;  // below this loss the loss counts (1 + kink) times
  double chance = 0.25, ceiling = 1;
  double questions = 1000;

  double loss(double n, double d) const { return share * first.at(n, d) + (1 - share) * second.at(n, d); }
  double accuracy(double loss) const {
    const double seen = loss - kink * std::max(0.0, kink_at - loss);
    const double known = early_share * early.at(seen) + (1 - early_share) * late.at(seen);
    return chance + (ceiling - chance) * known;
  }
};

/// 0 to 1: the share of questions that are known at a loss.
inline Sigmoid share_known(double centre, double steepness) { return {-1, centre, steepness, 1}; }

class FamilyDraw {
 public:
  FamilyDraw(uint64_t seed, const FamilyOptions& how) : how_(how), rng_(seed), noise_(seed, 1 + how.luck) {}

  FamilyLadder drawn() {
    draw_design();
    FamilyLadder made;
    made.table.source = "simulation";
    made.table.has_loss = how_.has_loss;
    draw_laws(made.table);
    std::vector<double> sizes = sizes_;
    sizes.resize(sizes.size() - how_.largest_rungs_less);
    for (size_t s = 0; s < sizes_.size(); ++s) {
      const double mistake = how_.departure == Departure::learning_rate ? std::abs(0.012 * normal(noise_)) : 0;
      for (const double length : lengths_) {
        LadderRun run = trained(sizes_[s], 20 * sizes_[s] * length, mistake, how_.checkpoints);
        if (s < sizes.size()) made.table.runs.push_back(std::move(run));
      }
    }
    const double mistake = how_.departure == Departure::learning_rate ? std::abs(0.012 * normal(noise_)) : 0;
    LadderRun target = trained(target_.params, target_.tokens, mistake, 1);
    target.name = "target";
    for (size_t t = 0; t < how_.tasks; ++t) made.measured.push_back(target.tasks[t].acc.back());
    made.expected = expected_;
    made.target = {"target", target_};
    made.table.targets = {std::move(target)};
    return made;
  }

 private:
  void draw_design() {
    const size_t count = 3 + static_cast<size_t>(rng_.uniform(0, 2.999));
    double size = std::exp(rng_.uniform(std::log(20e6), std::log(200e6)));
    for (size_t i = 0; i < count; ++i, size *= rng_.uniform(1.8, 3)) sizes_.push_back(size);
    const double first = std::exp(rng_.uniform(std::log(0.5), std::log(2)));
    lengths_ = {first, 2 * first, 5 * first};
    if (rng_.uniform() < 0.6) lengths_.push_back(10 * first);
    if (rng_.uniform() < 0.2) lengths_.push_back(25 * first);
    const double times = rng_.uniform(std::log(2), std::log(12));
    target_.params = sizes_.back() * (how_.target_times > 0 ? how_.target_times : std::exp(times));
    target_.tokens = 20 * target_.params * std::exp(rng_.uniform(std::log(1), std::log(25)));
    target_.flops = 6 * target_.params * target_.tokens;
    run_noise_ = std::exp(rng_.uniform(std::log(0.001), std::log(0.008)));
    checkpoint_noise_ = std::exp(rng_.uniform(std::log(0.001), std::log(0.006)));
    decay_ = rng_.uniform(0, 0.04);
  }

  void draw_laws(LadderTable& table) {
    const double n0 = sizes_.front(), d0 = 20 * n0 * lengths_.front();
    text_ = drawn_law(rng_, n0, d0, 3.5);
    other_ = text_;
    if (how_.departure == Departure::mixture) other_ = drawn_law(rng_, n0, d0, 3.5);
    text_share_ = rng_.uniform(0.5, 0.9);
    for (size_t t = 0; t < how_.tasks; ++t) {
      table.tasks.push_back("task" + std::to_string(t));
      truths_.push_back(drawn_task(n0, d0));
    }
    // The recipe's quality changes what is learnt, not the tasks: they were drawn for the plain recipe.
    const double better = std::log(how_.data_term);
    for (LossLaw* law : {&text_, &other_}) law->log_b += better;
    for (TaskTruth& truth : truths_) {
      truth.first.log_b += better;
      truth.second.log_b += better;
    }
  }

  LossLaw task_law(const LossLaw& law, double scale) {
    LossLaw own = law;
    const double ratio = scale / 3.5;
    own.log_a += std::log(ratio * rng_.uniform(0.8, 1.2));
    own.log_b += std::log(ratio * rng_.uniform(0.8, 1.2));
    own.e *= ratio * rng_.uniform(0.9, 1.1);
    return own;
  }

  TaskTruth drawn_task(double n0, double d0) {
    TaskTruth truth;
    const double scale = rng_.uniform(0.9, 1.6);
    truth.first = task_law(text_, scale);
    truth.second = task_law(other_, scale);
    truth.share = how_.departure == Departure::mixture ? rng_.uniform(0.2, 0.9) : 1;
    const double worst = truth.loss(n0, d0), best = truth.loss(target_.params, target_.tokens);
    // Where half of the questions are known, as a share of the way from the smallest rung's loss to the target's.
    const double centre = worst - rng_.uniform(0.1, 1.1) * (worst - best);
    const double steepness = rng_.uniform(2.5, 7) / (worst - best);
    truth.early = truth.late = share_known(centre, steepness);
    if (how_.departure == Departure::threshold) {
      truth.early_share = rng_.uniform(0.3, 0.7);
      truth.late = share_known(centre - rng_.uniform(0.3, 0.7) * (worst - best), steepness * rng_.uniform(1, 1.6));
      truth.early = share_known(centre + rng_.uniform(0, 0.3) * (worst - best), steepness * rng_.uniform(1, 1.6));
    }
    if (how_.departure == Departure::kink) {
      truth.kink_at = worst - rng_.uniform(0.3, 0.9) * (worst - best);
      truth.kink = rng_.uniform(-0.5, 0.8);
    }
    const double kind = rng_.uniform();
    truth.chance = kind < 0.5 ? 0.25 : kind < 0.7 ? 0.5 : kind < 0.85 ? 0.2 : 0;
    const double below = rng_.uniform();
    truth.ceiling = how_.ceiling > 0 ? how_.ceiling : below < 0.5 ? 1 : 1 - 0.3 * (below - 0.5);
    truth.questions = std::exp(rng_.uniform(std::log(300), std::log(10000)));
    return truth;
  }

  LadderRun trained(double n, double tokens, double mistake, size_t checkpoints) {
    LadderRun run{.name = std::to_string(n) + "-" + std::to_string(tokens), .params = n, .flops_per_token = 6 * n};
    const double shift = run_noise_ * normal(noise_) + mistake;
    std::vector<double> to_come;  // of the learning rate's decay, in log loss
    for (size_t c = 1; c <= checkpoints; ++c) {
      const double done = static_cast<double>(c) / static_cast<double>(checkpoints);
      run.tokens.push_back(tokens * done);
      to_come.push_back(decay_ * (1 - done));
    }
    const double share = how_.departure == Departure::mixture ? text_share_ : 1;
    for (size_t c = 0; c < checkpoints; ++c) {
      const double d = run.tokens[c], law = share * text_.at(n, d) + (1 - share) * other_.at(n, d);
      const double loss = law * std::exp(shift + to_come[c] + checkpoint_noise_ * normal(noise_));
      if (how_.has_loss) run.loss.push_back(loss);
    }
    expected_.clear();
    for (const TaskTruth& truth : truths_) {
      TaskSeries& series = run.tasks.emplace_back();
      const double own = shift + 0.7 * run_noise_ * normal(noise_);
      const double expected = truth.accuracy(truth.loss(n, tokens) * std::exp(own));
      // Half of the questions' noise is the same for all models, and so part of the task; the other half is a run's own.
      const double luck = std::sqrt(0.5 * expected * (1 - expected) / truth.questions) * normal(noise_);
      for (size_t c = 0; c < checkpoints; ++c) {
        const double loss =
            truth.loss(n, run.tokens[c]) * std::exp(own + to_come[c] + checkpoint_noise_ * normal(noise_));
        const double p = truth.accuracy(loss);
        const double noise = std::sqrt(0.15 * p * (1 - p) / truth.questions) * normal(noise_);
        series.acc.push_back(std::clamp(p + luck + noise, 0.0, 1.0));
        series.bpb.push_back(how_.has_bpb ? loss * std::exp(checkpoint_noise_ * normal(noise_)) : kMissing);
        series.ce.push_back(kMissing);
      }
      expected_.push_back(expected);
    }
    return run;
  }

  FamilyOptions how_;
  Rng rng_, noise_;  // of what is drawn once for a ladder; of every run
  std::vector<double> sizes_, lengths_, expected_;
  RunScale target_;
  LossLaw text_, other_;
  double text_share_ = 1, run_noise_ = 0, checkpoint_noise_ = 0, decay_ = 0;
  std::vector<TaskTruth> truths_;
};

}  // namespace detail

/// Deterministic in `seed`.
inline FamilyLadder draw_family(uint64_t seed, const FamilyOptions& how = {}) {
  return detail::FamilyDraw(seed, how).drawn();
}

}  // namespace tessera::plan::testing
