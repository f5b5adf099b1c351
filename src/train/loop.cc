// The loop itself: batches, gradients, the optimiser; measuring, logging and checkpoints between steps.
#include "train/loop.h"

#include <chrono>
#include <cmath>
#include <future>
#include <sstream>

#include <ATen/autocast_mode.h>

#include "core/error.h"
#include "core/json.h"
#include "core/log.h"
#include "core/progress.h"
#include "tensor/checkpoint.h"
#include "tensor/weights.h"

namespace tessera::train {

namespace {
using Clock = std::chrono::steady_clock;
double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

/// bf16 matrix products while it lives, when asked for.
class AutocastGuard {
 public:
  AutocastGuard(const std::string& precision, at::Device device) : type_(device.type()), on_(precision == "bf16") {
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

std::vector<Sample> fetch(const SampleSource& source, uint64_t begin, int64_t count) {
  std::vector<Sample> batch;
  for (int64_t i = 0; i < count; ++i) batch.push_back(source.at(begin + static_cast<uint64_t>(i)));
  return batch;
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

/// One run: its optimiser, its files, and the step it stands at.
class Run {
 public:
  Run(Objective& objective, const SampleSource& source, const TrainConfig& config, const RunOptions& options,
      FileSystem& files)
      : objective_(objective), source_(source), config_(config), options_(options), files_(files),
        optimizer_(objective.parameters(), config.optimizer),
        checkpoints_(options.directory / "checkpoints", files, static_cast<int>(config.keep_checkpoints)) {
    files_.create_directories(options_.directory / "samples");
    if (options_.resume) restore();
    log_ = std::make_unique<MetricsLog>(options_.directory / "metrics.jsonl", step_, files_);
  }

  TrainResult go() {
    const InterruptGuard guard;
    const auto began = Clock::now();
    Progress progress("train", config_.steps, "steps", step_);
    prefetch();
    bool interrupted = false;
    while (step_ < config_.steps && !interrupted) {
      const std::map<std::string, double> metrics = one_step();
      ++step_;
      interrupted = InterruptGuard::raised();
      const bool last = step_ == config_.steps;
      if (last || step_ % config_.log_every == 0) log(metrics, seconds_since(began));
      progress.update(step_, fmt::format("loss {:.4f}", metrics.at("loss")));
      if (last || due(config_.evaluate_every)) measure();
      if (last || interrupted || due(config_.checkpoint_every)) checkpoint();
    }
    progress.finish();
    if (step_ == config_.steps) save_model();
    return {.steps = step_,
            .interrupted = interrupted && step_ < config_.steps,
            .seconds = seconds_since(began),
            .metrics = measured_};
  }

 private:
  bool due(int64_t every) const { return every > 0 && step_ % every == 0; }

  void prefetch() {
    const auto begin = static_cast<uint64_t>(step_ * config_.accumulate * config_.batch);
    next_ = std::async(std::launch::async, fetch, std::cref(source_), begin, config_.batch * config_.accumulate);
  }

  std::map<std::string, double> one_step() {
    std::vector<Sample> samples = next_.get();
    if (step_ + 1 < config_.steps) {
      ++step_, prefetch(), --step_;
    }
    std::map<std::string, double> metrics;
    double total = 0, weights = 0;
    for (int64_t micro = 0; micro < config_.accumulate; ++micro) {
      const auto begin = samples.begin() + micro * config_.batch;
      const std::vector<Sample> batch(std::make_move_iterator(begin), std::make_move_iterator(begin + config_.batch));
      const auto stream = static_cast<uint64_t>(step_ * config_.accumulate + micro);
      const StepContext context{
          .step = step_, .total_steps = config_.steps, .rng = Rng(static_cast<uint64_t>(config_.seed)).split(stream)};
      Loss loss;
      {
        const AutocastGuard autocast(config_.precision, options_.device);
        loss = objective_.loss(batch, context);
      }
      const double value = loss.value.item<double>();
      if (!std::isfinite(value)) stop_on_bad_numbers("loss", value);
      (loss.value * loss.weight).backward();
      total += value * loss.weight, weights += loss.weight;
      for (const auto& [name, measured] : loss.metrics)
        metrics[name] += measured / static_cast<double>(config_.accumulate);
    }
    if (weights == 0) weights = 1;  // nothing in these samples was to be learned
    total /= weights, scale_gradients(1 / weights);
    const double rate = learning_rate_at(config_.schedule, step_, config_.steps);
    const double norm = optimizer_.step(rate);
    if (!std::isfinite(norm)) stop_on_bad_numbers("gradient norm", norm);
    metrics["loss"] = total, metrics["gradient_norm"] = norm, metrics["learning_rate"] = rate;
    return metrics;
  }

  void scale_gradients(double factor) {
    if (factor == 1) return;
    for (const Parameter& p : optimizer_.parameters()) {
      if (Tensor& grad = p.tensor.mutable_grad(); grad.defined()) grad.mul_(factor);
    }
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
  FileSystem& files_;
  AdamW optimizer_;
  CheckpointStore checkpoints_;
  std::unique_ptr<MetricsLog> log_;
  std::future<std::vector<Sample>> next_;
  std::map<std::string, double> measured_;
  int64_t step_ = 0;
};
}  // namespace

void validate(const TrainConfig& c) {
  if (c.steps < 1 || c.batch < 1 || c.accumulate < 1)
    throw UserError("[train] steps, batch and accumulate are {}, {}, {}; want at least 1", c.steps, c.batch,
                    c.accumulate);
  if (c.precision != "fp32" && c.precision != "bf16")
    throw UserError("[train] precision is '{}', want fp32 or bf16", c.precision);
  if (c.log_every < 1 || c.checkpoint_every < 1 || c.keep_checkpoints < 1 || c.evaluate_every < 0) {
    throw UserError(
        "[train] log_every, checkpoint_every and keep_checkpoints want at least 1, evaluate_every at least 0");
  }
  validate(c.schedule);
  validate(c.optimizer);
}

TrainResult train(Objective& objective, const SampleSource& source, const TrainConfig& config, const RunOptions& run,
                  FileSystem& files) {
  validate(config);
  return Run(objective, source, config, run, files).go();
}

}  // namespace tessera::train
