// Decoder language models between kinds of files: directories and GGUF.
#pragma once

#include "models/lm/architecture/module.h"
#include "models/registry.h"
#include "tensor/model_dir.h"

namespace tessera::lm {

/// `out` ends with .gguf: that file; else a new directory. Throws UserError for formats and settings that the kind does not have.
void convert_lm(const ModelDirectory& directory, const Path& out, const ConvertOptions& options);

/// Writes the file. `found` is where the model comes from: its tokenizer is taken from there. Nothing is left of a file that could not
/// be finished.
void save_gguf(const Path& out, const DecoderLm& model, const ModelDirectory& found, const ConvertOptions& options,
               FileSystem& files = disk());

}  // namespace tessera::lm
