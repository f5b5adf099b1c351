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

void save_model(const Infinity& model, const codec::Codec& codec, const DrawDefaults& defaults, StoredAs stored,
                const Path& directory, FileSystem& files = disk());
/// As above, with the text encoder of the bundle beside it, its weights in the same format, its tokenizer as it is.
void save_bundle(const Bundle& bundle, StoredAs stored, const Path& directory, FileSystem& files = disk());
/// Throws UserError when the text encoder's states have another width than the model reads.
std::shared_ptr<const PromptEncoder> prompt_encoder_of(const InfinityConfig& config, const Path& folder,
                                                       at::Device device);
/// Throws UserError when the directory holds no such model, or a codec that does not belong to it.
Bundle load_model(const ModelDirectory& directory, at::Device device);
inline Bundle load_model(const Path& directory, at::Device device) {
  return load_model(read_model_directory(directory), device);
}

}  // namespace tessera::infinity
