// Liquid's directories: ours (config.json with `text_config`, the language model's weights, codec/), and the released layout: Gemma's own
// files with chameleon/vqgan.ckpt and vqgan.yaml beside them.
#pragma once

#include <memory>
#include <optional>

#include "codec/vq/codec.h"
#include "core/files.h"
#include "models/liquid/config.h"
#include "models/liquid/drafts.h"
#include "models/lm/architecture/model_files.h"
#include "tensor/model_dir.h"

namespace tessera::liquid {

inline constexpr const char* model_type = "liquid";
inline constexpr const char* released_type = "liquid (released files)";

/// A model in memory with what belongs to it.
struct Bundle {
  LiquidConfig config;
  lm::DecoderLm model;
  vq::VqCodec codec;
  Path directory;                                         // of the tokenizer's files
  Json text_config;                                       // the language model's own config.json
  std::shared_ptr<const PictureDrafts> drafts = nullptr;  // null: none
};

/// Where a released folder keeps its codec: chameleon/, codec/ or the folder itself; nothing where there is no vqgan.ckpt.
std::optional<Path> released_codec(const Path& folder);

/// Either layout. Throws UserError that names file and tensor for what is missing or of another shape, and for a codec that does not belong
/// to the model.
Bundle load_bundle(const ModelDirectory& found, const text::Tokenizer& tokenizer, const lm::LoadLmOptions& options);

/// Our layout, config.json last: a directory that is whole has it. The tokenizer's files come from `bundle.directory`; `generation` is the
/// contents of generation_config.json.
void save_bundle(const Bundle& bundle, StoredAs stored, const Json& generation, const Path& directory,
                 FileSystem& files = disk());
/// The language model's part of it, with the ids that the tokenizer's files do not say.
Json text_config_json(const Bundle& bundle);
/// The same config.json.
Json config_json(const LiquidConfig& config, const Json& text_config);

}  // namespace tessera::liquid
