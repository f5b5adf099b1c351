// Training a VQ codec (arXiv 1711.00937; VQGAN's losses without its discriminator): reconstruction with a straight-through gradient,
// codes drawn to what is rounded to them, commitment, and codes that nothing is rounded to put where they are wanted.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "codec/vq/codec.h"
#include "train/objective.h"
#include "train/recipe.h"

namespace tessera::vq {

struct VqTraining {
  double l1 = 1.0;                // mean absolute difference
  double mse = 2.0;               // mean squared difference: PSNR's own measure
  double commitment = 0.25;       // squared distance of features to their codes, which moves the features
  double codebook = 1.0;          // the same distance, which moves the codes
  int64_t revive_every = 100;     // steps between looks for codes that are not used; 0: never
  int64_t revive_pictures = 128;  // training pictures that such a look encodes
  double revive_until = 0.8;      // share of the run after which codes stay where they are
  std::string start;              // codec directory to start from; empty: from nothing
  bool freeze_encoder = false;    // train the decoder alone: codes stay what they are, so models over them fit
  double replace_codes = 0;       // share of codes that are others, by chance, while the decoder alone is trained

  bool operator==(const VqTraining&) const = default;
};
template <class V> void fields(V& v, VqTraining& c) {
  v("l1", c.l1, "weight of the mean absolute difference");
  v("mse", c.mse, "weight of the mean squared difference");
  v("commitment", c.commitment, "weight of the distance between features and codes that moves the features");
  v("codebook", c.codebook, "weight of the distance between features and codes that moves the codes");
  v("revive_every", c.revive_every, "steps between looks for codes that are not used (0: never)");
  v("revive_pictures", c.revive_pictures, "training pictures that such a look encodes");
  v("revive_until", c.revive_until, "share of the run after which codes stay where they are");
  v("start", c.start, "codec directory to start from (empty: from nothing)");
  v("freeze_encoder", c.freeze_encoder, "train the decoder alone, of whatever size, so that codes stay what they are");
  v("replace_codes", c.replace_codes,
    "share of codes that are others, by chance, while the decoder alone is trained: it learns to overlook a wrong one");
}

/// How evenly codes are used: the share of the codebook that occurs, and exp of the entropy of the codes in nats, which is the number of
/// codes where all are used alike.
struct CodeUsage {
  double share = 0, perplexity = 0;
};
/// `codes`: any shape, int64, each below `entries`.
CodeUsage usage_of(const Tensor& codes, int64_t entries);

/// What pictures of the codec's size lose on their way through codes: mean PSNR in dB, and how the codes are used.
struct VqQuality {
  double psnr = 0;
  CodeUsage usage;
};
VqQuality quality_of(const VqCodec& codec, const std::vector<Image>& pictures, at::Device device);

class VqObjective final : public train::Objective {
 public:
  struct Parts {
    VqCodec codec;
    VqTraining training;
    std::vector<Image> fixed;  // measured and shown while training
    const SampleSource* source =
        nullptr;  // of the pictures that a look for unused codes encodes; must outlive the objective
    uint64_t seed = 0;
    at::Device device = at::kCPU;
  };
  explicit VqObjective(Parts parts) : parts_(std::move(parts)) {}

  std::vector<train::Parameter> parameters() override;
  /// The picture as numbers.
  std::unique_ptr<train::Prepared> prepare(Sample sample) const override;
  /// Also revives codes where the step is one of those: a function of seed, step and weights alone, so that resumed runs and all processes
  /// of one do the same.
  train::Loss prepared_loss(const train::PreparedBatch& batch, const train::StepContext& context) override;
  void save_model(const Path& directory, FileSystem& files) override;
  /// A row of pictures and a row of what their codes decode to.
  void save_samples(const Path& directory, const std::string& stem) override;
  /// `psnr`, `code_usage` and `code_perplexity` over the fixed pictures.
  std::map<std::string, double> evaluate() override;

  const VqCodec& codec() const { return parts_.codec; }

 private:
  struct Picture final : train::Prepared {
    Tensor pixels;  // [1, 3, H, W] on the CPU
    std::optional<uint64_t> picture_id;
  };
  void revive(int64_t step);
  /// Codes of a batch [B, h, w] without gradients; kept by picture_id, for while the encoder is frozen.
  Tensor frozen_codes(const std::vector<const Picture*>& batch);
  train::Loss decoder_loss(const std::vector<const Picture*>& batch, const Tensor& pictures, Rng rng);

  Parts parts_;
  int64_t revived_ = -1;                        // the last step that did
  std::unordered_map<uint64_t, Tensor> codes_;  // by picture_id, [h, w]
};

/// Moves the rows of `codebook` [K, e] that none of `rows` [N, e] is rounded to onto rows, drawn by `rng` in proportion to their squared
/// distance from the nearest code. Returns how many moved.
int64_t revive_codes(const Tensor& rows, Tensor codebook, Rng rng);

/// The "vq-codec" objective of a recipe: [model] is a VqConfig, [loss] a VqTraining. Measures on 200 held-out samples; where the data hold
/// nothing out, on the first ones that train.
std::unique_ptr<train::Objective> make_vq_objective(train::Recipe& recipe, const SampleSource& source,
                                                    at::Device device);

}  // namespace tessera::vq
