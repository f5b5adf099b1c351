// The run behind run_align(): its steps, and the model that is loaded at the time.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "align/pipeline.h"
#include "core/interrupt.h"
#include "models/registry.h"

namespace tessera::align {

/// What the endpoints' answers are told apart by.
inline const std::string elsewhere = "endpoints";

/// Ctrl-C between two steps, or within one: the run ends and can go on.
struct Interrupted {};

/// A conversation of one question as a line of a JSONL file.
std::string row_of(std::string_view prompt, std::string_view answer);

/// One model in memory at a time.
class LoadedWriter {
 public:
  explicit LoadedWriter(at::Device device) : device_(device) {}
  const Writes& get(const Path& directory) {
    if (directory != directory_) {
      model_.reset();
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

/// Steps are in pipeline.cc, what a round does in round.cc.
class Pipeline {
 public:
  Pipeline(const AlignRecipe& recipe, at::Device device)
      : recipe_(recipe), out_(recipe.out), device_(device), store_(store_of(out_)), writer_(device) {}

  AlignResult run();

 private:
  static std::string sft_name(int64_t i) { return fmt::format("sft-{}", i + 1); }
  static std::string round_name(int64_t round) { return fmt::format("round-{}", round); }
  Path model_dir(const std::string& name) const { return out_ / "models" / name / "model"; }
  Path data_file(const std::string& name) const { return out_ / "data" / (name + ".jsonl"); }
  std::string judge_name() const { return recipe_.judge.distil > 0 ? "judge-distilled" : "judge"; }

  void require_same_recipe();
  void step(const std::string& name, const std::function<void(Json& detail)>& work);
  int64_t read_seeds();
  void train_on(const std::string& name, const Path& from, const Path& data, const Json& tables,
                std::string_view objective, int64_t seed, Json& detail);
  void train_sft(const std::string& name, const Path& data, int64_t seed, Json& detail) {
    train_on(name, recipe_.base, data, recipe_.sft, models::conversation_objective(recipe_.base), seed, detail);
  }
  void make_pool(Json& detail);
  void make_clusters(Json& detail);
  void train_judge(Json& detail);
  void distil_judge(Json& detail);
  void run_round(int64_t round);
  std::vector<std::string> models_of(int64_t round) const;
  void write_answers(int64_t round, int64_t samples, const std::vector<std::string>& models, Json& detail);
  void write_locally(const std::string& name, const std::vector<StoredAnswer>& wanted,
                     const std::function<void(StoredAnswer)>& done);
  void write_elsewhere(const std::vector<StoredAnswer>& wanted, const std::function<void(StoredAnswer)>& done);
  void score_answers(int64_t round, const std::string& judge, Json& detail);
  void write_round_data(int64_t round, Json& detail);

  AlignRecipe recipe_;
  Path out_;
  at::Device device_;
  Store store_;
  LoadedWriter writer_;
};

}  // namespace tessera::align
