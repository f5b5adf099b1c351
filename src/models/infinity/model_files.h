// A model directory: config.json, model.safetensors, generation_config.json, the codec it belongs to in codec/ and, where it has no text
// encoder of its own, a T5 in text_encoder/.
#pragma once

#include <string>
#include <vector>

#include "codec/codec.h"
#include "core/files.h"
#include "models/infinity/module.h"
#include "models/infinity/prompt_encoder.h"
#include "tensor/model_dir.h"

namespace tessera::infinity {

inline constexpr const char* model_type = "infinity";

/// How a model likes to be drawn with; generation_config.json.
struct DrawDefaults {
  std::vector<double> cfg{3.0};  // one number, or one per scale
  std::vector<double> tau{0.5};  // one number, or one per scale
  double top_p = 0.97;
  bool operator==(const DrawDefaults&) const = default;
};
template <class V> void fields(V& v, DrawDefaults& d) {
  v("cfg", d.cfg, "classifier-free guidance, one number or one per scale");
  v("tau", d.tau, "temperature, one number or one per scale");
  v("top_p", d.top_p, "a bit value this unlikely is never drawn: 1 - top_p");
}

/// Names a trained codec: its shape and a digest of its encoder, which alone fixes what bits mean (a decoder may be
/// tuned afterwards). The digest is of weights rounded to f16, so it survives saving.
std::string fingerprint(const codec::Codec& codec);

/// Throws UserError, naming both, when codes of `codec` are not what a model of `config` was made for: other bits or scales.
void require_same_codes(const InfinityConfig& config, const codec::CodecConfig& codec);

struct Bundle {
  Infinity model;
  codec::Codec codec;
  DrawDefaults defaults;
  std::shared_ptr<const PromptEncoder> text = {};  // absent where the model has a text encoder of its own
  at::ScalarType kept = at::kFloat;                // keys and values of a drawing: fp32, bf16 or int8
};

/// How a bundle is held in memory.
struct LoadBundleOptions {
  at::Device device = at::kCPU;
  /// Of the transformer's matrices: "fp32", "bf16", or "auto": fp32, but as stored where fp32 would take more than 2 GiB.
  std::string dtype = "fp32";
  /// false: the blocks' matrices and the decoder's convolutions multiply in bf16 where the processor does it; what passes between them is
  /// fp32 as ever.
  bool exact = true;
  bool cache_int8 = false;  // keys and values of a drawing in 8 bits
  bool writable = true;     // to be trained further; else tensors may be views of files
};

/// Whether products are to be in bf16: not exact, not to be trained, not asked to be fp32, and the processor has them.
bool multiplies_in_bf16(const LoadBundleOptions& options);

/// Weights of the transformer replaced by those of `source`, packed ones as they are packed; `settings`: config.json's quantization_config. Says
/// how keys and values are kept: as the matrices are, where they have 16 bits or less in bf16. Throws UserError.
at::ScalarType fill_transformer(Infinity& model, const WeightSource& source, const Json& settings,
                                const LoadBundleOptions& options);

/// Rounds the matrices of all blocks to the nearest: 4 (groups of 128, 64 or 32 inputs) or 8 bits. In 8 bits, the second matrix of a feed-forward
/// stays: inputs are rounded too, and the few channels that are hundreds of times larger than the others would take all of the range.
/// Throws UserError for widths that no group divides.
struct Packed {
  int64_t bits = 4, group = 0;
};
Packed pack_blocks(Infinity& model, int64_t bits);

/// The model with its adapters added into weights of its own; `model` keeps both.
Infinity merged(const Infinity& model);

/// Packed layers are written as they are; `stored` is of all others. `group`: of 4-bit layers.
void save_model(const Infinity& model, const codec::Codec& codec, const DrawDefaults& defaults, StoredAs stored,
                const Path& directory, FileSystem& files = disk(), int64_t group = 128);
/// As above, with the text encoder of the bundle beside it, its weights in the same format, its tokenizer as it is.
void save_bundle(const Bundle& bundle, StoredAs stored, const Path& directory, FileSystem& files = disk(),
                 int64_t group = 128);
/// Throws UserError when the text encoder's states have another width than the model reads.
std::shared_ptr<const PromptEncoder> prompt_encoder_of(const InfinityConfig& config, const Path& folder,
                                                       at::Device device);
/// Throws UserError when the directory holds no such model, or a codec that does not belong to it.
Bundle load_model(const ModelDirectory& directory, const LoadBundleOptions& options);
inline Bundle load_model(const Path& directory, at::Device device) {
  return load_model(read_model_directory(directory), {.device = device});
}

}  // namespace tessera::infinity
