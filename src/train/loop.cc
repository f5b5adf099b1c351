// The loop itself: batches, gradients, the optimiser; measuring, logging and checkpoints between steps.
#include "train/loop.h"

#include <chrono>
#include <cmath>
#include <future>
#include <numeric>
#include <sstream>

#include <ATen/Parallel.h>
#include <ATen/autocast_mode.h>
#include <ATen/ops/full.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros_like.h>

#include "core/error.h"
#include "core/interrupt.h"
#include "core/json.h"
#include "core/log.h"
#include "core/progress.h"
#include "tensor/checkpoint.h"
#include "tensor/device.h"
#include "tensor/weights.h"

namespace tessera::train {

namespace {
using Clock = std::chrono::steady_clock;
double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

/// bf16 matrix products while it lives, when asked for.
class AutocastGuard {
 public:
  AutocastGuard(const std::string& precision, at::Device device)
      : type_(device.type()), on_(precision == "bf16" || (precision == "auto" && multiplies_bfloat16(device))) {
    if (!on_) return;
    at::autocast::set_autocast_enabled(type_, true);
    at::autocast::set_autocast_dtype(type_, at::kBFloat16);
  }
  ~AutocastGuard() {
    if (!on_) return;
    at::autocast::clear_cache();
    at::autocast::set_autocast_enabled(type_, false);
  }

 private:
  at::DeviceType type_;
  bool on_;
};

using Batches = std::vector<PreparedBatch>;

/// The micro-batches of a step with these numbers, `size` samples each, prepared. `share`: by all threads, which a card leaves free.
Batches fetch(const SampleSource& source, const Objective& objective, const std::vector<int64_t>& micros, int64_t size,
              bool share) {
  Batches batches;
  for (const int64_t micro : micros) {
    auto& batch = batches.emplace_back(static_cast<size_t>(size));
    at::parallel_for(0, size, share ? 1 : size, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i)
        batch[static_cast<size_t>(i)] = objective.prepare(source.at(static_cast<uint64_t>(micro * size + i)));
    });
  }
  return batches;
}

/// One process of many takes every n-th micro-batch. A step of too few is cut into more and smaller ones.
TrainConfig shared_config(TrainConfig c, int64_t processes) {
  const int64_t parts = processes / std::gcd(c.accumulate, processes);
  if (c.batch % parts != 0)
    throw UserError(
        "[train] {} processes cannot share a step of {} x {} samples; want accumulate x batch to be a multiple",
        processes, c.accumulate, c.batch);
  c.batch /= parts;
  c.accumulate *= parts;
  return c;
}

/// metrics.jsonl: appended line by line; on resume, lines of steps that will be run again are cut off.
class MetricsLog {
 public:
  MetricsLog(const Path& file, int64_t resumed_step, FileSystem& files) {
    if (std::filesystem::exists(file)) files.truncate(file, bytes_up_to(file, resumed_step));
    out_ = files.open_append(file);
  }
  void write(Json line) { out_->append(line.dump() + "\n"); }

 private:
  static uint64_t bytes_up_to(const Path& file, int64_t step) {
    std::istringstream lines(read_file(file));
    uint64_t keep = 0;
    for (std::string line; std::getline(lines, line); keep += line.size() + 1) {
      const Json entry = Json::parse(line, nullptr, /*allow_exceptions=*/false);
      if (entry.is_discarded() || lines.eof() || entry.value("step", int64_t{0}) > step)
        break;  // torn or to be repeated
    }
    return keep;
  }
  std::unique_ptr<WritableFile> out_;
};

/// One run: its optimiser, its files, and its current step.
class Run {
 public:
  Run(Objective& objective, const SampleSource& source, const TrainConfig& config, const RunOptions& options,
      Peers& peers, FileSystem& files)
      : objective_(objective), source_(source), config_(config), options_(options), peers_(peers), files_(files),
        optimizer_(objective.parameters(), config.optimizer),
        checkpoints_(options.directory / "checkpoints", files, config.keep_checkpoints) {
    if (peers_.leads()) {
      if (options_.resume) restore();
      if (options_.begun && step_ < config_.steps && !learnt_enough()) options_.begun();
      files_.create_directories(options_.directory / "samples");
      log_ = std::make_unique<MetricsLog>(options_.directory / "metrics.jsonl", step_, files_);
    }
    if (peers_.count() > 1) share_state();
  }

