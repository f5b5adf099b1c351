// The codec's loss. Straight-through: the decoder sees the quantised sum, the encoder gets its gradient unchanged.
#include "codec/objective.h"

#include <ATen/ops/cat.h>
#include <ATen/ops/l1_loss.h>
#include <ATen/ops/mse_loss.h>
#include <ATen/ops/stack.h>

#include "codec/codec_files.h"
#include "core/error.h"
#include "data/heldout.h"
#include "media/compose.h"
#include "media/png.h"
#include "tensor/build.h"

namespace tessera::codec {

namespace {
/// For each picture the sum to decode: the whole, or for a share of them a random prefix of the scales.
Tensor with_dropped_scales(const Tensor& sums, double share, Rng rng) {  // [B, K, d, h, w] -> [B, d, h, w]
  std::vector<Tensor> chosen;
  const int64_t count = sums.size(1);
  for (int64_t b = 0; b < sums.size(0); ++b) {
    const int64_t last = rng.chance(share) ? static_cast<int64_t>(rng.below(static_cast<uint64_t>(count))) : count - 1;
    chosen.push_back(sums[b][last]);
  }
  return at::stack(chosen);
}

void check(const CodecTraining& t) {
  if (t.freeze_encoder && t.start.empty())
    throw UserError("[codec] freeze_encoder wants loss.start, the codec whose encoder is kept");
  if (t.flip_percent < 0 || t.flip_percent > 100)
    throw UserError("[codec] loss.flip_percent is {}, want 0 to 100", t.flip_percent);
  if (t.flip_percent > 0 && !t.freeze_encoder)
    throw UserError("[codec] loss.flip_percent wants freeze_encoder: bits that still move are not inverted");
}

bool same_decoder(const CodecConfig& a, const CodecConfig& b) {
  return a.upscale == b.upscale && a.decoder_blocks == b.decoder_blocks && a.decoder_channels == b.decoder_channels &&
         a.decoder_multipliers == b.decoder_multipliers;
}

/// Fills `codec` from `directory`: with all that is there where the decoders agree (sizes of pictures and scales may differ), else, with a frozen
/// encoder, with the encoder alone.
void start_from(const std::string& directory, bool freeze_encoder, Codec& codec, at::Device device) {
  Codec start = load_codec(directory, device);
  if (same_decoder(start.config, codec.config)) return load_into(named_tensors(codec), directory, "codec");
  if (!freeze_encoder || encoder_of(start.config) != encoder_of(codec.config))
    throw UserError("[codec] {} is a codec '{}', the recipe's [model] one '{}'{}", directory,
                    start.config.fingerprint(), codec.config.fingerprint(),
                    freeze_encoder ? ", whose encoder differs" : "; with freeze_encoder their decoders may differ");
  codec.encoder = std::move(start.encoder);
  codec.encoder.upscale = codec.config.upscale;
}
}  // namespace

std::unique_ptr<train::Objective> make_codec_objective(train::Recipe& recipe, const SampleSource& source,
                                                       at::Device device) {
  CodecConfig config;
  if (const auto preset = recipe.model.find("preset"); preset != recipe.model.end()) {
    config = codec_preset(preset->get<std::string>());
    recipe.model.erase(preset);
  }
  from_json(recipe.model, config, "recipe", "model");
  CodecTraining training;
  from_json(recipe.loss, training, "recipe", "loss");
  check(training);
  recipe.model = to_json(config);
  recipe.loss = to_json(training);

  const BuildDevice on(device);
  Codec codec(config);
  initialise(codec, static_cast<uint64_t>(recipe.train.seed));
  if (!training.start.empty()) start_from(training.start, training.freeze_encoder, codec, device);
  std::vector<Image> fixed;
  for (Sample& sample : data::samples_to_measure(source, 200)) fixed.push_back(std::move(sample.picture));
  const bool fits = fixed.front().width == config.picture_size && fixed.front().height == config.picture_size;
  if (!fits) {
    throw UserError("[codec] pictures are {} x {}, but model.picture_size is {}", fixed.front().width,
                    fixed.front().height, config.picture_size);
  }
  return std::make_unique<CodecObjective>(std::move(codec), training, std::move(fixed), device);
}

CodecObjective::CodecObjective(Codec codec, CodecTraining training, std::vector<Image> fixed, at::Device device)
    : codec_(std::move(codec)), training_(training), fixed_(std::move(fixed)), device_(device) {}

std::vector<train::Parameter> CodecObjective::parameters() {
  std::vector<train::Parameter> list;
  for_each_tensor(codec_, [&](const std::string& name, Tensor& t) {
    const bool frozen = training_.freeze_encoder && name.starts_with("encoder.");
    if (!frozen) list.push_back({.name = name, .tensor = t, .decay = t.dim() > 1});
  });
  return list;
}

std::unique_ptr<train::Prepared> CodecObjective::prepare(Sample sample) const {
  auto picture = std::make_unique<Picture>();
  picture->pixels = pictures_to_tensor({sample.picture}, at::kCPU);
  picture->picture_id = sample.picture_id;
  return picture;
}

train::Loss CodecObjective::prepared_loss(const train::PreparedBatch& samples, const train::StepContext& context) {
  const auto batch = train::prepared_as<Picture>(samples);
  std::vector<Tensor> pixels;
  for (const Picture* picture : batch) pixels.push_back(picture->pixels);
  const Tensor pictures = at::cat(pixels).to(device_);
  if (training_.freeze_encoder) return decoder_loss(batch, pictures, context);
  const Tensor latent = codec_.encode(pictures);
  const ResidualCodes codes = quantise(latent.detach(), codec_.scales());
  const Tensor sum = with_dropped_scales(at::stack(codes.sums, 1), training_.drop_scales, context.rng.split(0));
  const Tensor decoded = codec_.decoder.forward(latent + (sum - latent).detach());

  const Tensor l1 = at::l1_loss(decoded, pictures), mse = at::mse_loss(decoded, pictures);
  const Tensor commitment = (latent - codes.sums.back()).square().sum(1).mean();  // squared length, mean over positions
  Tensor total = training_.l1 * l1 + training_.mse * mse + training_.commitment * commitment;
  std::map<std::string, double> metrics{
      {"l1", l1.item<double>()}, {"mse", mse.item<double>()}, {"commitment", commitment.item<double>()}};
  if (training_.entropy > 0) {
    const Tensor entropy = entropy_penalty(latent);
    total = total + training_.entropy * entropy;
    metrics["entropy"] = entropy.item<double>();
  }
  return {total, metrics};
}

std::vector<Tensor> CodecObjective::frozen_bits(const Picture& picture) {
  const auto& id = picture.picture_id;
  if (const auto kept = id ? bits_.find(*id) : bits_.end(); kept != bits_.end()) return kept->second;
  std::vector<Tensor> bits = quantise(codec_.encode(picture.pixels.to(device_)), codec_.scales()).bits;
  if (id) bits_.emplace(*id, bits);
  return bits;
}

Tensor CodecObjective::frozen_sums(const std::vector<const Picture*>& batch, Rng rng) {
  const at::NoGradGuard no_grad;
  const std::vector<ScaleShape> scales = codec_.scales();
  std::vector<std::vector<Tensor>> by_scale(scales.size());
  for (const Picture* picture : batch) {
    const std::vector<Tensor> bits = frozen_bits(*picture);
    for (size_t k = 0; k < scales.size(); ++k) by_scale[k].push_back(bits[k]);
  }
  const std::vector<Tensor> flips =
      random_flips(std::ssize(batch), codec_.config.bits, scales, training_.flip_percent, rng, device_);
  std::vector<Tensor> bits;
  for (size_t k = 0; k < scales.size(); ++k) bits.push_back(at::cat(by_scale[k]).logical_xor(flips[k]));
  return at::stack(running_sums(bits, scales.back()), 1);
}

train::Loss CodecObjective::decoder_loss(const std::vector<const Picture*>& batch, const Tensor& pictures,
                                         const train::StepContext& context) {
  const Tensor sums = frozen_sums(batch, context.rng.split(1));
  const Tensor sum = with_dropped_scales(sums, training_.drop_scales, context.rng.split(0));
  const Tensor decoded = codec_.decoder.forward(sum);
  const Tensor l1 = at::l1_loss(decoded, pictures), mse = at::mse_loss(decoded, pictures);
  return {training_.l1 * l1 + training_.mse * mse, {{"l1", l1.item<double>()}, {"mse", mse.item<double>()}}};
}

void CodecObjective::save_model(const Path& directory, FileSystem& files) {
  save_codec(codec_, directory, StoredAs::f16, files);
}

void CodecObjective::save_samples(const Path& directory, const std::string& stem) {
  const at::NoGradGuard no_grad;
  const std::vector<Image> originals = part_of(fixed_, 0, 10);
  const ResidualCodes codes = quantise(codec_.encode(pictures_to_tensor(originals, device_)), codec_.scales());
  std::vector<Image> cells = originals;  // one row of originals, then a row per scale
  for (const Tensor& sum : codes.sums) {
    for (Image& picture : tensor_to_pictures(codec_.decode(sum))) cells.push_back(std::move(picture));
  }
  media::write_png(directory / (stem + ".png"), media::contact_sheet(cells, {.columns = std::ssize(originals)}));
}

std::map<std::string, double> CodecObjective::evaluate() {
  const std::vector<double> per_scale = psnr_per_scale(codec_, fixed_, device_);
  std::map<std::string, double> result{{"psnr", per_scale.back()}};
  for (size_t k = 0; k < per_scale.size(); ++k) result["psnr_scale_" + std::to_string(k + 1)] = per_scale[k];
  return result;
}

std::vector<double> psnr_per_scale(const Codec& codec, const std::vector<Image>& pictures, at::Device device) {
  const at::NoGradGuard no_grad;
  constexpr size_t chunk = 64;
  std::vector<double> total(codec.config.scales.size(), 0.0);
  for (size_t begin = 0; begin < pictures.size(); begin += chunk) {
    const Tensor truth = pictures_to_tensor(part_of(pictures, begin, chunk), device);
    const ResidualCodes codes = quantise(codec.encode(truth), codec.scales());
    for (size_t k = 0; k < total.size(); ++k) total[k] += psnr(codec.decode(codes.sums[k]), truth).sum().item<double>();
  }
  for (double& value : total) value /= static_cast<double>(pictures.size());
  return total;
}

}  // namespace tessera::codec
