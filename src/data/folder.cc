// Reading a folder of captioned pictures.
#include "data/folder.h"

#include <algorithm>
#include <sstream>

#include "core/error.h"
#include "core/json.h"
#include "data/permutation.h"
#include "media/compose.h"
#include "media/read_media.h"

namespace tessera::data {

FolderSource::FolderSource(FolderOptions options) : options_(std::move(options)) {
  const Path folder = options_.path;
  if (options_.path.empty()) throw UserError("[folder] data.folder.path is missing; give the folder of your pictures");
  if (!std::filesystem::is_directory(folder)) throw UserError("[folder] {} is no folder", folder.string());
  if (options_.size < 8 || options_.size > 4096) throw UserError("[folder] size is {}, want 8 to 4096", options_.size);
  const Path captions = folder / "captions.jsonl";
  items_ = std::filesystem::exists(captions) ? read_captions(captions) : find_text_files();
  if (items_.empty()) {
    throw UserError(
        "[folder] {} holds no captioned picture; want captions.jsonl with {{\"file\", \"caption\"}} lines, or a.png "
        "beside a.txt",
        folder.string());
  }
}

std::vector<FolderSource::Item> FolderSource::read_captions(const Path& file) const {
  std::vector<Item> items;
  std::istringstream lines(read_file(file));
  int64_t number = 0;
  for (std::string line; std::getline(lines, line);) {
    ++number;
    if (line.find_first_not_of(" \t\r") == std::string::npos) continue;
    const Json entry = Json::parse(line, nullptr, /*allow_exceptions=*/false);
    const auto text = [&](const char* key) {
      if (!entry.is_object() || !entry.contains(key) || !entry[key].is_string()) {
        throw UserError("[folder] {} line {}: want an object with \"file\" and \"caption\" texts, got {}",
                        file.string(), number, line.substr(0, 60));
      }
      return entry[key].get<std::string>();
    };
    const Item item{file.parent_path() / text("file"), text("caption")};
    if (!std::filesystem::is_regular_file(item.file))
      throw UserError("[folder] {} line {}: there is no picture {}", file.string(), number, item.file.string());
    items.push_back(item);
  }
  return items;
}

std::vector<FolderSource::Item> FolderSource::find_text_files() const {
  std::vector<Item> items;
  for (const auto& entry : std::filesystem::directory_iterator(options_.path)) {
    std::string extension = entry.path().extension().string();
    std::ranges::transform(extension, extension.begin(),
                           [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    const bool picture = extension == ".png" || extension == ".jpg" || extension == ".jpeg" || extension == ".webp";
    const Path words = Path(entry.path()).replace_extension(".txt");
    if (!picture || !std::filesystem::exists(words)) continue;
    std::string caption = read_file(words);
    while (!caption.empty() && std::isspace(static_cast<unsigned char>(caption.back()))) caption.pop_back();
    items.push_back({entry.path(), caption});
  }
  std::ranges::sort(items, {}, &Item::file);  // directory order differs between machines
  return items;
}

Sample FolderSource::at(uint64_t index) const {
  const uint64_t count = items_.size(), pass = index / count;
  const uint64_t place = permuted(index % count, count, mix64(static_cast<uint64_t>(options_.seed)) + pass);
  const Item& item = items_[place];
  const Image picture = media::over(media::read_image(item.file), media::white);
  return {.picture = media::centre_square(picture, options_.size), .caption = item.caption, .picture_id = place};
}

}  // namespace tessera::data
