// Teaching one language model to draw, to caption and answer, and to write (arXiv 2412.04332, section 3): all three are the next token.
#pragma once

#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>
#include <vector>

#include "models/liquid/model_files.h"
#include "models/liquid/prompts.h"
#include "models/lm/training/objective.h"
#include "train/objective.h"

namespace tessera::liquid {

/// A recipe's `[model]` table: what `lm` has, and the codec whose codes the vocabulary gets. `from` may be a language model, whose vocabulary is
/// then extended, or a Liquid model, which has its own codec.
struct LiquidModelTable {
  std::string codec;       // directory of a VQ codec; empty: that of `from`
  double rows_rate = 1.0;  // adapters over a fresh vocabulary: learning rate of its new rows, times the schedule's
  lm::LmModelTable language;
  bool operator==(const LiquidModelTable&) const = default;
};
template <class V> void fields(V& v, LiquidModelTable& m) {
  v("codec", m.codec, "directory of a VQ codec (empty: that of `from`)");
  v("rows_rate", m.rows_rate, "adapters over a fresh vocabulary: learning rate of its new rows, times the schedule's");
  fields(v, m.language);
}

/// A recipe's `[loss]` table.
struct LiquidTraining {
  double drawing = 0.5;  // share of captioned pictures that are drawn from their caption; the others are captioned
  double without_prompt = 0.1;  // of those that are drawn: share without their caption, for guidance
  bool suffixes = true;         // one of ten ways to ask for the picture; false: always the first
  double redrawn = 0;           // share of pictures that are seen as this model would draw them
  double max_z = 0;        // weight of the squared largest logit, which keeps logits from growing (arXiv 2309.10305)
  int64_t length = 0;      // longest row; longer sequences are cut. 0: the model's context
  bool pack = true;        // several sequences in a row where they fit
  bool recompute = false;  // gradient checkpointing
  int64_t heldout = 128;   // held-out samples that are measured
  std::vector<std::string> sample_prompts;  // drawn into samples/; empty: captions of samples that are measured
  DrawDefaults sampling{.cfg = 3, .temperature = 0.9, .top_k = 0, .top_p = 0.95};  // of samples/, and the model's own
  int64_t drafts = 0;          // pictures of the data whose codes are saved as guesses for drawing
  std::string stored = "f16";  // format of saved weights
  bool operator==(const LiquidTraining&) const = default;
};
template <class V> void fields(V& v, LiquidTraining& t) {
  v("drawing", t.drawing, "share of captioned pictures that are drawn from their caption; the others are captioned");
  v("without_prompt", t.without_prompt, "of those that are drawn: share without their caption, for guidance");
  v("suffixes", t.suffixes, "ten ways to ask for the picture; false: always the first");
  v("redrawn", t.redrawn,
    "share of pictures that are captioned or talked about as they come out of a drawing, a code in thirty wrong");
  v("max_z", t.max_z, "weight of the squared largest logit");
  v("length", t.length, "longest row in tokens; longer sequences are cut (0: the model's context)");
  v("pack", t.pack, "several sequences in a row where they fit");
  v("recompute", t.recompute, "compute blocks again in the backward pass instead of keeping them");
  v("heldout", t.heldout, "held-out samples that are measured");
  v("sample_prompts", t.sample_prompts, "prompts drawn into samples/ (none: captions of samples that are measured)");
  v("sampling", t.sampling, "how samples/ are drawn, and the saved model's defaults");
  v("drafts", t.drafts,
    "pictures of the data whose codes are saved beside the model: drawing goes faster where it draws what it has seen");
  v("stored", t.stored, "format of saved weights: f16, bf16 or f32");
}

class LiquidObjective final : public train::Objective {
 public:
  struct Parts {
    Bundle bundle;
    std::shared_ptr<const text::Tokenizer> tokenizer;
    std::string base;  // what the model started from; empty: a new one
    train::TuneConfig tune;
    int64_t first_row = 0;  // of embedding and head that is trained where `tune.also` names them
    double rows_rate = 1;   // their learning rate, times the schedule's
    LiquidTraining training;
    std::vector<Sample> measured;          // held out
    std::vector<Sample> seen;              // that train, measured where no pictures are held out
    const SampleSource* source = nullptr;  // of the pictures whose codes become drafts; must outlive the objective
    uint64_t seed = 0;
    at::Device device = at::kCPU;
  };
  /// Throws UserError for settings out of range, and where a picture does not fit into a row.
  explicit LiquidObjective(Parts parts);

  std::vector<train::Parameter> parameters() override;
  /// Tokens of a text, codes of pictures. Throws UserError for samples without words or picture, and pictures of another size than the
  /// codec's.
  std::unique_ptr<train::Prepared> prepare(Sample sample) const override;
  /// Mean loss in nats over the learned tokens of the batch, which are its weight among micro-batches.
  train::Loss prepared_loss(const train::PreparedBatch& batch, const train::StepContext& context) override;
  void save_model(const Path& directory, FileSystem& files) override;
  /// STEM.png: the sample prompts, drawn; STEM.txt: the prompts, in that order.
  void save_samples(const Path& directory, const std::string& stem) override;
  /// heldout_loss (nats a learned token), and of each kind that there is heldout_drawing, heldout_caption, heldout_talk and heldout_text;
  /// trained_drawing and so on where no pictures are held out.
  std::map<std::string, double> evaluate() override;

  const Bundle& bundle() const { return parts_.bundle; }

 private:
  enum class Kind { text, talk, picture };
  struct Row final : train::Prepared {
    Kind kind = Kind::text;
    Prompter::Lesson text;
    std::vector<text::Message> messages;  // of a conversation
    std::string caption;                  // of a picture
    std::vector<std::vector<int64_t>> codes;
  };
  struct Graded {
    Tensor loss;  // [], summed over learned tokens, with the max-z term
    double nats = 0, learned = 0, padding = 0;
  };
  std::vector<int64_t> codes_of_picture(const Image& picture) const;
  std::vector<int64_t> redrawn(std::vector<int64_t> codes, Rng rng) const;
  Prompter::Lesson lesson_of(const Row& row, Rng rng) const;
  void measure(const std::vector<Sample>& samples, const std::string& prefix, std::map<std::string, double>& metrics);
  Graded grade(const std::vector<Prompter::Lesson>& lessons, bool recompute) const;
  int64_t room() const;
  std::shared_ptr<const PictureDrafts> drafts() const;

  Parts parts_;
  Prompter prompter_;
  mutable std::mutex encoding_;
  mutable std::unordered_map<uint64_t, std::vector<int64_t>> codes_;  // by a hash of the pixels
  std::shared_ptr<const PictureDrafts> drafts_;                       // once they are wanted
};

/// The objective "liquid" of a recipe; completes the recipe's `[model]` and `[loss]` tables. Throws UserError.
std::unique_ptr<train::Objective> make_liquid_objective(train::Recipe& recipe, const SampleSource& source,
                                                        at::Device device);

}  // namespace tessera::liquid