  TrainResult go() {
    if (config_.precision == "bf16" && !multiplies_bfloat16(options_.device))
      log_warning(
          "[train] this processor has no bf16 products; train.precision = \"auto\" or \"fp32\" is far faster here");
    const InterruptGuard guard;
    const auto began = Clock::now();
    Progress progress("train", config_.steps, "steps", step_);
    prefetch();
    bool interrupted = false;
    const int64_t first = step_;
    done_ = learnt_enough();  // a run that stopped by its own rule is not continued
    while (step_ < config_.steps && !interrupted && !done_) {
      std::map<std::string, double> metrics;
      try {
        metrics = one_step();
      } catch (const LostPeer& lost) {
        stop_without(lost);
      }
      ++step_;
      interrupted = interrupted_ || (peers_.count() == 1 && InterruptGuard::raised());
      count(metrics.at("loss"));
      const bool low = learnt_enough(), last = low || step_ == config_.steps;
      if (low) done_ = true;
      if (!peers_.leads()) {
        if (low) break;
        continue;
      }
      if (last || step_ % config_.log_every == 0) log(metrics, seconds_since(began));
      progress.update(step_, fmt::format("loss {:.4f}", metrics.at("loss")));
      if (last || due(config_.evaluate_every)) measure();
      if (last || interrupted || due(config_.checkpoint_every)) checkpoint();
      if (low)
        log_info("the mean loss of {} steps is below {}: stopped at step {}", config_.stop_window, config_.stop_loss,
                 step_);
    }
    progress.finish();
    done_ = done_ || step_ == config_.steps;
    if ((done_ || interrupted) && peers_.leads()) save_model();
    return {.steps = step_,
            .interrupted = interrupted && !done_,
            .trained = step_ > first,
            .seconds = seconds_since(began),
            .metrics = measured_};
  }

 private:
  /// Losses are added up over windows of steps, one after another; the window under way is part of a checkpoint.
  void count(double loss) {
    if (config_.stop_loss == 0) return;
    double* const sum = window_.mutable_data_ptr<double>();
    *sum = step_ % config_.stop_window == 1 || config_.stop_window == 1 ? loss : *sum + loss;
  }

  bool learnt_enough() const {
    if (config_.stop_loss == 0 || step_ == 0 || step_ % config_.stop_window != 0) return false;
    return *window_.const_data_ptr<double>() / static_cast<double>(config_.stop_window) < config_.stop_loss;
  }

  bool due(int64_t every) const { return every > 0 && step_ % every == 0; }

  /// Numbers of this process's micro-batches of the step that comes, counted from the run's beginning.
  std::vector<int64_t> own_micros() const {
    std::vector<int64_t> own;
    for (int64_t k = peers_.rank(); k < config_.accumulate; k += peers_.count())
      own.push_back(step_ * config_.accumulate + k);
    return own;
  }

  void prefetch() {
    next_ = std::async(std::launch::async, fetch, std::cref(source_), std::cref(objective_), own_micros(),
                       config_.batch, options_.device.is_cuda());
  }

  /// What a step's micro-batches add up to, over all processes once it is shared.
  struct Sums {
    double loss = 0, weight = 0, interrupted = 0;
    double bad = 0;  // a loss that is not finite, and stays so in a sum
  };

