// A model directory, Hugging Face style: config.json with `model_type`, weights as safetensors, tokenizer files; or a GGUF file, which
// holds all of these.
// Stands on no LibTorch: `tessera inspect` reads it.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/files.h"
#include "core/json.h"

namespace tessera {

/// What stands before the architecture in a GGUF file's model_type.
inline constexpr std::string_view gguf_prefix = "gguf.";

struct ModelDirectory {
  Path path;
  std::string model_type;  // of config.json; "gguf." and the architecture of a GGUF file
  Json config;             // the whole of config.json; a GGUF's metadata without long arrays
  std::vector<Path>
      weight_files;  // model.safetensors or its shards; those of its parts where a model is stored in several
  std::vector<Path> adapters = {};  // PEFT directories to add to the weights, in this order

  bool is_gguf() const { return model_type.starts_with(gguf_prefix); }
  /// Where `config` comes from, for messages.
  Path config_path() const { return is_gguf() ? path : path / "config.json"; }
};

/// What people should know of a model that was trained here, from the recipe that it keeps.
struct ModelNotes {
  std::string knows;      // what it can be asked; empty: not said
  bool must_see = false;  // it has learnt nothing but answers about pictures and clips
};
/// Nothing for a file, and for a directory without a recipe that can be read.
ModelNotes read_notes(const Path& model);

/// The files that make a tokenizer, copied as they are: tokenizer.json, tokenizer_config.json and their like.
void copy_tokenizer(const Path& from, const Path& to, FileSystem& files = disk());

/// Whether it is a file that begins as GGUF does.
bool is_gguf_file(const Path& path);

/// Looks at a directory or a GGUF file, of which any part stands for all; the weights are found but not opened. Throws UserError that names what is missing when it is
/// not there, is another file, is empty, or has no valid config.json, no model_type or no weights.
ModelDirectory read_model_directory(const Path& directory);

}  // namespace tessera
