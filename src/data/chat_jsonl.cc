// Rows by their offset in the file.
#include "data/chat_jsonl.h"

#include <algorithm>

#include "core/error.h"
#include "core/rng.h"
#include "core/text_file.h"
#include "data/heldout.h"
#include "data/permutation.h"
#include "media/read_media.h"

namespace tessera::data {

namespace {
constexpr uint64_t order_of_rows = 0x63686174;  // the same for every seed: what is held out stays held out

const ChatOptions& checked(const ChatOptions& o) {
  if (o.path.empty()) throw UserError("[chat] data.chat.path is missing; give a JSONL file of conversations");
  if (!std::filesystem::is_regular_file(o.path))
    throw UserError("[chat] data.chat.path is {}, which is no file", o.path);
  if (std::filesystem::file_size(o.path) == 0) throw UserError("[chat] {} is empty", o.path);
  if (!(o.heldout_share >= 0 && o.heldout_share < 1))
    throw UserError("[chat] heldout_share is {}, want a number from 0 to below 1", o.heldout_share);
  if (o.frames < 1) throw UserError("[chat] frames is {}, want at least 1", o.frames);
  if (o.samples < 0) throw UserError("[chat] samples is {}, want 0 or more", o.samples);
  return o;
}
}  // namespace

ChatSource::ChatSource(ChatOptions options) : options_(std::move(options)), file_(checked(options_).path) {
  const bool utf16 = file_.bytes().starts_with("\xFF\xFE") || file_.bytes().starts_with("\xFE\xFF");
  if (utf16) decoded_ = decode_text(file_.bytes(), options_.path, "chat").words;
  const std::string_view all = this->all();
  RowRepairs repairs;
  int64_t number = 0;
  for (size_t begin = 0; begin < all.size();) {
    const size_t end = std::min(all.find_first_of("\r\n", begin), all.size());
    const Line line{begin, end - begin, ++number};
    if (!is_blank(words(line))) {
      identities_.push_back(checked_identity(line, repairs));
      lines_.push_back(line);
    }
    begin = end + (all.substr(end).starts_with("\r\n") ? 2 : 1);
  }
  repairs.warn("chat");
  if (lines_.empty()) throw UserError("[chat] {} holds no row", options_.path);
  divide();
}

void ChatSource::divide() {
  const std::vector<bool> held =
      held_out_rows(identities_, options_.heldout_share, order_of_rows, "[chat] " + options_.path);
  for (uint64_t place = 0; place < lines_.size(); ++place) {
    const uint64_t row = permuted(place, lines_.size(), order_of_rows);
    (held[row] ? heldout_ : training_).push_back(row);
  }
  std::ranges::reverse(heldout_);
  if (options_.samples > 0)
    training_.resize(std::min<uint64_t>(training_.size(), static_cast<uint64_t>(options_.samples)));
}

std::string ChatSource::where(const Line& line) const { return fmt::format("{} line {}", options_.path, line.number); }

Path ChatSource::path_of(const std::string& written) const {
  return Path(options_.path).parent_path() / written;  // an absolute path stays as it is
}

/// Looks for the row's files. Two rows that say and show the same have one identity, however they are written.
uint64_t ChatSource::checked_identity(const Line& line, RowRepairs& repairs) const {
  const ChatRow row = parse_chat_row(words(line), where(line), &repairs);
  uint64_t identity = 0;
  for (const ChatMedia& each : row.media) {
    if (!std::filesystem::is_regular_file(path_of(each.path)))
      throw UserError("[chat] {}: there is no file {}", where(line), path_of(each.path).string());
    identity = mix64(identity ^ hash_text(path_of(each.path).lexically_normal().generic_string()));
  }
  for (const auto* turns : {&row.messages, &row.rejected}) {
    for (const text::Message& each : *turns)
      identity = mix64(mix64(identity ^ hash_text(each.role)) ^ hash_text(each.content)) ^
                 (each.extra.is_null() ? 0 : hash_text(each.extra.dump()));
  }
  return identity;
}

Sample ChatSource::read(const Line& line) const {
  ChatRow row = parse_chat_row(words(line), where(line));
  Sample sample{.messages = std::move(row.messages),
                .rejected = std::move(row.rejected),
                .tools = std::move(row.tools),
                .where = where(line)};
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

Sample ChatSource::at(uint64_t index) const {
  const uint64_t count = training_.size(), pass = index / count;
  return read(lines_[training_[permuted(index % count, count, mix64(static_cast<uint64_t>(options_.seed)) + pass)]]);
}

std::vector<Sample> ChatSource::heldout(uint64_t most) const {
  std::vector<Sample> samples;
  for (uint64_t i = 0; i < std::min<uint64_t>(most, heldout_.size()); ++i) samples.push_back(read(lines_[heldout_[i]]));
  return samples;
}

std::string ChatSource::edition() const {
  return fmt::format("chat {:016x}, {} rows", hash_text(file_.bytes()), lines_.size());
}

}  // namespace tessera::data
