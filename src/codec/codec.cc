// Codec directories, initial weights and the way between pictures and tensors.
#include "codec/codec.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>

#include "codec/banded.h"
#include "codec/codec_files.h"
#include "tensor/build.h"

namespace tessera::codec {

namespace {
constexpr const char* model_type = "tessera-bsq-codec";
}  // namespace

Codec::Codec(const CodecConfig& c) : config(validated(c)), encoder(c.shape()), decoder(c.shape()) {}

Tensor Codec::decode(const Tensor& codes) const {
  constexpr int64_t largest_at_once = 640 * 640;  // pixels; at 1024 x 1024 the released decoder would take 4 GB
  const int64_t factor = config.spatial_factor();
  if (at::GradMode::is_enabled() || codes.size(2) * codes.size(3) * factor * factor <= largest_at_once)
    return decoder.forward(codes).clamp(-1, 1);
  std::vector<Tensor> pictures;
  for (int64_t b = 0; b < codes.size(0); ++b)
    pictures.push_back(decode_in_bands(decoder, codes.narrow(0, b, 1)).clamp_(-1, 1));
  return pictures.size() == 1 ? pictures.front() : at::cat(pictures);
}

void initialise(Codec& codec, uint64_t seed) {
  const Rng rng(seed);
  for_each_tensor(codec, [&](const std::string& name, Tensor& t) {
    if (t.dim() == 4) initialise_convolution(t, rng.split(hash_text(name)));  // biases and norms already are 0 and 1
  });
}

Codec load_codec(const Path& directory, at::Device device) {
  CodecConfig config;
  from_json(read_codec_config(directory, model_type, "codec"), config, (directory / "config.json").string());
  const BuildDevice on(device);
  Codec codec(config);
  load_into(named_tensors(codec), directory, "codec");
  return codec;
}

void save_codec(const Codec& codec, const Path& directory, StoredAs stored, FileSystem& files) {
  Codec handles = codec;  // tensors are handles: copying shares them
  write_codec_directory(directory, model_type, to_json(codec.config), named_tensors(handles), stored, files);
}

Tensor pictures_to_tensor(const std::vector<Image>& pictures, at::Device device) {
  const int64_t height = pictures.front().height, width = pictures.front().width;
  Tensor out = at::empty({static_cast<int64_t>(pictures.size()), 3, height, width}, at::kFloat);
  float* target = out.mutable_data_ptr<float>();
  for (const Image& picture : pictures) {
    for (int64_t c = 0; c < 3; ++c) {
      const uint8_t* pixel = picture.pixels.data();
      for (int64_t i = 0; i < height * width; ++i, pixel += picture.channels) {
        const float alpha = picture.channels == 4 ? static_cast<float>(pixel[3]) / 255 : 1;
        const float value = alpha * static_cast<float>(pixel[c]) + (1 - alpha) * 255;
        *target++ = value / 127.5f - 1;
      }
    }
  }
  return out.to(device);
}

std::vector<Image> tensor_to_pictures(const Tensor& pictures) {
  return pictures_of_levels(((pictures.detach().clamp(-1, 1) + 1) * 127.5).round());
}

Tensor psnr(const Tensor& a, const Tensor& b) {
  const Tensor mean_square = ((a - b) / 2).square().mean({1, 2, 3});
  return mean_square.clamp_min(1e-12).log10() * -10;
}

}  // namespace tessera::codec
