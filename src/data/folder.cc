// Reading a folder of captioned pictures.
#include "data/folder.h"

#include <algorithm>
#include <sstream>

#include "core/error.h"
#include "core/json_rows.h"
#include "core/rng.h"
#include "core/text_file.h"
#include "data/heldout.h"
#include "data/permutation.h"
#include "media/compose.h"
#include "media/read_media.h"

namespace tessera::data {

namespace {
constexpr uint64_t order_of_pictures = 0x666f6c64;  // the same for every seed: what is held out stays held out
}  // namespace

FolderSource::FolderSource(FolderOptions options) : options_(std::move(options)) {
  const Path folder = options_.path;
  if (options_.path.empty()) throw UserError("[folder] data.folder.path is missing; give the folder of your pictures");
  if (!std::filesystem::is_directory(folder)) throw UserError("[folder] {} is no folder", folder.string());
  if (options_.size < 8 || options_.size > 4096) throw UserError("[folder] size is {}, want 8 to 4096", options_.size);
  if (!(options_.heldout_share >= 0 && options_.heldout_share < 1))
    throw UserError("[folder] heldout_share is {}, want a number from 0 to below 1", options_.heldout_share);
  const Path captions = folder / "captions.jsonl";
  items_ = std::filesystem::exists(captions) ? read_captions(captions) : find_text_files();
  if (items_.empty()) {
    throw UserError(
        "[folder] {} holds no captioned picture; want captions.jsonl with {{\"file\", \"caption\"}} lines, or a.png "
        "beside a.txt",
        folder.string());
  }
  divide();
}

void FolderSource::divide() {
  std::vector<uint64_t> identities;
  for (const Item& item : items_) identities.push_back(hash_text(item.file.lexically_normal().generic_string()));
  const std::vector<bool> held =
      held_out_rows(identities, options_.heldout_share, order_of_pictures, "[folder] " + options_.path);
  for (uint64_t i = 0; i < items_.size(); ++i) (held[i] ? heldout_ : training_).push_back(i);
}

std::vector<FolderSource::Item> FolderSource::read_captions(const Path& file) const {
  std::vector<Item> items;
  std::istringstream lines(read_text(file, "folder"));
  int64_t number = 0;
  RowRepairs repairs;
  for (std::string line; std::getline(lines, line);) {
    ++number;
    if (is_blank(line)) continue;
    const Json entry = parse_json_row(line, fmt::format("{} line {}", file.string(), number), &repairs);
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
  repairs.warn("folder");
  return items;
}

std::vector<FolderSource::Item> FolderSource::find_text_files() const {
  std::vector<Item> items;
  for (const Path& file : find_files(options_.path, picture_files, "folder")) {
    if (file.lexically_relative(options_.path).has_parent_path()) continue;  // in a folder inside
    const Path words = Path(file).replace_extension(".txt");
    if (!std::filesystem::exists(words)) continue;
    std::string caption = read_text(words, "folder");
    while (!caption.empty() && std::isspace(static_cast<unsigned char>(caption.back()))) caption.pop_back();
    items.push_back({file, caption});
  }
  return items;
}

Sample FolderSource::sample_of(uint64_t item) const {
  const Image picture = media::over(media::read_image(items_[item].file), media::white);
  return {.picture = media::centre_square(picture, options_.size), .caption = items_[item].caption, .picture_id = item};
}

Sample FolderSource::at(uint64_t index) const {
  const uint64_t count = training_.size(), pass = index / count;
  return sample_of(training_[permuted(index % count, count, mix64(static_cast<uint64_t>(options_.seed)) + pass)]);
}

size_t FolderSource::longest_caption() const {
  size_t longest = 0;
  for (const Item& item : items_) longest = std::max(longest, item.caption.size());
  return longest;
}

std::vector<Sample> FolderSource::heldout(uint64_t most) const {
  const uint64_t count = std::min<uint64_t>(most, heldout_.size());
  std::vector<Sample> samples;
  for (uint64_t i = 0; i < count; ++i) samples.push_back(sample_of(heldout_[i * heldout_.size() / count]));
  return samples;
}

}  // namespace tessera::data
