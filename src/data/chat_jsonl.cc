// Rows by their place in the file.
#include "data/chat_jsonl.h"

#include <cmath>

#include "core/error.h"
#include "core/rng.h"
#include "data/permutation.h"
#include "media/read_media.h"

namespace tessera::data {

namespace {
constexpr uint64_t order_of_rows = 0x63686174;  // the same for every seed: what is held out stays held out

const ChatOptions& checked(const ChatOptions& o) {
  if (o.path.empty()) throw UserError("[chat] data.chat.path is missing; give a JSONL file of conversations");
  if (!std::filesystem::is_regular_file(o.path)) throw UserError("[chat] {} is no file", o.path);
  if (std::filesystem::file_size(o.path) == 0) throw UserError("[chat] {} is empty", o.path);
  if (!(o.heldout_share >= 0 && o.heldout_share < 1))
    throw UserError("[chat] heldout_share is {}, want a number from 0 to below 1", o.heldout_share);
  if (o.frames < 1) throw UserError("[chat] frames is {}, want at least 1", o.frames);
  if (o.samples < 0) throw UserError("[chat] samples is {}, want 0 or more", o.samples);
  return o;
}
}  // namespace

ChatSource::ChatSource(ChatOptions options) : options_(std::move(options)), file_(checked(options_).path) {
  const std::string_view all = file_.bytes();
  int64_t number = 0;
  for (size_t begin = 0; begin < all.size();) {
    const size_t end = std::min(all.find('\n', begin), all.size());
    const Line line{begin, end - begin, ++number};
    if (words(line).find_first_not_of(" \t\r") != std::string_view::npos) check(line), lines_.push_back(line);
    begin = end + 1;
  }
  if (lines_.empty()) throw UserError("[chat] {} holds no row", options_.path);
  heldout_ = static_cast<uint64_t>(std::floor(static_cast<double>(lines_.size()) * options_.heldout_share));
  training_ = lines_.size() - heldout_;
  if (options_.samples > 0) training_ = std::min<uint64_t>(training_, static_cast<uint64_t>(options_.samples));
}

std::string ChatSource::where(const Line& line) const { return fmt::format("{} line {}", options_.path, line.number); }

Path ChatSource::path_of(const std::string& written) const {
  return Path(options_.path).parent_path() / written;  // an absolute path stays as it is
}

void ChatSource::check(const Line& line) const {
  for (const ChatMedia& each : parse_chat_row(words(line), where(line)).media) {
    if (!std::filesystem::is_regular_file(path_of(each.path)))
      throw UserError("[chat] {}: there is no file {}", where(line), path_of(each.path).string());
  }
}

Sample ChatSource::read(const Line& line) const {
  ChatRow row = parse_chat_row(words(line), where(line));
  Sample sample{.messages = std::move(row.messages)};
  for (const ChatMedia& each : row.media) {
    try {
      const Path path = path_of(each.path);
      if (each.clip) sample.media.push_back(media::read_media(path, options_.frames));
      else sample.media.push_back({.frames = {media::read_image(path)}, .source = path.string()});
    } catch (const UserError& error) {
      throw UserError("[chat] {}: {}", where(line), error.what());
    }
  }
  return sample;
}

const ChatSource::Line& ChatSource::ordered(uint64_t place) const {
  return lines_[permuted(place, lines_.size(), order_of_rows)];
}

Sample ChatSource::at(uint64_t index) const {
  const uint64_t pass = index / training_;
  return read(ordered(permuted(index % training_, training_, mix64(static_cast<uint64_t>(options_.seed)) + pass)));
}

std::vector<Sample> ChatSource::heldout(uint64_t most) const {
  const uint64_t count = std::min(most, heldout_);
  std::vector<Sample> samples;
  for (uint64_t i = 0; i < count; ++i) samples.push_back(read(ordered(lines_.size() - 1 - i)));
  return samples;
}

std::string ChatSource::edition() const {
  return fmt::format("chat {:016x}, {} rows", hash_text(file_.bytes()), lines_.size());
}

}  // namespace tessera::data
