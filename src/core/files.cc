// The real disk behind FileSystem: POSIX calls, every one checked, every fault with its path and reason.
#include "core/files.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <map>
#include <mutex>
#include <utility>

#include <fmt/ranges.h>

#include "core/error.h"

namespace tessera {

namespace {
[[noreturn]] void fail(std::string_view action, const Path& path) {
  throw FaultError("[files] cannot {} {}: {}", action, path.string(), std::strerror(errno));
}

class DiskFile final : public WritableFile {
 public:
  DiskFile(const Path& path, int flags)
      : path_(path), fd_(::open(path.c_str(), flags | O_WRONLY | O_CREAT | O_CLOEXEC, 0644)) {
    if (fd_ < 0) fail("create", path_);
  }
  ~DiskFile() override {
    if (fd_ >= 0) ::close(fd_);
  }
  void append(std::string_view bytes) override {
    while (!bytes.empty()) {
      const ssize_t written = ::write(fd_, bytes.data(), bytes.size());
      if (written < 0 && errno == EINTR) continue;
      if (written < 0) fail("write", path_);
      bytes.remove_prefix(static_cast<size_t>(written));
    }
  }
  void sync() override {
    if (::fsync(fd_) != 0) fail("sync", path_);
  }
  void close() override {
    const int closing = std::exchange(fd_, -1);
    if (closing >= 0 && ::close(closing) != 0) fail("close", path_);
  }

