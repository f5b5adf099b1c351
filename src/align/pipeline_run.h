// The run behind run_align(): its steps, and the model that is loaded at the time.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "align/inputs.h"
#include "align/pipeline.h"
#include "align/run_state.h"
#include "core/interrupt.h"
#include "models/registry.h"

namespace tessera::align {

/// What the endpoints' answers are told apart by.
inline const std::string elsewhere = "endpoints";

/// Ctrl-C between two steps, or within one: the run ends and can go on.
struct Interrupted {};

/// One model in memory at a time.
class LoadedWriter {
 public:
  explicit LoadedWriter(at::Device device) : device_(device) {}
  const Writes& get(const Path& directory) {
    if (directory != directory_) {
      unload();
      model_ = load_model(directory, device_);
      directory_ = directory;
    }
    if (model_->writes() == nullptr) throw UserError("[align] {} is a model that does not write", directory.string());
    return *model_->writes();
  }
  void unload() {
    model_.reset();
    directory_.clear();
  }

 private:
  at::Device device_;
  Path directory_;
  std::unique_ptr<LoadedModel> model_;
};

/// The order of steps is in pipeline.cc, the judge in judge_steps.cc, what a round does in round.cc.
class Pipeline {
 public:
  Pipeline(const AlignRecipe& recipe, at::Device device);
  AlignResult run();

 private:
  using Keep = std::function<void(StoredAnswer)>;

  static std::string sft_name(int64_t i) { return fmt::format("sft-{}", i + 1); }
  static std::string round_name(int64_t round) { return fmt::format("round-{}", round); }
  Path model_dir(const std::string& name) const { return out_ / "models" / name / "model"; }
  Path data_file(const std::string& name) const { return out_ / "data" / (name + ".jsonl"); }

  void run_steps(AlignResult& result);
  void require_same_recipe();
  void require_trainable() const;
  void require_room_for_judge();
  void require_pool() const;
  bool is_done(const std::string& name) const;
  void step(const std::string& name, const std::function<void(Json& detail)>& work);
  StepProgress progress(const std::string& label, int64_t total, const std::string& unit, int64_t start = 0) const {
    return {out_, step_, label, total, unit, start};
  }
  void keep_inputs(const Inputs& inputs, Json& detail);
  void train_on(const std::string& name, const Path& from, const Path& data, const TrainingTable& table,
                const std::string& objective, int64_t seed, Json& detail);
  void train_sft(const std::string& name, const Path& data, int64_t seed, Json& detail) {
    train_on(name, base_, data, recipe_.sft, models::conversation_objective(base_), seed, detail);
  }
  void make_pool(Json& detail);
  void make_features(const Path& file, int64_t prompts);
  void make_clusters(Json& detail);

  void make_judge();
  void train_judge(Json& detail);
  void distil_judge(Json& detail);
  std::vector<StoredScore> judged_locally(const std::string& judge, const std::vector<StoredAnswer>& answers,
                                          const std::map<int64_t, std::string>& prompts);
  std::vector<StoredScore> judged_elsewhere(const std::vector<StoredAnswer>& answers,
                                            const std::map<int64_t, std::string>& prompts);
  void score_answers(int64_t round, const std::string& judge, Json& detail);
  void summarise_scores(int64_t round, const std::string& judge, Json& detail) const;

  void run_round(int64_t round);
  std::vector<std::string> models_of(int64_t round) const;
  std::vector<StoredAnswer> missing_answers(int64_t round, const std::string& model, int64_t own) const;
  void write_answers(int64_t round, int64_t samples, const std::vector<std::string>& models, Json& detail);
  void write_locally(const std::string& name, const std::vector<StoredAnswer>& wanted, const Keep& keep);
  void write_elsewhere(const std::vector<StoredAnswer>& wanted, const Keep& keep);
  void write_round_data(int64_t round, Json& detail);

  AlignRecipe recipe_;
  Path out_, base_;
  at::Device device_;
  Store store_;
  LoadedWriter writer_;
  std::string step_;  // under way
};

}  // namespace tessera::align