  std::map<std::string, double> one_step() {
    const Batches batches = next_.get();
    const std::vector<int64_t> micros = own_micros();
    if (step_ + 1 < config_.steps) {
      ++step_;
      prefetch();
      --step_;
    }
    std::map<std::string, double> metrics;
    Sums sums;
    for (size_t k = 0; k < batches.size() && sums.bad == 0; ++k) add(batches[k], micros[k], sums, metrics);
    for (auto& [name, value] : metrics) value /= static_cast<double>(batches.size());
    sums.interrupted = InterruptGuard::raised() ? 1 : 0;
    share(sums);
    if (sums.bad != 0) stop_on_bad_numbers("loss", sums.bad);
    interrupted_ = peers_.count() > 1 && sums.interrupted > 0;
    if (sums.weight == 0) sums.weight = 1;  // nothing in these samples was to be learned
    share_gradients(1 / sums.weight);
    const double rate = learning_rate_at(config_.schedule, step_, config_.steps);
    const double norm = optimizer_.step(rate);
    if (!std::isfinite(norm)) stop_on_bad_numbers("gradient norm", norm);
    metrics["loss"] = sums.loss / sums.weight;
    metrics["gradient_norm"] = norm;
    metrics["learning_rate"] = rate;
    return metrics;
  }

  /// Loss and gradients of one micro-batch, by its weight.
  void add(const PreparedBatch& batch, int64_t micro, Sums& sums, std::map<std::string, double>& metrics) {
    const StepContext context{.step = step_,
                              .total_steps = config_.steps,
                              .rng = Rng(static_cast<uint64_t>(config_.seed)).split(static_cast<uint64_t>(micro))};
    Loss loss;
    {
      const AutocastGuard autocast(config_.precision, options_.device);
      loss = objective_.prepared_loss(batch, context);
    }
    const double value = loss.value.item<double>();
    if (!std::isfinite(value)) {
      sums.bad = value;
      return;
    }
    (loss.value * loss.weight).backward();
    sums.loss += value * loss.weight;
    sums.weight += loss.weight;
    for (const auto& [name, measured] : loss.metrics) metrics[name] += measured;
  }

  void share(Sums& sums) {
    if (peers_.count() == 1) return;
    const Tensor all = at::tensor({sums.loss, sums.weight, sums.interrupted, sums.bad}, at::kDouble);
    peers_.sum({all});
    const double* v = all.const_data_ptr<double>();
    sums = {v[0], v[1], v[2], v[3]};
  }

  /// Gradients become their sum over all processes times `factor`.
  void share_gradients(double factor) {
    const at::NoGradGuard no_grad;
    std::vector<Tensor> gradients;
    for (const Parameter& p : optimizer_.parameters()) {
      Tensor& gradient = p.tensor.mutable_grad();
      if (!gradient.defined() && peers_.count() > 1) gradient = at::zeros_like(p.tensor);
      if (gradient.defined()) gradients.push_back(gradient);
    }
    sum_in_buckets(peers_, gradients);
    if (factor == 1) return;
    for (Tensor& gradient : gradients) gradient.mul_(factor);
  }

  /// All processes start from the state of the first one.
  void share_state() {
    const at::NoGradGuard no_grad;
    const Tensor step = at::full({1}, step_, at::kLong);
    std::vector<Tensor> all = {step};
    for (const NamedTensor& item : state()) all.push_back(item.tensor);
    peers_.broadcast(all);
    step_ = step.item<int64_t>();
  }

  /// The weights are still those of the last whole step.
  [[noreturn]] void stop_without(const LostPeer& lost) {
    std::string kept = "the process that is left of lowest rank writes the checkpoint";
    if (peers_.leads_after_loss()) {
      checkpoint();
      kept = fmt::format("step {} is in {}; go on with --resume", step_, (options_.directory / "checkpoints").string());
    }
    throw FaultError("{}; stopped after step {}; {}", lost.what(), step_, kept);
  }

  [[noreturn]] void stop_on_bad_numbers(std::string_view what, double value) const {
    const auto good = checkpoints_.latest();
    throw FaultError(
        "[train] {} is {} at step {}; the last good checkpoint is {}; a lower learning_rate or clip may help", what,
        value, step_ + 1, good ? good->string() : "none (the run had not reached checkpoint_every)");
  }

  void log(const std::map<std::string, double>& metrics, double seconds) {
    Json line = {{"step", step_}, {"samples", step_ * config_.accumulate * config_.batch}};
    for (const auto& [name, value] : metrics) line[name] = value;
    line["seconds"] = seconds;
    log_->write(line);
  }

