// Codes, pictures and codec directories.
#include "codec/vq/codec.h"

#include <ATen/ops/cat.h>
#include <ATen/ops/einsum.h>
#include <ATen/ops/embedding.h>
#include <ATen/ops/empty.h>

#include <array>

#include "codec/codec_files.h"
#include "core/error.h"
#include "media/compose.h"
#include "tensor/build.h"

namespace tessera::vq {

namespace {

constexpr const char* model_type = "tessera-vq-codec";

/// The module's tensors in a checkpoint of taming-transformers: those under state_dict, without the losses'.
std::string module_name(std::string_view stored) {
  constexpr std::string_view outer = "state_dict.";
  if (!stored.starts_with(outer)) return "";
  const std::string_view name = stored.substr(outer.size());
  for (const std::string_view part :
       {"encoder.", "decoder.", "quantize.embedding.", "quant_conv.", "post_quant_conv."}) {
    if (name.starts_with(part)) return std::string(name);
  }
  return "";
}

VqCodec load_released(const Path& checkpoint, at::Device device) {
  const Path sizes = Path(checkpoint).replace_extension(".yaml");
  if (!std::filesystem::is_regular_file(sizes))
    throw UserError("[vq] {} is missing, which has the sizes of {}", sizes.string(), checkpoint.string());
  VqCodec codec = [&] {
    const BuildDevice nowhere(at::kMeta);
    return VqCodec(read_vqgan_yaml(sizes));
  }();
  map_weights(tensor_slots(codec), WeightSource(checkpoint).renamed(module_name), "vq",
              {.device = device, .format = at::kFloat, .writable = true});
  return codec;
}

VqCodec load_own(const Path& directory, at::Device device) {
  VqConfig config;
  from_json(codec::read_codec_config(directory, model_type, "vq"), config, (directory / "config.json").string());
  const BuildDevice on(device);
  VqCodec codec(config);
  load_into(named_tensors(codec), directory, "vq");
  return codec;
}

}  // namespace

VqCodec::VqCodec(const VqConfig& c)
    : config(codec::validated(c)), encoder(c.shape()), decoder(c.shape()),
      codebook(empty_weight({c.codes, c.code_width})), quant_conv(c.latent_channels, c.code_width, 1),
      post_quant_conv(c.code_width, c.latent_channels, 1) {}

Tensor nearest_codes(const Tensor& rows, const Tensor& codebook) {
  constexpr int64_t at_once = 4096;  // rows whose distances are held together
  const Tensor lengths = codebook.square().sum(1);
  std::vector<Tensor> nearest;
  for (int64_t begin = 0; begin < rows.size(0); begin += at_once) {
    const Tensor z = rows.narrow(0, begin, std::min(at_once, rows.size(0) - begin));
    const Tensor distance =
        z.square().sum(1, /*keepdim=*/true) + lengths - 2 * at::einsum("bd,dn->bn", {z, codebook.t()});
    nearest.push_back(distance.argmin(1));
  }
  return nearest.size() == 1 ? nearest.front() : at::cat(nearest);
}

Tensor VqCodec::encode(const Tensor& pictures) const {
  const Tensor z = features(pictures);  // [B, e, h, w]
  const Tensor rows = z.permute({0, 2, 3, 1}).contiguous().view({-1, z.size(1)});
  return nearest_codes(rows, codebook).view({z.size(0), z.size(2), z.size(3)});
}

Tensor VqCodec::rows_of(const Tensor& codes) const {
  return at::embedding(codebook, codes).permute({0, 3, 1, 2}).contiguous();
}

Tensor VqCodec::decode(const Tensor& codes) const {
  const int64_t least = codes.min().item<int64_t>(), most = codes.max().item<int64_t>();
  if (least < 0 || most >= config.codes)
    throw UserError("[vq] code {} is outside of the codebook '{}', want 0 to {}", least < 0 ? least : most, config.name,
                    config.codes - 1);
  return decode_features(rows_of(codes)).clamp(-1, 1);
}

void initialise(VqCodec& codec, uint64_t seed) {
  const Rng rng(seed);
  for_each_tensor(codec, [&](const std::string& name, Tensor& t) {
    if (t.dim() == 4) codec::initialise_convolution(t, rng.split(hash_text(name)));
    if (t.dim() == 2) fill_uniform(t, 1 / static_cast<double>(t.size(0)), rng.split(hash_text(name)));
  });
}

VqCodec load_vq(const Path& path, at::Device device) {
  if (std::filesystem::is_regular_file(path)) return load_released(path, device);
  if (std::filesystem::is_regular_file(path / "vqgan.ckpt")) return load_released(path / "vqgan.ckpt", device);
  if (!std::filesystem::is_regular_file(path / "config.json"))
    throw UserError("[vq] {} holds no codec; want config.json and model.safetensors, or vqgan.ckpt and vqgan.yaml",
                    path.string());
  return load_own(path, device);
}

bool holds_vq(const Path& directory) {
  return std::filesystem::is_regular_file(directory / "vqgan.ckpt") || codec::codec_type(directory) == model_type;
}

void save_vq(const VqCodec& codec, const Path& directory, StoredAs stored, FileSystem& files) {
  VqCodec handles = codec;  // tensors are handles: copying shares them
  codec::write_codec_directory(directory, model_type, to_json(codec.config), named_tensors(handles), stored, files);
}

StoredAs exact_format(const VqCodec& codec) {
  VqCodec handles = codec;
  bool half = true;
  for_each_tensor(handles, [&](const std::string&, Tensor& t) {
    half = half && at::equal(t.detach().to(at::kHalf).to(t.scalar_type()), t.detach());
  });
  return half ? StoredAs::f16 : StoredAs::f32;
}

std::string fingerprint(const VqCodec& codec) {
  const Tensor half = codec.codebook.detach().to(at::kCPU, at::kHalf).contiguous();  // as a file in fp16 holds it
  const uint64_t digest = hash_text({static_cast<const char*>(half.const_data_ptr()), half.nbytes()});
  return fmt::format("{}#{:08x}", codec.config.fingerprint(), digest >> 32);
}

Tensor pictures_to_tensor(const std::vector<Image>& pictures, at::Device device) {
  std::array<float, 256> values{};
  for (size_t v = 0; v < values.size(); ++v) values[v] = static_cast<float>(static_cast<double>(v) / 255.0 * 2.0 - 1.0);
  const int64_t height = pictures.front().height, width = pictures.front().width;
  Tensor out = at::empty({static_cast<int64_t>(pictures.size()), 3, height, width}, at::kFloat);
  float* target = out.mutable_data_ptr<float>();
  for (const Image& given : pictures) {
    const Image picture = media::over(given, media::white);
    for (size_t c = 0; c < 3; ++c) {
      for (int64_t i = 0; i < height * width; ++i) *target++ = values[picture.pixels[static_cast<size_t>(i) * 3 + c]];
    }
  }
  return out.to(device);
}

std::vector<Image> tensor_to_pictures(const Tensor& pictures) {
  return codec::pictures_of_levels((pictures.detach().clamp(-1, 1) + 1) / 2 * 255);
}

}  // namespace tessera::vq
