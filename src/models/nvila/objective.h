// Training an NVILA model on conversations about pictures and clips: next-token loss on the assistant's turns alone. The paper's
// stages differ in which parts learn, from what they start and on what data: all of that is in the recipe.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "models/nvila/module.h"
#include "text/tokenizer.h"
#include "train/objective.h"
#include "train/recipe.h"
#include "train/tune.h"

namespace tessera::nvila {

/// One part's share in training.
struct PartTraining {
  train::TuneConfig tune;  // what of it learns
  double rate = 1;         // multiplies the schedule's learning rate
  bool operator==(const PartTraining&) const = default;
};
template <class V> void fields(V& v, PartTraining& p) {
  v("tune", p.tune, "what of this part learns");
  v("rate", p.rate, "multiplies the learning rate");
}

/// A recipe's `[loss]` table.
struct NvilaTraining {
  PartTraining tower, projector, llm;
  bool recompute = false;  // compute blocks again in the backward pass instead of keeping them
  int64_t unseen = 64;     // held-out samples that are measured
  bool half = true;        // save weights as f16
  bool operator==(const NvilaTraining&) const = default;
};
template <class V> void fields(V& v, NvilaTraining& t) {
  v("tower", t.tower, "vision tower");
  v("projector", t.projector, "projector");
  v("llm", t.llm, "language model");
  v("recompute", t.recompute, "compute blocks again in the backward pass instead of keeping them");
  v("unseen", t.unseen, "held-out samples that are measured; where the data name no heldout_share, 0.02 is held out");
  v("half", t.half, "save weights as f16");
}

/// A recipe's `[model]` table: where to start, and the shape. With `from`, what is not named stays as it is there.
struct ModelTable {
  std::string from;       // model directory whose weights are taken where name and shape agree
  std::string tokenizer;  // directory; default: that of `from`
  VisionConfig vision;
  std::string projector = "mlp_downsample_2x2_fix";
  TileConfig tiles;
  VideoConfig video;
  lm::LmConfig text;  // vocabulary defaults to the tokenizer's
};
template <class V> void fields(V& v, ModelTable& t) {
  v("from", t.from, "model directory to start from; empty: from nothing");
  v("tokenizer", t.tokenizer, "tokenizer directory (default: that of 'from')");
  v("vision", t.vision, "vision tower");
  v("projector", t.projector, "kind of projector");
  v("tiles", t.tiles, "how pictures are cut");
  v("video", t.video, "how clips are sampled");
  v("text", t.text, "language model");
}

/// How many of the assistant's turns in a batch come out token for token when each token is the most likely one.
struct Answers {
  int64_t right = 0, all = 0;
};

class NvilaObjective final : public train::Objective {
 public:
  /// `unseen`: held-out samples; may be empty. `tokenizer_directory` is copied into saved models.
  NvilaObjective(NvilaModel model, Path tokenizer_directory, NvilaTraining training, uint64_t seed,
                 std::vector<Sample> unseen, at::Device device);

  std::vector<train::Parameter> parameters() override;
  /// Ids, targets and resized pixels. Throws UserError for a sample without a conversation and for one that is longer than the
  /// model's context.
  std::unique_ptr<train::Prepared> prepare(Sample sample) const override;
  /// Mean over learnt tokens.
  train::Loss prepared_loss(const train::PreparedBatch& batch, const train::StepContext& context) override;
  void save_model(const Path& directory, FileSystem& files) override;
  /// On the unseen samples: `unseen_loss`, and `unseen_answers`, the share of turns that greedy decoding would give.
  std::map<std::string, double> evaluate() override;

  const NvilaModel& model() const { return model_; }

 private:
  struct Measured {
    Tensor nats;  // [n]: cross entropy of every learnt token
    Answers answers;
  };
  /// A sample as the model reads it.
  struct Lesson final : train::Prepared {
    PromptRow row;
    std::vector<int32_t> targets;  // what each position of the row is to predict (train/grading.h)
    std::vector<Tensor> pixels;
    std::vector<MediaPlan> plans;
  };
  /// Rows of about one length go through the model together, so that little of them is padding.
  Measured measure(const train::PreparedBatch& batch) const;
  Measured measure_rows(const std::vector<const Lesson*>& lessons) const;

  NvilaModel model_;
  Path tokenizer_directory_;
  std::unique_ptr<text::Tokenizer> tokenizer_;
  NvilaTraining training_;
  uint64_t seed_;
  std::vector<Sample> unseen_;
  at::Device device_;
  std::unique_ptr<Prompter> prompter_;
};

/// Has the recipe's data hold out samples when the objective is to measure some and the recipe says nothing of it. Before the source is made.
void complete_nvila_data(train::Recipe& recipe);

/// The objective "nvila" of a recipe; completes the recipe's `[model]` and `[loss]` tables. Throws UserError.
std::unique_ptr<train::Objective> make_nvila_objective(train::Recipe& recipe, const SampleSource& source,
                                                       at::Device device);

}  // namespace tessera::nvila
