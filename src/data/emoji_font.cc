// Pictures out of a colour bitmap font (tables CBDT and CBLC): HarfBuzz shapes each emoji, sequences and flags included,
// into one glyph and returns that glyph's PNG as stored in the font.
#include <hb-ot.h>
#include <hb.h>

#include "core/error.h"
#include "data/emoji.h"

namespace tessera::data {

namespace {
template <auto Destroy> struct Deleter {
  template <class T> void operator()(T* object) const { Destroy(object); }
};
using Blob = std::unique_ptr<hb_blob_t, Deleter<hb_blob_destroy>>;
using Face = std::unique_ptr<hb_face_t, Deleter<hb_face_destroy>>;
using Font = std::unique_ptr<hb_font_t, Deleter<hb_font_destroy>>;
using Buffer = std::unique_ptr<hb_buffer_t, Deleter<hb_buffer_destroy>>;

/// The PNG of `text` when it shapes to exactly one glyph with a picture, else empty.
std::string picture_of(hb_font_t* font, hb_buffer_t* buffer, const std::string& text) {
  hb_buffer_clear_contents(buffer);
  hb_buffer_add_utf8(buffer, text.data(), static_cast<int>(text.size()), 0, -1);
  hb_buffer_guess_segment_properties(buffer);
  hb_shape(font, buffer, nullptr, 0);
  unsigned count = 0;
  const hb_glyph_info_t* glyphs = hb_buffer_get_glyph_infos(buffer, &count);
  std::string picture;
  for (unsigned i = 0; i < count; ++i) {
    const Blob png(hb_ot_color_glyph_reference_png(font, glyphs[i].codepoint));
    unsigned length = 0;
    const char* bytes = hb_blob_get_data(png.get(), &length);
    if (length == 0) continue;
    if (!picture.empty()) return {};
    picture.assign(bytes, length);
  }
  return picture;
}
}  // namespace

std::vector<std::string> font_pictures(const Path& path, const std::vector<Emoji>& emoji) {
  if (!std::filesystem::exists(path)) {
    throw UserError(
        "[emoji] {} is missing; install the Debian package fonts-noto-color-emoji, or give an atlas packed by "
        "'tessera data emoji --pack'",
        path.string());
  }
  const Blob file(hb_blob_create_from_file_or_fail(path.c_str()));
  if (!file) throw FaultError("[emoji] cannot read {}", path.string());
  const Face face(hb_face_create(file.get(), 0));
  if (!hb_ot_color_has_png(face.get())) {
    throw UserError("[emoji] {} has no colour bitmaps; want a font with CBDT tables such as Noto Color Emoji",
                    path.string());
  }
  const Font font(hb_font_create(face.get()));
  const Buffer buffer(hb_buffer_create());
  std::vector<std::string> pictures;
  pictures.reserve(emoji.size());
  for (const Emoji& one : emoji) {
    pictures.push_back(picture_of(font.get(), buffer.get(), one.text));
    if (pictures.back().empty()) {
      throw UserError("[emoji] {} draws '{}' ({}) not as one picture; want a font as new as emoji-test.txt",
                      path.string(), one.name, one.text);
    }
  }
  return pictures;
}

}  // namespace tessera::data
