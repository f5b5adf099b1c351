// Training a codec: reconstruction, commitment and entropy terms, with late scales dropped at random so that every
// prefix of the scales decodes to a picture.
#pragma once

#include <optional>
#include <string>
#include <unordered_map>

#include "codec/codec.h"
#include "train/objective.h"
#include "train/recipe.h"

namespace tessera::codec {

/// Loss weights (facts of the released tokeniser's training; LPIPS and GAN terms are left out).
struct CodecTraining {
  double l1 = 1.0;              // mean absolute difference
  double mse = 2.0;             // mean squared difference: PSNR's own measure
  double commitment = 0.25;     // squared distance of latent and summed codes, mean over positions
  double entropy = 0.001;       // E[H] - H[E], the released 0.1 / 100
  double drop_scales = 0.3;     // share of pictures that are decoded from a random prefix of the scales
  std::string start;            // codec directory to start from; empty: from nothing
  bool freeze_encoder = false;  // train the decoder alone: bits stay what they are, so transformers over them fit
  int64_t flip_percent =
      0;  // most percent of a scale's bits that are inverted, by chance, while the decoder alone is trained

  bool operator==(const CodecTraining&) const = default;
};
template <class V> void fields(V& v, CodecTraining& c) {
  v("l1", c.l1, "weight of the mean absolute difference");
  v("mse", c.mse, "weight of the mean squared difference");
  v("commitment", c.commitment, "weight of the distance between latent and summed codes");
  v("entropy", c.entropy, "weight of E[H] - H[E] of the soft bits");
  v("drop_scales", c.drop_scales, "share of pictures decoded from a random prefix of the scales");
  v("start", c.start, "codec directory to start from (empty: from nothing)");
  v("freeze_encoder", c.freeze_encoder, "train the decoder alone, of whatever size, so that bits stay what they are");
  v("flip_percent", c.flip_percent,
    "most percent of a scale's bits that are inverted while the decoder alone is trained: it learns to overlook wrong "
    "ones");
}

class CodecObjective final : public train::Objective {
 public:
  /// `fixed`: pictures that are measured and shown while training.
  CodecObjective(Codec codec, CodecTraining training, std::vector<Image> fixed, at::Device device);

  std::vector<train::Parameter> parameters() override;
  /// The picture as numbers.
  std::unique_ptr<train::Prepared> prepare(Sample sample) const override;
  train::Loss prepared_loss(const train::PreparedBatch& batch, const train::StepContext& context) override;
  void save_model(const Path& directory, FileSystem& files) override;
  void save_samples(const Path& directory, const std::string& stem) override;
  /// `psnr` of whole pictures and `psnr_scale_K` of each prefix, over the fixed pictures.
  std::map<std::string, double> evaluate() override;

  const Codec& codec() const { return codec_; }

 private:
  struct Picture final : train::Prepared {
    Tensor pixels;  // [1, 3, H, W] on the CPU
    std::optional<uint64_t> picture_id;
  };
  /// Bits of a picture, per scale [1, d, h, w], without gradients; kept by picture_id while the encoder is frozen.
  std::vector<Tensor> frozen_bits(const Picture& picture);
  /// Sums of a batch's codes per scale [B, K, d, h, w], some bits of which are inverted.
  Tensor frozen_sums(const std::vector<const Picture*>& batch, Rng rng);
  train::Loss decoder_loss(const std::vector<const Picture*>& batch, const Tensor& pictures,
                           const train::StepContext& context);

  Codec codec_;
  CodecTraining training_;
  std::unordered_map<uint64_t, std::vector<Tensor>> bits_;  // by picture_id
  std::vector<Image> fixed_;
  at::Device device_;
};

/// The "codec" objective of a recipe: [model] is a CodecConfig, or `preset = "f16-d16"` with changes to it; [loss] is a
/// CodecTraining. Measures on 200 held-out samples; where the data hold nothing out, on the first ones that train.
std::unique_ptr<train::Objective> make_codec_objective(train::Recipe& recipe, const SampleSource& source,
                                                       at::Device device);

/// Mean PSNR in dB of `pictures` decoded from the first k scales, for every k. [number of scales].
std::vector<double> psnr_per_scale(const Codec& codec, const std::vector<Image>& pictures, at::Device device);

}  // namespace tessera::codec
