// The order of writes is the whole point: files, folders, DONE, rename, parent folder; only then are old ones removed.
#include "tensor/checkpoint.h"

#include <algorithm>
#include <charconv>
#include <tuple>

#include "core/error.h"
#include "core/json.h"
#include "core/log.h"

namespace tessera {

namespace fs = std::filesystem;

namespace {
constexpr std::string_view prefix = "step-";
constexpr std::string_view partial_suffix = ".partial";
constexpr std::string_view replaced_suffix = ".replaced";
constexpr std::string_view removed_suffix = ".removed";
constexpr std::string_view done_name = "DONE";

/// The N and what follows it in "step-N...".
std::optional<std::pair<int64_t, std::string>> parse_name(const Path& path) {
  const std::string name = path.filename().string();
  if (!name.starts_with(prefix)) return std::nullopt;
  int64_t step = 0;
  const char* end = name.data() + name.size();
  const auto [rest, error] = std::from_chars(name.data() + prefix.size(), end, step);
  if (error != std::errc() || step < 0) return std::nullopt;
  return std::pair(step, std::string(rest, end));
}

/// Everything in a folder but DONE, by relative name.
std::map<std::string, uint64_t> file_sizes(const Path& folder) {
  std::map<std::string, uint64_t> sizes;
  for (const auto& item : fs::recursive_directory_iterator(folder)) {
    const std::string name = item.path().lexically_relative(folder).string();
    if (item.is_regular_file() && name != done_name) sizes[name] = item.file_size();
  }
  return sizes;
}

void sync_tree(const Path& folder, FileSystem& files) {
  std::vector<Path> folders{folder};
  for (const auto& item : fs::recursive_directory_iterator(folder)) {
    if (item.is_directory()) {
      folders.push_back(item.path());
    } else {
      const auto file = files.open_append(item.path());  // fsync makes all of a file durable, whoever wrote it
      file->sync();
      file->close();
    }
  }
  for (const Path& each : folders) files.sync_directory(each);
}

void write_done(const Path& folder, int64_t step, FileSystem& files) {
  const Json done = {{"step", step}, {"files", file_sizes(folder)}};
  const auto file = files.create(folder / done_name);
  file->append(done.dump(2) + "\n");
  file->sync();
  file->close();
  files.sync_directory(folder);
}
}  // namespace

std::string checkpoint_fault(const Path& folder) try {
  if (!fs::exists(folder / done_name)) return "it has no DONE file";
  const Json done = read_json_file(folder / done_name);
  const auto listed = done.at("files").get<std::map<std::string, uint64_t>>();
  const auto present = file_sizes(folder);
  for (const auto& [name, size] : listed) {
    const auto found = present.find(name);
    if (found == present.end()) return fmt::format("{} is missing", name);
    if (found->second != size) return fmt::format("{} has {} bytes, want {}", name, found->second, size);
  }
  return "";
} catch (const std::exception&) {
  return "its DONE file cannot be read";
}

CheckpointStore::CheckpointStore(Path directory, FileSystem& files, int64_t keep)
    : directory_(std::move(directory)), files_(&files), keep_(static_cast<size_t>(std::max<int64_t>(keep, 1))) {}

int64_t CheckpointStore::step_of(const Path& checkpoint) {
  const auto name = parse_name(checkpoint);
  if (!name) throw UserError("[checkpoint] {} is not a checkpoint; want a folder named step-N", checkpoint.string());
  return name->first;
}

std::vector<CheckpointStore::Found> CheckpointStore::folders() const {
  std::vector<Found> found;
  if (!fs::is_directory(directory_)) return found;
  for (const auto& item : fs::directory_iterator(directory_)) {
    const auto name = parse_name(item.path());
    if (!name || !item.is_directory()) continue;
    if (name->second.empty() || name->second == replaced_suffix)
      found.push_back({name->first, !name->second.empty(), item.path()});
  }
  std::sort(found.begin(), found.end(), [](const Found& a, const Found& b) {
    return std::tuple(a.step, !a.replaced) <
           std::tuple(b.step, !b.replaced);  // of two with one step the new one is newer
  });
  return found;
}

std::optional<Path> CheckpointStore::latest() const {
  const auto all = folders();
  for (auto each = all.rbegin(); each != all.rend(); ++each) {
    const std::string fault = checkpoint_fault(each->path);
    if (fault.empty()) return each->path;
    log_warning("[checkpoint] skipped {}: {}", each->path.string(), fault);
  }
  return std::nullopt;
}

std::vector<int64_t> CheckpointStore::steps() const {
  std::vector<int64_t> steps;
  for (const Found& each : folders()) {
    if (checkpoint_fault(each.path).empty() && (steps.empty() || steps.back() != each.step)) steps.push_back(each.step);
  }
  return steps;
}

void CheckpointStore::save(int64_t step, const std::function<void(const Path& folder, FileSystem& files)>& write) {
  const Path partial = directory_ / fmt::format("{}{}{}", prefix, step, partial_suffix);
  try {
    files_->create_directories(directory_);
    files_->remove_all(partial);
    files_->create_directories(partial);
    write(partial, *files_);
    sync_tree(partial, *files_);
    write_done(partial, step, *files_);
    publish(step, partial);
  } catch (...) {
    discard(partial);
    throw;
  }
  prune();
}

void CheckpointStore::publish(int64_t step, const Path& partial) {
  const Path final_path = directory_ / fmt::format("{}{}", prefix, step);
  if (fs::exists(final_path)) {
    const Path aside = final_path.string() + std::string(replaced_suffix);
    files_->remove_all(aside);
    files_->rename(final_path, aside);
  }
  files_->rename(partial, final_path);
  files_->sync_directory(directory_);
}

void CheckpointStore::prune() {
  auto all = folders();
  std::reverse(all.begin(), all.end());
  size_t kept = 0;
  for (const Found& each : all) {
    const bool keep = !each.replaced && kept < keep_ && checkpoint_fault(each.path).empty();
    if (keep) ++kept;
    else discard(each.path);
  }
  for (const auto& item : fs::directory_iterator(directory_)) {
    const auto name = parse_name(item.path());
    if (name && (name->second == partial_suffix || name->second == removed_suffix)) discard(item.path());
  }
}

void CheckpointStore::discard(const Path& folder) try {
  if (!fs::exists(folder)) return;
  Path doomed = folder;
  if (const auto name = parse_name(folder); name && (name->second.empty() || name->second == replaced_suffix)) {
    doomed = directory_ / fmt::format("{}{}{}", prefix, name->first, removed_suffix);
    files_->remove_all(doomed);
    files_->rename(folder, doomed);  // half removed, it must not look like a checkpoint
  }
  files_->remove_all(doomed);
} catch (const FaultError& error) {
  log_warning("[checkpoint] left {} behind: {}", folder.string(), error.what());
}

}  // namespace tessera
