// A decoder language model in a GGUF file, seen as a model directory: a config.json and tensors under Hugging Face's names.
#pragma once

#include <string>
#include <vector>

#include "core/json.h"
#include "tensor/model_dir.h"
#include "tensor/weight_source.h"

namespace tessera::lm {

struct GgufModel {
  Json config;           // as config_from_json() reads it, with token ids
  WeightSource weights;  // names and rows as in Hugging Face's checkpoints
};

/// `directory` is of a GGUF file. What llama.cpp's converter changes is changed back: the order of rows of rotated heads (llama), the one
/// that is added to Gemma's norms. Throws UserError for an architecture that is not supported (lists those that are) and for keys that are
/// missing or of the wrong type.
GgufModel open_gguf(const ModelDirectory& directory);

/// The model types of GGUF files that can be read: "gguf.llama", ...
std::vector<std::string> gguf_model_types();

/// llama.cpp's name of a tensor for Hugging Face's, of a model of `architecture`; "" for one that it has no name for.
std::string gguf_name(std::string_view architecture, std::string_view name);

/// Keys that this program adds, since GGUF holds only what follows from them: the settings of Llama 3's rotary scaling.
inline constexpr std::string_view gguf_scaling_prefix = "tessera.rope_scaling.";

/// How the files of an architecture differ from Hugging Face's.
struct GgufHabits {
  std::string_view architecture;
  bool interleaved_heads = false;  // rows of q and k are paired (llama)
  bool norms_with_one = false;     // norms hold 1 + weight (Gemma)
};
/// Whether a tensor of such a file is a norm that holds 1 + weight: all are but that within a gated DeltaNet.
inline bool is_norm_with_one(std::string_view stored) {
  return stored.ends_with("_norm.weight") && !stored.ends_with(".ssm_norm.weight");
}
/// Of files that models of `model_type` are written to. Throws UserError for a model type that is not supported.
GgufHabits gguf_habits(std::string_view model_type, std::string_view source);

/// Place in the file of row `row` of a query or key projection with heads of `head_dim` rows, and the way back.
int64_t interleaved_row(int64_t row, int64_t head_dim);
int64_t separate_row(int64_t row, int64_t head_dim);

}  // namespace tessera::lm
