// The directory stands at the end and says where members begin; how far their bytes lie behind their own headers is known there alone,
// because torch.save aligns them by padding that the directory does not have (APPNOTE.TXT of PKWARE, 4.3).
#include "tensor/zip_records.h"

#include <algorithm>
#include <cstdint>
#include <cstring>

#include "core/error.h"

namespace tessera {

namespace {

constexpr std::string_view member_mark = "PK\3\4", entry_mark = "PK\1\2", end_mark = "PK\5\6", end64_mark = "PK\6\6",
                           locator_mark = "PK\6\7";
constexpr uint64_t end_size = 22, locator_size = 20, end64_size = 56, entry_size = 46, member_size = 30;
constexpr uint32_t in_zip64 = 0xFFFFFFFF;

class Archive {
 public:
  Archive(std::string_view bytes, std::string_view source) : bytes_(bytes), source_(source) {}

  /// Little-endian number of T at a place. Throws UserError outside of the file.
  template <class T> T number(uint64_t at) const {
    T value;
    std::memcpy(&value, part(at, sizeof(T), "its directory").data(), sizeof(T));
    return value;
  }
  std::string_view part(uint64_t at, uint64_t size, std::string_view what) const {
    if (at > bytes_.size() || size > bytes_.size() - at)
      throw UserError("[zip] {}: {} leaves the file of {} bytes", source_, what, bytes_.size());
    return bytes_.substr(at, size);
  }
  bool has(uint64_t at, std::string_view mark) const {
    return at <= bytes_.size() && bytes_.substr(at).starts_with(mark);
  }
  uint64_t size() const { return bytes_.size(); }
  std::string_view source() const { return source_; }

  /// Where the last record begins; before it there may be a comment of any text.
  uint64_t end() const {
    if (bytes_.size() < end_size) throw_cut();
    constexpr uint64_t longest_comment = 0xFFFF;
    const uint64_t last = bytes_.size() - end_size, first = last > longest_comment ? last - longest_comment : 0;
    for (uint64_t at = last + 1; at-- > first;) {
      if (has(at, end_mark)) return at;
    }
    throw_cut();
  }

 private:
  [[noreturn]] void throw_cut() const {
    throw UserError("[zip] {} has no directory at its end; is it cut off?", source_);
  }
  std::string_view bytes_;
  std::string source_;
};

struct Directory {
  uint64_t begin = 0, size = 0, entries = 0;
};

Directory directory_of(const Archive& archive) {
  const uint64_t end = archive.end();
  Directory all{.begin = archive.number<uint32_t>(end + 16),
                .size = archive.number<uint32_t>(end + 12),
                .entries = archive.number<uint16_t>(end + 10)};
  if (end >= locator_size && archive.has(end - locator_size, locator_mark)) {
    const auto end64 = archive.number<uint64_t>(end - locator_size + 8);
    archive.part(end64, end64_size, "its zip64 record");
    if (!archive.has(end64, end64_mark))
      throw UserError("[zip] {}: no zip64 record where one is told", archive.source());
    all = {.begin = archive.number<uint64_t>(end64 + 48),
           .size = archive.number<uint64_t>(end64 + 40),
           .entries = archive.number<uint64_t>(end64 + 32)};
  }
  archive.part(all.begin, all.size, "its directory");
  if (all.entries > all.size / entry_size)
    throw UserError("[zip] {}: {} members in a directory of {} bytes", archive.source(), all.entries, all.size);
  return all;
}

struct Entry {
  std::string name;
  uint64_t stored = 0, size = 0, begin = 0;  // of the member's own header
  uint16_t flags = 0, method = 0;
  uint64_t next = 0;  // where the entry after it begins
};

/// Numbers that do not fit stand in a field of their own, in this order, those alone.
void read_zip64(const Archive& archive, uint64_t at, uint64_t end, Entry& entry) {
  while (at + 4 <= end) {
    const auto id = archive.number<uint16_t>(at), length = archive.number<uint16_t>(at + 2);
    at += 4;
    if (id == 1) {
      const uint64_t stop = std::min<uint64_t>(end, at + length);
      for (uint64_t* value : {&entry.size, &entry.stored, &entry.begin}) {
        if (*value != in_zip64) continue;
        if (at + 8 > stop) throw UserError("[zip] {}: {} lacks its zip64 numbers", archive.source(), entry.name);
        *value = archive.number<uint64_t>(at);
        at += 8;
      }
      return;
    }
    at += length;
  }
}

Entry entry_at(const Archive& archive, uint64_t at) {
  archive.part(at, entry_size, "its directory");
  if (!archive.has(at, entry_mark))
    throw UserError("[zip] {}: the directory breaks off at byte {}", archive.source(), at);
  const auto name_length = archive.number<uint16_t>(at + 28), extra = archive.number<uint16_t>(at + 30),
             comment = archive.number<uint16_t>(at + 32);
  Entry entry{.name = std::string(archive.part(at + entry_size, name_length, "a name")),
              .stored = archive.number<uint32_t>(at + 20),
              .size = archive.number<uint32_t>(at + 24),
              .begin = archive.number<uint32_t>(at + 42),
              .flags = archive.number<uint16_t>(at + 8),
              .method = archive.number<uint16_t>(at + 10)};
  if (std::ranges::any_of(entry.name, [](unsigned char c) { return c < 0x20; }))
    throw UserError("[zip] {}: a member's name holds control characters", archive.source());
  const uint64_t fields = at + entry_size + name_length;
  archive.part(fields, extra, entry.name);
  read_zip64(archive, fields, fields + extra, entry);
  entry.next = fields + extra + comment;
  return entry;
}

std::string_view bytes_of(const Archive& archive, const Entry& entry) {
  if ((entry.flags & 1) != 0) throw UserError("[zip] {}: {} is encrypted", archive.source(), entry.name);
  if (entry.method != 0 || entry.stored != entry.size)
    throw UserError("[zip] {}: {} is compressed, want members that are stored as they are, as torch.save writes them",
                    archive.source(), entry.name);
  archive.part(entry.begin, member_size, entry.name);
  const auto name_length = archive.number<uint16_t>(entry.begin + 26),
             extra = archive.number<uint16_t>(entry.begin + 28);
  const bool named = archive.has(entry.begin, member_mark) &&
                     archive.part(entry.begin + member_size, name_length, entry.name) == entry.name;
  if (!named) throw UserError("[zip] {}: {} is not where the directory has it", archive.source(), entry.name);
  return archive.part(entry.begin + member_size + name_length + extra, entry.size, entry.name);
}

}  // namespace

bool is_zip(std::string_view bytes) { return bytes.starts_with(member_mark); }

std::map<std::string, std::string_view, std::less<>> zip_records(std::string_view bytes, std::string_view source) {
  const Archive archive(bytes, source);
  const Directory directory = directory_of(archive);
  std::map<std::string, std::string_view, std::less<>> records;
  uint64_t at = directory.begin;
  for (uint64_t i = 0; i < directory.entries; ++i) {
    const Entry entry = entry_at(archive, at);
    at = entry.next;
    if (entry.name.ends_with('/')) continue;  // a folder
    if (!records.emplace(entry.name, bytes_of(archive, entry)).second)
      throw UserError("[zip] {}: a second member '{}'", source, entry.name);
  }
  return records;
}

}  // namespace tessera
