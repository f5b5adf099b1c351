// Training an Infinity transformer over a frozen codec: bits of every scale at once, with bitwise self-correction.
#pragma once

#include <optional>
#include <unordered_map>

#include "models/infinity/draw.h"
#include "train/objective.h"
#include "train/tune.h"

namespace tessera::infinity {

/// How bits are taught (arXiv 2412.04431, section 3.4).
struct InfinityTraining {
  /// "off": clean codes. "flips": flipped codes go in, labels stay those of the clean codes. "requantise": labels are
  /// the bits of the residual against the flipped sum, so the model learns to mend its own errors.
  std::string correction = "requantise";
  int64_t flip_percent = 30;          // most percent of a scale's bits that flip
  double drop_prompt = 0.1;           // share of pictures trained without their prompt
  int64_t cached_pictures = 100'000;  // latents kept by Sample::picture_id
  InitialScales initial;
  bool half = true;                           // save weights as f16
  double cfg = 3.0, tau = 0.5, top_p = 0.97;  // written as the model's drawing defaults, used for sample grids
  std::vector<std::string> sample_prompts;    // drawn into every sample grid; empty: captions of held-out samples

  bool operator==(const InfinityTraining&) const = default;
};
template <class V> void fields(V& v, InfinityTraining& t) {
  v("correction", t.correction, "bitwise self-correction: off, flips or requantise");
  v("flip_percent", t.flip_percent, "most percent of a scale's bits that flip");
  v("drop_prompt", t.drop_prompt, "share of pictures trained without their prompt");
  v("cached_pictures", t.cached_pictures, "how many pictures' latents are kept in memory");
  v("initial", t.initial, "factors on the initial weights");
  v("half", t.half, "save weights as f16");
  v("cfg", t.cfg, "guidance of sample grids and of the saved model's defaults");
  v("tau", t.tau, "temperature of sample grids and of the saved model's defaults");
  v("top_p", t.top_p, "top-p of sample grids and of the saved model's defaults");
  v("sample_prompts", t.sample_prompts,
    "prompts drawn into every sample grid; none: captions of held-out samples, below their pictures");
}

/// Inputs and labels of one batch.
struct Lesson {
  Tensor features;  // [B, L - 1, bits per token]
  Tensor labels;    // [B, L, bits per token] bool
};

/// Turns latents [B, d, H, W] into features and labels under a correction mode; flips as from codec::random_flips.
Lesson make_lesson(const Tensor& latents, const Schedule& schedule, bool patchify, std::string_view correction,
                   const std::vector<Tensor>& flips);

/// Features and labels of a picture that is there in bits, scale by scale, [B, d, h, w] each.
Lesson lesson_of_bits(const std::vector<Tensor>& bits, const Schedule& schedule, bool patchify);

/// Weight of each of a schedule's L positions: proportional to sqrt(A_last / A_k), summing to 1. [L].
Tensor position_weights(const Schedule& schedule, at::Device device);

/// Loss and accuracy of a batch of logits against its labels.
struct Graded {
  Tensor loss;        // []: weighted mean over positions of the cross entropy per bit
  Tensor correct;     // [L]: share of right bits at each position
  Tensor token_nats;  // []: unweighted cross entropy of a whole token; comparable between heads
};
Graded grade(const Tensor& logits, const Tensor& labels, const Tensor& weights, const InfinityConfig& config);

/// Tables, single vectors and scalars take no weight decay.
bool takes_weight_decay(std::string_view name, const Tensor& t);

/// What a training starts from beside the transformer and its codec.
struct InfinityStart {
  std::shared_ptr<const PromptEncoder> text;  // absent where the model has a text encoder of its own
  std::string pixels;                         // published area; "": the model's own
  std::string base;                           // where the model comes from, as adapters say it; "": from nothing
  train::TuneConfig tune;
  uint64_t seed = 0;                          // of new adapters
  std::optional<DrawDefaults> defaults = {};  // how the model is drawn with; absent: as the training's settings say
};

class InfinityObjective : public train::Objective {
 public:
  /// Throws UserError when the codec's bits or scales are not the model's, or `training` names no such correction.
  /// `fixed`: samples measured by evaluate(), held-out ones where there are any; may be empty.
  InfinityObjective(Infinity model, codec::Codec codec, InfinityTraining training, std::vector<Sample> fixed,
                    at::Device device, InfinityStart start = {});

  /// All tensors, or those that `start.tune` names.
  std::vector<train::Parameter> parameters() override;
  /// The picture as numbers, and its caption.
  std::unique_ptr<train::Prepared> prepare(Sample sample) const override;
  train::Loss prepared_loss(const train::PreparedBatch& batch, const train::StepContext& context) override;
  /// config.json, model.safetensors, generation_config.json, codec/ and a T5 where there is one. Of a tuned model adapters are merged, and stand
  /// in adapter/ by themselves too.
  void save_model(const Path& directory, FileSystem& files) override;
  /// STEM.png: the sample prompts as one sheet; where the recipe names none, captions of samples to measure, drawn below
  /// their pictures. STEM.txt: the prompts, in that order.
  void save_samples(const Path& directory, const std::string& stem) override;
  /// Over the samples to measure, with their prompts: `clean_loss` and `clean_bit_acc`, and `bit_acc_flips_P`, the accuracy on
  /// re-quantised labels when P percent of all bits were flipped before.
  std::map<std::string, double> evaluate() override;

  const Infinity& model() const { return model_; }
  const codec::Codec& codec() const { return codec_; }

 protected:
  struct Captioned final : train::Prepared {
    Tensor picture;  // [1, 3, H, W] on the CPU
    std::string caption;
    std::optional<uint64_t> picture_id;
  };
  /// Of a prompt encoder outside the model, each caption's states are kept.
  nn::TextStates states_of(const std::vector<std::string>& captions);
  bool can_be_drawn(std::string_view prompt) const;
  const Positions& positions() const { return positions_; }
  at::Device device() const { return device_; }
  const std::vector<Sample>& fixed() const { return fixed_; }
  const std::string& pixels() const { return start_.pixels; }
  /// The model as it stands, with its own settings.
  DrawingInfinity drawing() const;

 private:
  Tensor latents_of(const std::vector<const Captioned*>& batch);
  Graded measure(const std::vector<const Captioned*>& batch, int64_t flip_percent);
  std::vector<const Sample*> shown_samples() const;  // different captions that drawing takes

  Infinity model_;
  codec::Codec codec_;
  InfinityTraining training_;
  std::vector<Sample> fixed_;
  at::Device device_;
  Positions positions_;
  Tensor weights_;                                // [L]
  std::unordered_map<uint64_t, Tensor> latents_;  // by picture_id, [d, H, W]
  InfinityStart start_;
  std::unordered_map<std::string, Tensor> states_;  // by caption, [T, text width]
};

}  // namespace tessera::infinity
