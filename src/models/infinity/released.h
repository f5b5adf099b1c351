// Checkpoints as FoundationVision released Infinity: a transformer (.pth, or safetensors in shards) and a VAE (.pth), or what training
// them there leaves. Shapes say all that a model's config has, but for the picture area it was trained for.
#pragma once

#include "models/infinity/model_files.h"
#include "tensor/weight_source.h"

namespace tessera::infinity {

/// The transformer's tensors under the names that Infinity has for them: block_chunks.I.module.J. becomes blocks.N., a training dump's
/// weights are those under trainer.gpt_fsdp., and what the reference itself drops is dropped. Throws UserError for chunks of unlike
/// lengths.
WeightSource transformer_tensors(const WeightSource& released);
/// The VAE's tensors under the names that Codec has for them: those under vae., with or without the .conv and .norm that the reference's
/// module inserts, without the quantiser's masks and the dump's other parts.
WeightSource vae_tensors(const WeightSource& released);

/// From the shapes of transformer_tensors(). `latent_bits`: of the VAE, a quarter of the tokens' bits where a token is a 2x2 patch. `pixels`:
/// a published area. Throws UserError, naming the file, for shapes of no such transformer and for bits that do not belong together.
InfinityConfig released_config(const WeightSource& transformer, int64_t latent_bits, std::string_view pixels);
/// From the shapes of vae_tensors(), at the square scales of the area. Throws UserError, naming the file.
codec::CodecConfig released_codec_config(const WeightSource& vae, std::string_view name, std::string_view pixels);

/// Both, paired, with the released settings of drawing (guidance 3, temperature .5). Throws UserError that names file and tensor for what is
/// missing, unexpected or of another shape, and for a pair that does not belong together.
Bundle load_released(const Path& transformer, const Path& vae, std::string_view pixels,
                     const LoadBundleOptions& options = {.writable = false});

/// The files of a folder as it was fetched: one transformer, its VAE (of several the one that belongs to it by name), and the folder of a T5.
struct ReleasedFolder {
  Path transformer, vae, text;
};
/// Nothing where the folder holds no transformer under a released name. Throws UserError for several, and for a missing VAE or T5.
std::optional<ReleasedFolder> released_folder(const Path& folder);
/// All of it, ready to draw; warns of a VAE that draws poorly.
Bundle load_released_folder(const Path& folder, const LoadBundleOptions& options = {.writable = false});

/// The area that a released file's name is known for ("infinity_2b_reg.pth": 1M), 1M for others; and whether a VAE's name is that of the one
/// which shapes cannot tell from the right one (d32 in place of d32reg).
std::string pixels_of_file(const Path& transformer);
bool is_unregularised_vae(const Path& vae);

}  // namespace tessera::infinity
