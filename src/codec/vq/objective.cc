// The codec's loss, and where unused codes go.
#include "codec/vq/objective.h"

#include <ATen/ops/bincount.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/l1_loss.h>
#include <ATen/ops/mse_loss.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/tensor.h>

#include <algorithm>
#include <cmath>

#include "codec/codec.h"
#include "codec/codec_files.h"
#include "core/error.h"
#include "data/heldout.h"
#include "media/compose.h"
#include "media/png.h"
#include "tensor/build.h"

namespace tessera::vq {

namespace {

constexpr size_t measured_at_once = 64;

void check(const VqTraining& t) {
  for (const double weight : {t.l1, t.mse, t.commitment, t.codebook}) {
    if (!(weight >= 0) || !std::isfinite(weight))
      throw UserError("[vq] a weight of [loss] is {}, want 0 or more", weight);
  }
  if (t.revive_every < 0 || t.revive_pictures < 1)
    throw UserError("[vq] loss.revive_every wants 0 or more, revive_pictures at least 1; got {} and {}", t.revive_every,
                    t.revive_pictures);
  if (!(t.revive_until >= 0 && t.revive_until <= 1))
    throw UserError("[vq] loss.revive_until is {}, want a share from 0 to 1", t.revive_until);
  if (t.freeze_encoder && t.start.empty())
    throw UserError("[vq] freeze_encoder wants loss.start, the codec whose encoder is kept");
  if (!(t.replace_codes >= 0 && t.replace_codes <= 1))
    throw UserError("[vq] loss.replace_codes is {}, want a share from 0 to 1", t.replace_codes);
  if (t.replace_codes > 0 && !t.freeze_encoder)
    throw UserError("[vq] loss.replace_codes wants freeze_encoder: codes that still move are not exchanged");
}

/// A codec of the shape `config` with what `directory` holds: all of it where the shapes agree, else encoder and codes with the fresh decoder
/// that `fresh` has.
VqCodec started_from(const std::string& directory, const VqConfig& config, bool freeze_encoder, VqCodec fresh,
                     at::Device device) {
  VqCodec start = load_vq(directory, device);
  start.config.name = config.name;
  if (start.config == config) return start;
  if (!freeze_encoder || codec::encoder_of(start.config) != codec::encoder_of(config))
    throw UserError("[vq] {} is a codec '{}', the recipe's [model] one '{}'{}", directory, start.config.fingerprint(),
                    config.fingerprint(),
                    freeze_encoder ? ", whose encoder differs" : "; with freeze_encoder their decoders may differ");
  fresh.encoder = std::move(start.encoder);
  fresh.encoder.upscale = config.upscale;
  fresh.codebook = std::move(start.codebook);
  fresh.quant_conv = std::move(start.quant_conv);
  return fresh;
}

/// Codes [B, h, w] of which `share` are drawn anew from `entries`.
Tensor with_replaced(const Tensor& codes, double share, int64_t entries, Rng rng) {
  Tensor changed = codes.cpu().clone(at::MemoryFormat::Contiguous);
  int64_t* data = changed.mutable_data_ptr<int64_t>();
  for (int64_t i = 0; i < changed.numel(); ++i) {
    if (rng.chance(share)) data[i] = static_cast<int64_t>(rng.below(static_cast<uint64_t>(entries)));
  }
  return changed.to(codes.device());
}

/// [B, e, h, w] -> [B h w, e].
Tensor as_rows(const Tensor& features) { return features.permute({0, 2, 3, 1}).reshape({-1, features.size(1)}); }

}  // namespace

CodeUsage usage_of(const Tensor& codes, int64_t entries) {
  const Tensor counts = at::bincount(codes.flatten().cpu(), {}, entries).to(at::kDouble);
  const Tensor shares = counts / counts.sum();
  return {.share = (counts > 0).to(at::kDouble).mean().item<double>(),
          .perplexity = std::exp(-shares.xlogy(shares).sum().item<double>())};
}

int64_t revive_codes(const Tensor& rows, Tensor codebook, Rng rng) {
  const at::NoGradGuard no_grad;
  const Tensor nearest = nearest_codes(rows, codebook);
  const Tensor unused = (at::bincount(nearest.cpu(), {}, codebook.size(0)) == 0).nonzero().flatten();
  const int64_t count = unused.size(0);
  if (count == 0) return 0;
  const Tensor distance = (rows - codebook.index_select(0, nearest)).square().sum(1);
  const Tensor summed = distance.to(at::kCPU, at::kDouble).cumsum(0).contiguous();
  const double* sums = summed.const_data_ptr<double>();
  const int64_t all = summed.numel();
  std::vector<int64_t> chosen;
  for (int64_t i = 0; i < count; ++i) {
    const double at = rng.uniform() * sums[all - 1];
    chosen.push_back(std::min<int64_t>(std::upper_bound(sums, sums + all, at) - sums, all - 1));
  }
  const Tensor from = at::tensor(chosen, at::kLong).to(rows.device());
  codebook.index_copy_(0, unused.to(codebook.device()), rows.index_select(0, from).to(codebook.scalar_type()));
  return count;
}

std::unique_ptr<train::Objective> make_vq_objective(train::Recipe& recipe, const SampleSource& source,
                                                    at::Device device) {
  VqConfig config;
  from_json(recipe.model, config, "recipe", "model");
  VqTraining training;
  from_json(recipe.loss, training, "recipe", "loss");
  check(training);
  recipe.model = to_json(config);
  recipe.loss = to_json(training);

  VqObjective::Parts parts{
      .training = training, .source = &source, .seed = static_cast<uint64_t>(recipe.train.seed), .device = device};
  const BuildDevice on(device);
  parts.codec = VqCodec(config);
  initialise(parts.codec, parts.seed);
  if (!training.start.empty())
    parts.codec = started_from(training.start, config, training.freeze_encoder, std::move(parts.codec), device);
  for (Sample& sample : data::samples_to_measure(source, 200)) parts.fixed.push_back(std::move(sample.picture));
  const Image& first = parts.fixed.front();
  if (first.width != config.picture_size || first.height != config.picture_size)
    throw UserError("[vq] pictures are {} x {}, but model.picture_size is {}", first.width, first.height,
                    config.picture_size);
  return std::make_unique<VqObjective>(std::move(parts));
}

std::vector<train::Parameter> VqObjective::parameters() {
  std::vector<train::Parameter> list;
  for_each_tensor(parts_.codec, [&](const std::string& name, Tensor& t) {
    const bool decodes = name.starts_with("decoder.") || name.starts_with("post_quant_conv.");
    if (parts_.training.freeze_encoder && !decodes) return;
    list.push_back({.name = name, .tensor = t, .decay = t.dim() == 4});  // codes stay where features are
  });
  return list;
}

std::unique_ptr<train::Prepared> VqObjective::prepare(Sample sample) const {
  const int64_t edge = parts_.codec.config.picture_size;
  if (sample.picture.width != edge || sample.picture.height != edge)
    throw UserError("[vq] a sample's picture is {} x {}, want {} x {}; is every part of the data pictures?",
                    sample.picture.width, sample.picture.height, edge, edge);
  auto picture = std::make_unique<Picture>();
  picture->pixels = pictures_to_tensor({sample.picture}, at::kCPU);
  picture->picture_id = sample.picture_id;
  return picture;
}

void VqObjective::revive(int64_t step) {
  const at::NoGradGuard no_grad;
  Rng rng = Rng(parts_.seed).split(0x766976).split(static_cast<uint64_t>(step));
  const uint64_t pass = parts_.source->pass_length().value_or(uint64_t{1} << 32);
  std::vector<Tensor> pixels, rows;
  for (int64_t i = 0; i < parts_.training.revive_pictures; ++i)
    pixels.push_back(pictures_to_tensor({parts_.source->at(rng.below(pass)).picture}, at::kCPU));
  for (size_t begin = 0; begin < pixels.size(); begin += measured_at_once) {
    const auto end = std::min(pixels.size(), begin + measured_at_once);
    const std::vector<Tensor> part(pixels.begin() + static_cast<ptrdiff_t>(begin),
                                   pixels.begin() + static_cast<ptrdiff_t>(end));
    rows.push_back(as_rows(parts_.codec.features(at::cat(part).to(parts_.device))));
  }
  revive_codes(at::cat(rows), parts_.codec.codebook, rng);
  revived_ = step;
}

Tensor VqObjective::frozen_codes(const std::vector<const Picture*>& batch) {
  const at::NoGradGuard no_grad;
  std::vector<Tensor> codes;
  for (const Picture* picture : batch) {
    const auto& id = picture->picture_id;
    const auto kept = id ? codes_.find(*id) : codes_.end();
    codes.push_back(kept != codes_.end() ? kept->second : parts_.codec.encode(picture->pixels.to(parts_.device))[0]);
    if (id) codes_.emplace(*id, codes.back());
  }
  return at::stack(codes);
}

train::Loss VqObjective::decoder_loss(const std::vector<const Picture*>& batch, const Tensor& pictures, Rng rng) {
  const VqTraining& t = parts_.training;
  const Tensor codes = with_replaced(frozen_codes(batch), t.replace_codes, parts_.codec.config.codes, rng);
  const Tensor decoded = parts_.codec.decode_features(parts_.codec.rows_of(codes));
  const Tensor l1 = at::l1_loss(decoded, pictures), mse = at::mse_loss(decoded, pictures);
  return {t.l1 * l1 + t.mse * mse, {{"l1", l1.item<double>()}, {"mse", mse.item<double>()}}};
}

train::Loss VqObjective::prepared_loss(const train::PreparedBatch& samples, const train::StepContext& context) {
  const VqTraining& t = parts_.training;
  const auto batch = train::prepared_as<Picture>(samples);
  std::vector<Tensor> pixels;
  for (const Picture* picture : batch) pixels.push_back(picture->pixels);
  const Tensor pictures = at::cat(pixels).to(parts_.device);
  if (t.freeze_encoder) return decoder_loss(batch, pictures, context.rng.split(0));
  const bool early = static_cast<double>(context.step) <= t.revive_until * static_cast<double>(context.total_steps);
  const bool fresh = context.step > 0 || t.start.empty();  // step 0: all codes are put where features are
  if (parts_.source != nullptr && t.revive_every > 0 && context.step % t.revive_every == 0 && early && fresh &&
      revived_ != context.step)
    revive(context.step);

  const Tensor features = parts_.codec.features(pictures);  // [B, e, h, w]
  Tensor codes;
  {
    const at::NoGradGuard no_grad;
    codes = nearest_codes(as_rows(features), parts_.codec.codebook)
                .view({features.size(0), features.size(2), features.size(3)});
  }
  const Tensor rows = parts_.codec.rows_of(codes);
  // straight through: the decoder sees the codes, the features get its gradient unchanged
  const Tensor decoded = parts_.codec.decode_features(features + (rows - features).detach());

  const Tensor l1 = at::l1_loss(decoded, pictures), mse = at::mse_loss(decoded, pictures);
  const Tensor commitment = at::mse_loss(features, rows.detach()), codebook = at::mse_loss(rows, features.detach());
  const CodeUsage usage = usage_of(codes, parts_.codec.config.codes);
  return {t.l1 * l1 + t.mse * mse + t.commitment * commitment + t.codebook * codebook,
          {{"l1", l1.item<double>()},
           {"mse", mse.item<double>()},
           {"commitment", commitment.item<double>()},
           {"code_usage", usage.share},
           {"code_perplexity", usage.perplexity}}};
}

void VqObjective::save_model(const Path& directory, FileSystem& files) {
  save_vq(parts_.codec, directory, StoredAs::f16, files);
}

void VqObjective::save_samples(const Path& directory, const std::string& stem) {
  const at::NoGradGuard no_grad;
  std::vector<Image> cells = codec::part_of(parts_.fixed, 0, 16);
  const int64_t columns = std::ssize(cells);
  const Tensor decoded = parts_.codec.decode(parts_.codec.encode(pictures_to_tensor(cells, parts_.device)));
  for (Image& picture : tensor_to_pictures(decoded)) cells.push_back(std::move(picture));
  media::write_png(directory / (stem + ".png"), media::contact_sheet(cells, {.columns = columns}));
}

std::map<std::string, double> VqObjective::evaluate() {
  const VqQuality quality = quality_of(parts_.codec, parts_.fixed, parts_.device);
  return {{"psnr", quality.psnr}, {"code_usage", quality.usage.share}, {"code_perplexity", quality.usage.perplexity}};
}

VqQuality quality_of(const VqCodec& codec, const std::vector<Image>& pictures, at::Device device) {
  const at::NoGradGuard no_grad;
  double total = 0;
  std::vector<Tensor> all;
  for (size_t begin = 0; begin < pictures.size(); begin += measured_at_once) {
    const Tensor truth = pictures_to_tensor(codec::part_of(pictures, begin, measured_at_once), device);
    all.push_back(codec.encode(truth));
    total += codec::psnr(codec.decode(all.back()), truth).sum().item<double>();
  }
  return {.psnr = total / static_cast<double>(pictures.size()), .usage = usage_of(at::cat(all), codec.config.codes)};
}

}  // namespace tessera::vq