 private:
  Path path_;
  int fd_;
};

class Disk final : public FileSystem {
 public:
  std::unique_ptr<WritableFile> create(const Path& path) override { return std::make_unique<DiskFile>(path, O_TRUNC); }
  std::unique_ptr<WritableFile> open_append(const Path& path) override {
    return std::make_unique<DiskFile>(path, O_APPEND);
  }
  void rename(const Path& from, const Path& to) override {
    if (::rename(from.c_str(), to.c_str()) != 0) fail("rename to", to);
  }
  void remove_all(const Path& path) override {
    std::error_code error;
    std::filesystem::remove_all(path, error);
    if (error) throw FaultError("[files] cannot remove {}: {}", path.string(), error.message());
  }
  void create_directories(const Path& path) override {
    std::error_code error;
    std::vector<Path> missing;
    for (Path each = std::filesystem::absolute(path); !std::filesystem::exists(each, error); each = each.parent_path())
      missing.push_back(each);
    std::filesystem::create_directories(path, error);
    if (error) throw FaultError("[files] cannot create directory {}: {}", path.string(), error.message());
    for (const Path& each : missing) sync_directory(each.parent_path());
  }
  void sync_directory(const Path& directory) override {
    const int fd = ::open(directory.empty() ? "." : directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) fail("open directory", directory);
    const int status = ::fsync(fd);
    ::close(fd);
    if (status != 0) fail("sync directory", directory);
  }
  void truncate(const Path& path, uint64_t bytes) override {
    if (::truncate(path.c_str(), static_cast<off_t>(bytes)) != 0) fail("truncate", path);
  }
};
}  // namespace

FileSystem& disk() {
  static Disk instance;
  return instance;
}

std::string read_file(const Path& path) {
  const MappedFile file(path);
  return std::string(file.bytes());
}

void write_file_atomically(const Path& path, std::string_view bytes, FileSystem& files) {
  write_file_atomically(
      path, [&](WritableFile& file) { file.append(bytes); }, files);
}

namespace {
bool is_device_or_pipe(const Path& path) {
  std::error_code ignored;
  const auto type = std::filesystem::status(path, ignored).type();
  using enum std::filesystem::file_type;
  return type == character || type == fifo || type == block || type == socket;
}

/// What a link leads to, over further links, whether it exists or not; any other path as it is.
Path followed(Path path) {
  constexpr int most_links = 40;  // as many as the system follows
  std::error_code none;
  for (int i = 0; i < most_links && std::filesystem::is_symlink(path, none); ++i) {
    const Path next = std::filesystem::read_symlink(path, none);
    if (none) break;
    path = next.is_absolute() ? next : path.parent_path() / next;
  }
  return path;
}
}  // namespace

void write_file_atomically(const Path& name, const std::function<void(WritableFile&)>& write, FileSystem& files) {
  if (is_device_or_pipe(name)) {
    const auto file = files.create(name);
    write(*file);
    return file->close();
  }
  const Path path = followed(name);
  const Path partial = path.string() + ".partial";
  try {
    const auto file = files.create(partial);
    write(*file);
    file->sync();
    file->close();
    files.rename(partial, path);
  } catch (...) {
    try {
      files.remove_all(partial);   // on a full disk the part would only be in the way
    } catch (const FaultError&) {  // the first fault is the one to report
    }
    throw;
  }
  files.sync_directory(path.parent_path());
}

bool is_of_kind(const Path& path, const FileKinds& kinds) {
  std::string extension = path.extension().string();
  std::ranges::transform(extension, extension.begin(),
                         [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return std::ranges::find(kinds, extension) != kinds.end();
}

namespace {
/// Adds the files of `kinds` in `folder` and in the folders in it.
void collect_files(const Path& folder, const FileKinds& kinds, std::string_view module, std::vector<Path>& files) {
  std::error_code fault;
  std::filesystem::directory_iterator entry(folder, fault);
  for (; !fault && entry != std::filesystem::directory_iterator(); entry.increment(fault)) {
    std::error_code ignored;  // of a link that leads nowhere
    if (entry->path().filename().string().starts_with('.')) continue;
    if (entry->is_directory(ignored)) {
      if (!entry->is_symlink(ignored)) collect_files(entry->path(), kinds, module, files);
    } else if (entry->is_regular_file(ignored) && is_of_kind(entry->path(), kinds)) {
      files.push_back(entry->path());
    }
  }
  if (fault) throw UserError("[{}] {} cannot be read: {}", module, folder.string(), fault.message());
}
}  // namespace

std::vector<Path> find_files(const Path& path, const FileKinds& kinds, std::string_view module) {
  if (!std::filesystem::exists(path)) throw UserError("[{}] {} does not exist", module, path.string());
  if (!std::filesystem::is_directory(path)) return {path};
  std::vector<Path> files;
  collect_files(path, kinds, module, files);
  if (files.empty()) throw UserError("[{}] {} holds no {} file", module, path.string(), fmt::join(kinds, ", "));
  std::ranges::sort(files);
  return files;
}

void require_writable(const Path& name, std::string_view module) {
  const Path path = followed(name);  // what is made to try it is removed again, not the link to it
  const auto refuse = [&](const std::string& why) {
    throw UserError("[{}] cannot write {}: {}", module, name.string(), why);
  };
  const Path parent = path.has_parent_path() ? path.parent_path() : Path(".");
  std::error_code error;
  std::filesystem::create_directories(parent, error);
  if (error) refuse(error.message());
  const std::filesystem::file_status status = std::filesystem::status(path, error);
  const bool existed = std::filesystem::exists(status);
  if (error && status.type() != std::filesystem::file_type::not_found) refuse(error.message());
  if (std::filesystem::is_directory(status)) refuse("it is a directory");
  if (is_device_or_pipe(path)) {  // opening a FIFO would wait for its reader
    if (::access(path.c_str(), W_OK) != 0) refuse(std::strerror(errno));
    return;
  }
  const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
  if (fd < 0) refuse(std::strerror(errno));
  ::close(fd);
  if (!existed) ::unlink(path.c_str());
}

namespace {
/// Where files are mapped now, so that release_pages() never touches other memory.
struct Mappings {
  std::mutex mutex;
  std::map<const char*, size_t> sizes;
};
Mappings& mappings() {
  static auto* all = new Mappings;  // never destroyed: a map may be closed while the program ends
  return *all;
}
}  // namespace

MappedFile::MappedFile(const Path& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) throw UserError("[files] cannot open {}: {}", path.string(), std::strerror(errno));
  struct stat status {};
  const bool known = ::fstat(fd, &status) == 0;
  if (!known || !S_ISREG(status.st_mode)) {
    ::close(fd);
    throw UserError("[files] cannot read {}: not a regular file", path.string());
  }
  size_ = static_cast<size_t>(status.st_size);
  void* mapped = size_ == 0 ? nullptr : ::mmap(nullptr, size_, PROT_READ, MAP_PRIVATE, fd, 0);
  ::close(fd);
  if (mapped == MAP_FAILED) fail("map", path);
  data_ = static_cast<const char*>(mapped);
  if (data_ == nullptr) return;
  const std::lock_guard lock(mappings().mutex);
  mappings().sizes[data_] = size_;
}

MappedFile::MappedFile(MappedFile&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}

MappedFile::~MappedFile() {
  if (data_ == nullptr) return;
  const std::lock_guard lock(mappings().mutex);
  mappings().sizes.erase(data_);
  ::munmap(const_cast<char*>(data_), size_);
}

void release_pages(std::string_view bytes) {
  const std::lock_guard lock(mappings().mutex);
  const auto& sizes = mappings().sizes;
  auto after = sizes.upper_bound(bytes.data());
  if (after == sizes.begin()) return;
  const auto& [start, size] = *--after;
  const auto page = static_cast<size_t>(::sysconf(_SC_PAGESIZE));
  const auto from = static_cast<size_t>(bytes.data() - start), to = from + bytes.size();
  if (to > size) return;
  const size_t first = (from + page - 1) / page * page, last = to == size ? to : to / page * page;
  if (first < last) ::madvise(const_cast<char*>(start) + first, last - first, MADV_DONTNEED);
}

uint64_t available_memory() {
  std::ifstream lines("/proc/meminfo");
  for (std::string line; std::getline(lines, line);) {
    unsigned long long kilobytes = 0;
    if (std::sscanf(line.c_str(), "MemAvailable: %llu kB", &kilobytes) == 1) return uint64_t{kilobytes} << 10;
  }
  return 0;
}

}  // namespace tessera
