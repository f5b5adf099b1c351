// Emoji World's stock: the 1,870 base emoji with their names, words and pictures, from this machine's Unicode files and
// font or from an atlas packed there. Both give the same pixels and words; `world()` says which edition they are.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "core/files.h"
#include "media/image.h"

namespace tessera::data {

/// How one language calls an emoji. Empty where CLDR has no words for it.
struct EmojiWords {
  std::string name;
  std::vector<std::string> keywords;
  bool operator==(const EmojiWords&) const = default;
};

/// One base emoji (no skin tone). `id` is its index in emoji-test.txt's order.
struct Emoji {
  std::string text;                             // UTF-8, fully qualified
  std::string name;                             // English, as in emoji-test.txt
  std::string group;                            // "Food & Drink"
  std::string subgroup;                         // "food-fruit"
  std::vector<std::string> keywords;            // English, from CLDR
  std::map<std::string, EmojiWords> languages;  // by CLDR's language code
  bool operator==(const Emoji&) const = default;
};

/// Where the system keeps what Emoji World is made of.
struct EmojiFiles {
  Path font = "/usr/share/fonts/truetype/noto/NotoColorEmoji.ttf";
  Path emoji_test = "/usr/share/unicode/emoji/emoji-test.txt";
  Path cldr = "/usr/share/unicode/cldr/common";
};

/// Catalogue and sprites. Safe to read from several threads.
class EmojiWorld {
 public:
  /// From the system's files, with words in the named languages beside English. Throws UserError that names the Debian
  /// package of a missing file.
  static std::unique_ptr<EmojiWorld> from_system(const std::vector<std::string>& languages = {},
                                                 const EmojiFiles& files = {});
  /// `pngs[i]` is the picture of `emoji[i]`, compressed.
  EmojiWorld(std::vector<Emoji> emoji, std::vector<std::string> pngs, std::string world);

  const std::vector<Emoji>& emoji() const { return emoji_; }
  size_t size() const { return emoji_.size(); }
  /// "unicode 15.0, cldr 41, font 0123456789abcdef": recorded in recipes and model cards.
  const std::string& world() const { return world_; }
  /// The font's own picture, compressed.
  const std::string& png(size_t id) const { return pngs_[id]; }
  /// RGBA, padded to a square (136x136 in Noto Color Emoji). Decoded at first use, then kept.
  const Image& sprite(size_t id) const;
  /// The emoji with this English name, or size() when there is none.
  size_t find(std::string_view name) const;

 private:
  std::vector<Emoji> emoji_;
  std::vector<std::string> pngs_;
  std::string world_;
  std::map<std::string, size_t, std::less<>> by_name_;
  mutable std::vector<Image> sprites_;
  mutable std::unique_ptr<std::once_flag[]> decoded_;
};

/// What emoji-test.txt and CLDR say, before any picture.
struct EmojiCatalog {
  std::vector<Emoji> emoji;
  std::string unicode_version;  // "15.0"
  std::string cldr_version;     // "41"
};
EmojiCatalog read_catalog(const EmojiFiles& files, const std::vector<std::string>& languages);
/// The lines of an emoji-test.txt: fully qualified, without skin tones. Throws UserError naming `source` and the line.
EmojiCatalog parse_emoji_test(std::string_view text, std::string_view source);

/// The picture of each text in a colour bitmap font, as the PNG bytes the font holds. Throws UserError naming what the font lacks.
std::vector<std::string> font_pictures(const Path& font, const std::vector<Emoji>& emoji);

}  // namespace tessera::data
