// The journal behind FaultyFiles. Paths in it follow their things when these are renamed, so that undoing the newest
// change first always finds each of them.
#include "tests/faults/faulty_files.h"

#include <algorithm>

#include "core/error.h"

namespace tessera::testing {

namespace fs = std::filesystem;

namespace {
bool is_inside(const Path& path, const Path& folder) {
  return std::mismatch(folder.begin(), folder.end(), path.begin(), path.end()).first == folder.end();
}

Path moved(const Path& path, const Path& from, const Path& to) {
  if (!is_inside(path, from)) return path;
  const Path rest = path.lexically_relative(from);
  return rest == "." ? to : to / rest;
}

[[noreturn]] void fail(std::string_view action, const Path& path, std::string_view reason) {
  throw FaultError("[files] cannot {} {}: {}", action, path.string(), reason);
}
}  // namespace

/// A file of a FaultyFiles. Syncing is only noted: the machine below does not crash, and fsync is slow.
class FaultyFile final : public WritableFile {
 public:
  FaultyFile(FaultyFiles& files, Path path, std::unique_ptr<WritableFile> file)
      : files_(files), path_(std::move(path)), file_(std::move(file)) {}
  void append(std::string_view bytes) override { files_.append(path_, *file_, bytes); }
  void sync() override {
    files_.begin("sync", path_);
    files_.bytes_.at(path_).synced = files_.bytes_.at(path_).written;
  }
  void close() override {
    files_.begin("close", path_);
    file_->close();
  }

