// One decoder per format of pictures, and the encoders beside PNG's. Bytes are not trusted: each returns a whole picture or throws UserError naming
// `source`. Builds without TESSERA_MEDIA have PNG alone, the others say so (no_media.cc).
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "media/image.h"

namespace tessera::media {

/// The tag in an Exif block (with or without its "Exif" heading), 1 to 8; 1 when there is none or the block is damaged.
int exif_orientation(std::string_view exif);
/// What Exif and XMP together say: XMP counts where Exif has no such tag. Each may be empty.
int orientation_of(std::string_view exif, std::string_view xmp);
/// The bytes of a "Raw profile type ..." text, as ImageMagick writes them into PNG: three lines, then hexadecimal digits.
/// Empty when the text is not of this form.
std::string raw_profile(std::string_view text);
/// Upright pixels of a picture stored with this orientation: 2 to 4 mirror or turn in place, 5 to 8 exchange the sides.
Image oriented(Image picture, int orientation);

/// Pictures and frames above this are refused: 2^26 pixels, 256 MB decoded.
inline constexpr int64_t max_pixels = int64_t{1} << 26;
/// Frames that one reading of a clip may keep, and their bytes together.
inline constexpr int64_t max_frames = 4096;
inline constexpr int64_t max_clip_bytes = int64_t{4} << 30;
/// Frames that a clip's file may hold: 19 hours at 60 frames per second.
inline constexpr int64_t max_stored_frames = int64_t{1} << 22;

/// Throws UserError unless 0 < width * height <= max_pixels; `source` names the file.
void check_picture_size(int64_t width, int64_t height, std::string_view source);

/// Kinds that Tessera reads, and all others.
enum class Content { png, jpeg, webp, gif, mp4, matroska, other };

/// Told from the first bytes.
Content content_of(std::string_view bytes);
/// True for a clip in a container that is not read.
bool is_unread_clip(std::string_view bytes);
/// In words, for messages: "empty", "text", "an HTML page", "a PDF", "a JPEG", ...
std::string_view content_words(std::string_view bytes);
/// Throws UserError when the outermost boxes of an MP4 or Matroska file reach past its end: it was cut off. Decoders
/// would show the part that is there.
void check_container(std::string_view bytes, Content content, std::string_view source);

/// RGB; grey, CMYK and YCCK (inverted, as Adobe writes them) are converted, the orientation in Exif or XMP is applied. What
/// libjpeg warns of is an error where pixels are lost, and none where they are all there.
Image decode_jpeg(std::string_view bytes, std::string_view source);
/// RGB, or RGBA when the file has alpha; the first frame of an animation. The orientation in Exif or XMP is
/// applied.
Image decode_webp(std::string_view bytes, std::string_view source);
/// The first frame on its canvas: RGB, or RGBA when a pixel is clear.
Image decode_gif(std::string_view bytes, std::string_view source);

/// Frames of the file; 1 for a still picture. Counting decodes no pixels.
int64_t count_gif_frames(std::string_view bytes, std::string_view source);
int64_t count_webp_frames(std::string_view bytes, std::string_view source);

/// Sees the whole canvas after each frame, in order; false ends the showing.
using ShowFrame = std::function<bool(int64_t frame, const Image& canvas)>;
/// Plays an animation from its start: every frame that is shown is decoded, and those before it. RGBA canvases for GIF;
/// WebP as decode_webp. A frame that cannot be decoded is a UserError that names it.
void play_gif(std::string_view bytes, std::string_view source, const ShowFrame& show);
void play_webp(std::string_view bytes, std::string_view source, const ShowFrame& show);

/// RGB into memory (picture_file.h chooses): JPEG of quality 95 without halved colours, lossless WebP. FaultError for pictures that
/// are too large for the format.
std::string encode_jpeg(const Image& picture);
std::string encode_webp(const Image& picture);
extern const bool writes_jpeg_and_webp;

}  // namespace tessera::media
