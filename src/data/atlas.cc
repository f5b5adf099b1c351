// Atlases in and out. A damaged one is refused as a whole, before any picture is used.
#include "data/atlas.h"

#include <cstring>

#include "core/error.h"
#include "core/json.h"
#include "media/png.h"
#include "tensor/safetensors.h"

namespace tessera::data {

namespace {
constexpr const char* format_name = "tessera-emoji-atlas-1";

Json words_of(const EmojiWorld& world) {
  Json list = Json::array();
  for (const Emoji& emoji : world.emoji()) {
    Json entry = {{"text", emoji.text},
                  {"name", emoji.name},
                  {"group", emoji.group},
                  {"subgroup", emoji.subgroup},
                  {"keywords", emoji.keywords}};
    entry["languages"] = Json::object();
    for (const auto& [code, words] : emoji.languages)
      entry["languages"][code] = {{"name", words.name}, {"keywords", words.keywords}};
    list.push_back(std::move(entry));
  }
  return list;
}

std::vector<Emoji> emoji_from(const Json& list, const Path& file) {
  try {
    std::vector<Emoji> all;
    for (const Json& entry : list) {
      Emoji& emoji = all.emplace_back();
      emoji.text = entry.at("text");
      emoji.name = entry.at("name");
      emoji.group = entry.at("group");
      emoji.subgroup = entry.at("subgroup");
      emoji.keywords = entry.at("keywords").get<std::vector<std::string>>();
      for (const auto& [code, words] : entry.at("languages").items()) {
        emoji.languages[code] = {.name = words.at("name"),
                                 .keywords = words.at("keywords").get<std::vector<std::string>>()};
      }
    }
    return all;
  } catch (const Json::exception&) {
    throw UserError("[atlas] {}: the list of words is damaged", file.string());
  }
}

std::string_view tensor_bytes(const SafetensorsFile& file, const char* name, Dtype dtype) {
  const TensorEntry* entry = file.find(name);
  if (entry == nullptr || entry->dtype != dtype || entry->shape.size() != 1) {
    throw UserError("[atlas] {}: '{}' is missing or of the wrong kind", file.path().string(), name);
  }
  return file.bytes(*entry);
}
}  // namespace

void write_atlas(const EmojiWorld& world, const Path& file, FileSystem& files) {
  std::string pictures;
  std::vector<int64_t> offsets{0};
  for (size_t id = 0; id < world.size(); ++id) {
    pictures += world.png(id);
    offsets.push_back(static_cast<int64_t>(pictures.size()));
  }
  const std::string words = words_of(world).dump();
  SafetensorsWriter writer;
  writer.add("pictures", Dtype::u8, {static_cast<int64_t>(pictures.size())}, pictures);
  writer.add("offsets", Dtype::i64, {static_cast<int64_t>(offsets.size())},
             {reinterpret_cast<const char*>(offsets.data()), offsets.size() * sizeof(int64_t)});
  writer.add("words", Dtype::u8, {static_cast<int64_t>(words.size())}, words);
  writer.set_metadata({{"format", format_name}, {"world", world.world()}});

  write_file_atomically(
      file, [&](WritableFile& out) { writer.write(out); }, files);
}

std::unique_ptr<EmojiWorld> read_atlas(const Path& path) {
  const SafetensorsFile file(path);
  const auto format = file.metadata().find("format");
  const auto world = file.metadata().find("world");
  if (format == file.metadata().end() || format->second != format_name || world == file.metadata().end()) {
    throw UserError(
        "[atlas] {} is no emoji atlas; got format '{}', want '{}'; pack one by 'tessera data emoji --pack FILE'",
        path.string(), format == file.metadata().end() ? "none" : format->second, format_name);
  }
  std::vector<Emoji> emoji = emoji_from(parse_json(tensor_bytes(file, "words", Dtype::u8), path.string()), path);
  const std::string_view pictures = tensor_bytes(file, "pictures", Dtype::u8),
                         offset_bytes = tensor_bytes(file, "offsets", Dtype::i64);
  std::vector<int64_t> offsets(offset_bytes.size() / sizeof(int64_t));
  std::memcpy(offsets.data(), offset_bytes.data(), offset_bytes.size());
  if (offsets.size() != emoji.size() + 1 || offsets.front() != 0 ||
      offsets.back() != static_cast<int64_t>(pictures.size()) || !std::is_sorted(offsets.begin(), offsets.end())) {
    throw UserError("[atlas] {}: the picture offsets do not fit {} emoji and {} bytes", path.string(), emoji.size(),
                    pictures.size());
  }
  std::vector<std::string> pngs;
  for (size_t id = 0; id < emoji.size(); ++id) {
    const auto begin = static_cast<size_t>(offsets[id]), end = static_cast<size_t>(offsets[id + 1]);
    pngs.emplace_back(pictures.substr(begin, end - begin));
    if (!media::is_png(pngs.back()))
      throw UserError("[atlas] {}: the picture of '{}' is no PNG", path.string(), emoji[id].name);
  }
  return std::make_unique<EmojiWorld>(std::move(emoji), std::move(pngs), world->second);
}

}  // namespace tessera::data
