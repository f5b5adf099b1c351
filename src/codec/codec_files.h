// What directories of all codecs have in common, whatever the quantiser: config.json, whose model_type says which, and model.safetensors.
// config.json is written last: a directory that is whole has it.
#pragma once

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include "core/files.h"
#include "core/json.h"
#include "media/image.h"
#include "tensor/weights.h"

namespace tessera::codec {

/// The model_type of a directory's config.json; empty where there is none.
std::string codec_type(const Path& directory);

/// config.json without its model_type. Throws UserError, in the name of `module` ("codec", "vq"), where the directory is of another
/// model_type than `wanted`.
Json read_codec_config(const Path& directory, std::string_view wanted, std::string_view module);

/// `config`: without a model_type. Floating-point tensors are written as `stored`.
void write_codec_directory(const Path& directory, std::string_view model_type, const Json& config,
                           const std::vector<NamedTensor>& tensors, StoredAs stored, FileSystem& files);

/// Levels [B, 3, H, W] in 0 to 255 -> RGB pictures; fractions are cut off, so whoever wants them rounded rounds before.
std::vector<Image> pictures_of_levels(const Tensor& levels);

/// The pictures at [begin, begin + most), fewer at the end: what goes through a codec at once.
inline std::vector<Image> part_of(const std::vector<Image>& pictures, size_t begin, size_t most) {
  const auto first = pictures.begin() + static_cast<ptrdiff_t>(begin);
  return {first, first + static_cast<ptrdiff_t>(std::min(most, pictures.size() - begin))};
}

}  // namespace tessera::codec