 private:
  FaultyFiles& files_;
  Path path_;
  std::unique_ptr<WritableFile> file_;
};

FaultyFiles::FaultyFiles(Path root, FaultPlan plan)
    : root_(std::move(root)), attic_(root_.string() + ".attic"), plan_(plan) {
  fs::create_directories(attic_);
}

FaultyFiles::~FaultyFiles() {
  std::error_code ignored;
  fs::remove_all(attic_, ignored);
}

void FaultyFiles::set_plan(FaultPlan plan) {
  plan_ = plan;
  operations_ = 0;
}

/// Counts an operation. True when the power goes off in it and the caller tears it.
bool FaultyFiles::begin(std::string_view action, const Path& path, bool tears) {
  if (!power_) throw PowerCut{};
  if (!is_inside(path, root_)) throw std::logic_error("outside of the folder under test: " + path.string());
  const int64_t number = operations_++;
  const bool fails = number >= plan_.fail_at && (number == plan_.fail_at || number < plan_.fail_until);
  if (fails && !tears) fail(action, path, "Input/output error");
  if (number == plan_.cut_at) power_ = false;
  if (!power_ && !tears) throw PowerCut{};
  return fails || !power_;
}

uint64_t FaultyFiles::room() const {
  if (plan_.capacity == ~0ull) return ~0ull;
  uint64_t used = 0;
  for (const auto& item : fs::recursive_directory_iterator(root_))
    used += item.is_regular_file() ? item.file_size() : 0;
  return used < plan_.capacity ? plan_.capacity - used : 0;
}

void FaultyFiles::append(const Path& path, WritableFile& file, std::string_view bytes) {
  const bool torn = begin("write", path, true);
  const uint64_t fits = std::min<uint64_t>(torn ? bytes.size() / 2 : bytes.size(), room());
  file.append(bytes.substr(0, fits));
  bytes_.at(path).written += fits;
  if (!power_) throw PowerCut{};
  if (torn) fail("write", path, "Input/output error");
  if (fits < bytes.size()) fail("write", path, "No space left on device");
}

std::unique_ptr<WritableFile> FaultyFiles::create(const Path& path) {
  begin("create", path);
  if (!fs::exists(path)) changes_.push_back({path.parent_path(), path, {}, {}});
  auto file = std::make_unique<FaultyFile>(*this, path, disk().create(path));
  bytes_[path] = {0, 0};
  return file;
}

std::unique_ptr<WritableFile> FaultyFiles::open_append(const Path& path) {
  begin("open", path);
  if (!fs::exists(path)) changes_.push_back({path.parent_path(), path, {}, {}});
  auto file = std::make_unique<FaultyFile>(*this, path, disk().open_append(path));
  const uint64_t size = fs::file_size(path);
  bytes_.try_emplace(path, Bytes{size, size});
  return file;
}

void FaultyFiles::move(const Path& from, const Path& to) {
  fs::rename(from, to);
  std::map<Path, Bytes> bytes;
  for (auto& [path, each] : bytes_) bytes.emplace(moved(path, from, to), each);
  bytes_ = std::move(bytes);
  for (Change& change : changes_) {
    change.folder = moved(change.folder, from, to);
    change.at = moved(change.at, from, to);
    change.replaced = moved(change.replaced, from, to);
    if (!change.from.empty()) change.from = change.folder / change.from.filename();
  }
}

Path FaultyFiles::to_attic(const Path& path) {
  const Path kept = attic_ / std::to_string(removed_++);
  move(path, kept);
  return kept;
}

void FaultyFiles::remove(const Path& path) {
  const Path kept = to_attic(path);
  changes_.push_back({path.parent_path(), kept, path, {}});
}

void FaultyFiles::rename(const Path& from, const Path& to) {
  begin("rename to", to);
  if (from.parent_path() != to.parent_path()) throw std::logic_error("only renames within one folder are modelled");
  if (!fs::exists(from)) fail("rename to", to, "No such file or directory");
  if (fs::is_directory(to) && !fs::is_empty(to)) fail("rename to", to, "Directory not empty");
  const Path replaced = fs::exists(to) ? to_attic(to) : Path();
  move(from, to);
  changes_.push_back({to.parent_path(), to, from, replaced});
}

/// The power may fail in the middle: then every second file is lost.
void FaultyFiles::remove_all(const Path& path) {
  const bool torn = begin("remove", path, true);
  if (torn && power_) fail("remove", path, "Input/output error");
  if (!torn && fs::exists(path)) remove(path);
  if (!torn) return;
  std::vector<Path> inside;
  if (fs::is_directory(path)) {
    for (const auto& item : fs::recursive_directory_iterator(path)) {
      if (item.is_regular_file()) inside.push_back(item.path());
    }
  }
  std::sort(inside.begin(), inside.end());
  for (size_t i = operations_ % 2; i < inside.size(); i += 2) remove(inside[i]);
  throw PowerCut{};
}

/// Makes names durable, as the disk does; when the power goes off in it, they are there but not durable.
void FaultyFiles::create_directories(const Path& path) {
  const bool torn = begin("create directory", path, true);
  if (torn && power_) fail("create directory", path, "Input/output error");
  std::vector<Path> missing;
  for (Path each = path; !fs::exists(each); each = each.parent_path()) missing.push_back(each);
  std::reverse(missing.begin(), missing.end());
  for (const Path& each : missing) {
    disk().create_directories(each);
    changes_.push_back({each.parent_path(), each, {}, {}});
  }
  if (torn) throw PowerCut{};
  std::erase_if(changes_, [&](const Change& change) {
    return std::any_of(missing.begin(), missing.end(),
                       [&](const Path& each) { return each.parent_path() == change.folder; });
  });
}

void FaultyFiles::sync_directory(const Path& directory) {
  begin("sync directory", directory);
  std::erase_if(changes_, [&](const Change& change) { return change.folder == directory; });
}

void FaultyFiles::truncate(const Path& path, uint64_t bytes) {
  begin("truncate", path);
  const uint64_t size = fs::file_size(path);
  disk().truncate(path, bytes);
  Bytes& each = bytes_.try_emplace(path, Bytes{size, size}).first->second;
  each.written = bytes;
  each.synced = std::min(each.synced, bytes);
}

void FaultyFiles::lose_bytes(Loss loss, Rng& rng) {
  for (auto& [path, each] : bytes_) {
    const uint64_t unsynced = each.written - each.synced;
    if (unsynced == 0) continue;
    const uint64_t kept = loss == Loss::some ? rng.below(unsynced + 1) : 0;
    disk().truncate(path, each.synced + kept);
    if (loss == Loss::some && rng.chance(0.3)) disk().truncate(path, each.written);  // the rest reads as zeros
  }
}

void FaultyFiles::undo(const Change& change, Loss loss, Rng& rng) {
  if (change.from.empty()) {
    fs::remove_all(change.at);
    return;
  }
  move(change.at, change.from);
  if (!change.replaced.empty()) move(change.replaced, change.at);
  const bool was_removed = is_inside(change.at, attic_);
  if (loss != Loss::some || !was_removed || !fs::is_directory(change.from)) return;
  std::vector<Path> inside;  // a removal that was half done: the folder is still there, some of its files are not
  for (const auto& item : fs::recursive_directory_iterator(change.from)) inside.push_back(item.path());
  for (const Path& each : inside) {
    if (fs::is_regular_file(each) && rng.chance(0.5)) fs::remove(each);
  }
}

void FaultyFiles::crash(Loss loss, uint64_t seed) {
  Rng rng(seed);
  if (loss != Loss::nothing && loss != Loss::names) lose_bytes(loss, rng);
  if (loss == Loss::some || loss == Loss::names || loss == Loss::everything) {
    std::map<Path, uint64_t> lasting;  // for each folder how many of its changes, from the oldest on, reached the disk
    for (const Change& change : changes_) ++lasting[change.folder];
    if (loss != Loss::some) lasting.clear();
    for (auto& [folder, count] : lasting) count = rng.below(count + 1);
    std::erase_if(changes_, [&](const Change& change) {
      uint64_t& count = lasting[change.folder];
      if (count == 0) return false;
      --count;
      return true;
    });
    while (!changes_.empty()) {
      const Change newest = changes_.back();
      changes_.pop_back();
      undo(newest, loss, rng);
    }
  }
  changes_.clear();
  bytes_.clear();
  fs::remove_all(attic_);
  fs::create_directories(attic_);
  plan_ = {};
  operations_ = 0;
  power_ = true;
}

}  // namespace tessera::testing