  void measure() {
    const at::NoGradGuard no_grad;
    optimizer_.swap_average();
    measured_ = objective_.evaluate();
    objective_.save_samples(options_.directory / "samples", fmt::format("step-{:07}", step_));
    optimizer_.swap_average();
    if (measured_.empty()) return;
    Json line = {{"step", step_}};
    std::string words;
    for (const auto& [name, value] : measured_) {
      line[name] = value;
      words += fmt::format("  {} {:.4g}", name, value);
    }
    log_->write(line);
    log_info("step {}{}", step_, words);
  }

  /// Weights and optimiser state under names that cannot meet.
  std::vector<NamedTensor> state() const {
    std::vector<NamedTensor> all = optimizer_.state();
    for (const Parameter& p : optimizer_.parameters()) all.push_back({"weight." + p.name, p.tensor.detach()});
    if (config_.stop_loss > 0) all.push_back({"window_loss", window_});
    return all;
  }

  void checkpoint() {
    checkpoints_.save(step_, [&](const Path& folder, FileSystem& files) {
      save_tensors(folder / "state.safetensors", state(), files);
    });
  }

  void restore() {
    const auto folder = checkpoints_.latest();
    if (!folder) {
      log_info("no checkpoint in {} yet: starting from the beginning", options_.directory.string());
      return;
    }
    const at::NoGradGuard no_grad;
    load_into(state(), *folder / "state.safetensors", "train");
    step_ = CheckpointStore::step_of(*folder);
    if (step_ > config_.steps)
      throw UserError("[train] {} has done {} steps already, train.steps is {}; want at least as many",
                      options_.directory.string(), step_, config_.steps);
    log_info("resuming {} at step {}", options_.directory.string(), step_);
  }

  void save_model() {
    const at::NoGradGuard no_grad;
    optimizer_.swap_average();
    objective_.save_model(options_.directory / "model", files_);
    optimizer_.swap_average();
  }

  Objective& objective_;
  const SampleSource& source_;
  const TrainConfig& config_;
  const RunOptions& options_;
  Peers& peers_;
  FileSystem& files_;
  AdamW optimizer_;
  CheckpointStore checkpoints_;
  std::unique_ptr<MetricsLog> log_;
  std::future<Batches> next_;
  std::map<std::string, double> measured_;
  int64_t step_ = 0;
  Tensor window_ = at::full({1}, 0, at::kDouble);  // sum of losses of the window that stop_loss looks at
  bool done_ = false;
  bool interrupted_ = false;  // one of many processes was
};
}  // namespace

void validate(const TrainConfig& c) {
  if (c.steps < 1 || c.batch < 1 || c.accumulate < 1)
    throw UserError("[train] steps, batch and accumulate are {}, {}, {}; want at least 1", c.steps, c.batch,
                    c.accumulate);
  if (c.precision != "fp32" && c.precision != "bf16" && c.precision != "auto")
    throw UserError("[train] precision is '{}', want fp32, bf16 or auto", c.precision);
  if (!(c.peer_timeout > 0)) throw UserError("[train] peer_timeout is {}, want seconds above 0", c.peer_timeout);
  if (c.log_every < 1 || c.checkpoint_every < 1 || c.keep_checkpoints < 1 || c.evaluate_every < 0) {
    throw UserError(
        "[train] log_every, checkpoint_every and keep_checkpoints want at least 1, evaluate_every at least 0");
  }
  if (!(c.stop_loss >= 0) || c.stop_window < 1)
    throw UserError("[train] stop_loss wants 0 or more, stop_window at least 1; got {} and {}", c.stop_loss,
                    c.stop_window);
  validate(c.schedule);
  validate(c.optimizer);
}

TrainResult train(Objective& objective, const SampleSource& source, const TrainConfig& config, const RunOptions& run,
                  FileSystem& files) {
  validate(config);
  Peers alone;
  Peers& peers = run.peers != nullptr ? *run.peers : alone;
  const TrainConfig shared = shared_config(config, peers.count());
  return Run(objective, source, shared, run, peers, files).go();
}

}  // namespace tessera::train
