// Pictures into files whose name says of which kind they are.
#pragma once

#include <string>
#include <string_view>

#include "core/files.h"
#include "media/image.h"

namespace tessera::media {

enum class PictureKind { png, jpeg, webp };

/// The kind that the ending of `path` names, in capitals or not: .png, .jpg and .jpeg, .webp; PNG where there is no ending,
/// as of a device. Throws UserError for any other and for a kind that this build does not write; `module` opens the message.
PictureKind picture_kind(const Path& path, std::string_view module);

/// PNG and WebP keep every pixel. JPEG has quality 95 and colours of full size; like WebP it has no alpha here: such
/// pictures are laid on white. The same picture gives the same bytes (for one version of the libraries).
std::string encode_picture(const Image& picture, PictureKind kind);
/// Written whole or not at all, as the kind that the path names.
void write_picture(const Path& path, const Image& picture, FileSystem& files = disk());

}  // namespace tessera::media
