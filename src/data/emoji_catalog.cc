// Names from Unicode's emoji-test.txt, keywords and other languages from CLDR's annotation files.
#include <charconv>
#include <pugixml.hpp>
#include <unordered_map>

#include "core/error.h"
#include "data/emoji.h"

namespace tessera::data {

namespace {
void require_file(const Path& path, std::string_view package) {
  if (!std::filesystem::exists(path)) {
    throw UserError(
        "[emoji] {} is missing; install the Debian package {}, or give an atlas packed by 'tessera data emoji --pack'",
        path.string(), package);
  }
}

std::string_view trimmed(std::string_view text) {
  const auto begin = text.find_first_not_of(" \t\r\n");
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(" \t\r\n") - begin + 1);
}

void append_utf8(std::string& text, uint32_t point) {
  const auto byte = [&](uint32_t value) { text += static_cast<char>(value); };
  if (point < 0x80) return byte(point);
  if (point < 0x800) return byte(0xC0 | point >> 6), byte(0x80 | (point & 63));
  if (point < 0x10000) return byte(0xE0 | point >> 12), byte(0x80 | (point >> 6 & 63)), byte(0x80 | (point & 63));
  byte(0xF0 | point >> 18);
  byte(0x80 | (point >> 12 & 63));
  byte(0x80 | (point >> 6 & 63));
  byte(0x80 | (point & 63));
}

/// "1F468 200D 1F9B0" -> UTF-8; empty when an item is no code point.
std::string utf8_of(std::string_view hexadecimal, bool& has_skin_tone) {
  std::string text;
  for (size_t at = 0; at < hexadecimal.size();) {
    uint32_t point = 0;
    const char* begin = hexadecimal.data() + at;
    const auto [end, error] = std::from_chars(begin, hexadecimal.data() + hexadecimal.size(), point, 16);
    if (error != std::errc() || point == 0 || point > 0x10FFFF) return {};
    has_skin_tone |= point >= 0x1F3FB && point <= 0x1F3FF;
    append_utf8(text, point);
    at += static_cast<size_t>(end - begin);
    if (at < hexadecimal.size() && hexadecimal[at++] != ' ') return {};
  }
  return text;
}

/// CLDR writes its keys without the emoji presentation selector U+FE0F.
std::string cldr_key(std::string text) {
  for (size_t at; (at = text.find("\xEF\xB8\x8F")) != std::string::npos;) text.erase(at, 3);
  return text;
}

std::vector<std::string> split_keywords(std::string_view list) {
  std::vector<std::string> words;
  while (!list.empty()) {
    const auto bar = std::min(list.find('|'), list.size());
    if (const auto word = trimmed(list.substr(0, bar)); !word.empty()) words.emplace_back(word);
    list.remove_prefix(std::min(bar + 1, list.size()));
  }
  return words;
}

std::unordered_map<std::string, EmojiWords> read_annotations(const EmojiFiles& files, const std::string& language) {
  std::unordered_map<std::string, EmojiWords> words;
  for (const char* folder : {"annotations", "annotationsDerived"}) {
    const Path path = files.cldr / folder / (language + ".xml");
    if (!std::filesystem::exists(path)) {
      require_file(files.cldr / folder, "unicode-cldr-core");
      throw UserError("[emoji] CLDR has no language '{}': there is no {}", language, path.string());
    }
    pugi::xml_document document;
    if (const auto parsed = document.load_file(path.c_str()); !parsed) {
      throw UserError("[emoji] {} is no valid XML: {} at byte {}", path.string(), parsed.description(), parsed.offset);
    }
    for (const auto item : document.child("ldml").child("annotations").children("annotation")) {
      EmojiWords& entry = words[cldr_key(item.attribute("cp").value())];
      const std::string_view text = item.text().get();
      if (std::string_view(item.attribute("type").value()) == "tts") entry.name = trimmed(text);
      else entry.keywords = split_keywords(text);
    }
  }
  return words;
}

/// The value of `#FIXED "41"` behind cldrVersion in ldml.dtd.
std::string read_cldr_version(const Path& cldr) {
  const Path path = cldr / "dtd" / "ldml.dtd";
  require_file(path, "unicode-cldr-core");
  const std::string text = read_file(path);
  const auto name = text.find("cldrVersion CDATA #FIXED \"");
  const auto begin = name == std::string::npos ? name : text.find('"', name) + 1;
  const auto end = text.find('"', begin);
  if (name == std::string::npos || end == std::string::npos) {
    throw UserError("[emoji] {} does not say which CLDR version it is; want the attribute cldrVersion", path.string());
  }
  return text.substr(begin, end - begin);
}
}  // namespace

EmojiCatalog parse_emoji_test(std::string_view text, std::string_view source) {
  EmojiCatalog catalog;
  std::string group, subgroup;
  for (int64_t number = 1; !text.empty(); ++number) {
    const auto newline = std::min(text.find('\n'), text.size());
    const std::string_view line = trimmed(text.substr(0, newline));
    text.remove_prefix(std::min(newline + 1, text.size()));
    if (line.starts_with("# group:")) group = trimmed(line.substr(8));
    else if (line.starts_with("# subgroup:")) subgroup = trimmed(line.substr(11));
    else if (line.starts_with("# Version:")) catalog.unicode_version = trimmed(line.substr(10));
    if (line.empty() || line[0] == '#') continue;

    // 1F34E ; fully-qualified # (emoji) E0.6 red apple
    const auto semicolon = line.find(';'), hash = line.find('#');
    bool has_skin_tone = false;
    const std::string emoji = utf8_of(trimmed(line.substr(0, std::min(semicolon, line.size()))), has_skin_tone);
    const auto version = hash == line.npos ? line.npos : line.find(" E", hash);
    const auto name = version == line.npos ? line.npos : line.find(' ', version + 1);
    if (emoji.empty() || semicolon == line.npos || hash < semicolon || name == line.npos) {
      throw UserError("[emoji] {} line {} is no emoji; got '{}', want 'code points ; status # emoji E1.0 name'", source,
                      number, line);
    }
    if (has_skin_tone || trimmed(line.substr(semicolon + 1, hash - semicolon - 1)) != "fully-qualified") continue;
    catalog.emoji.push_back(
        {.text = emoji, .name = std::string(trimmed(line.substr(name))), .group = group, .subgroup = subgroup});
  }
  if (catalog.emoji.empty() || catalog.unicode_version.empty()) {
    throw UserError("[emoji] {} is no emoji-test.txt; want a '# Version:' line and fully-qualified emoji", source);
  }
  return catalog;
}

EmojiCatalog read_catalog(const EmojiFiles& files, const std::vector<std::string>& languages) {
  require_file(files.emoji_test, "unicode-data");
  EmojiCatalog catalog = parse_emoji_test(read_file(files.emoji_test), files.emoji_test.string());
  catalog.cldr_version = read_cldr_version(files.cldr);
  auto english = read_annotations(files, "en");
  for (Emoji& emoji : catalog.emoji) emoji.keywords = english[cldr_key(emoji.text)].keywords;
  for (const std::string& language : languages) {
    auto words = read_annotations(files, language);
    for (Emoji& emoji : catalog.emoji) emoji.languages[language] = words[cldr_key(emoji.text)];
  }
  return catalog;
}

}  // namespace tessera::data
