// The world as one object: words, compressed pictures, and decoded ones made when asked for.
#include "data/emoji.h"

#include "core/error.h"
#include "core/rng.h"
#include "media/compose.h"
#include "media/png.h"

namespace tessera::data {

EmojiWorld::EmojiWorld(std::vector<Emoji> emoji, std::vector<std::string> pngs, std::string world)
    : emoji_(std::move(emoji)), pngs_(std::move(pngs)), world_(std::move(world)), sprites_(emoji_.size()),
      decoded_(std::make_unique<std::once_flag[]>(emoji_.size())) {
  for (size_t id = 0; id < emoji_.size(); ++id) by_name_.emplace(emoji_[id].name, id);
}

std::unique_ptr<EmojiWorld> EmojiWorld::from_system(const std::vector<std::string>& languages,
                                                    const EmojiFiles& files) {
  EmojiCatalog catalog = read_catalog(files, languages);
  std::vector<std::string> pictures = font_pictures(files.font, catalog.emoji);
  std::string world = fmt::format("unicode {}, cldr {}, font {:016x}", catalog.unicode_version, catalog.cldr_version,
                                  hash_text(MappedFile(files.font).bytes()));
  return std::make_unique<EmojiWorld>(std::move(catalog.emoji), std::move(pictures), std::move(world));
}

const Image& EmojiWorld::sprite(size_t id) const {
  std::call_once(decoded_[id],
                 [&] { sprites_[id] = media::pad_to_square(media::decode_png(pngs_[id], emoji_[id].name)); });
  return sprites_[id];
}

size_t EmojiWorld::find(std::string_view name) const {
  const auto found = by_name_.find(name);
  return found == by_name_.end() ? size() : found->second;
}

}  // namespace tessera::data
