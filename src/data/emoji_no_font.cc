// In place of emoji_catalog.cc and emoji_font.cc where Tessera was built without fonts: atlases are the only source.
#include "core/error.h"
#include "data/emoji.h"

namespace tessera::data {

namespace {
[[noreturn]] void refuse() {
  throw UserError(
      "[emoji] this Tessera was built without fonts (TESSERA_FONT=OFF); give an atlas packed by 'tessera data emoji "
      "--pack'");
}
}  // namespace

EmojiCatalog read_catalog(const EmojiFiles&, const std::vector<std::string>&) { refuse(); }
EmojiCatalog parse_emoji_test(std::string_view, std::string_view) { refuse(); }
std::vector<std::string> font_pictures(const Path&, const std::vector<Emoji>&) { refuse(); }

}  // namespace tessera::data
