// All writing goes through this small interface, so that tests can tear a write at any byte (tests/faults).
// A file appears under its final name only when it is complete.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace tessera {

using Path = std::filesystem::path;

/// A file being written. Errors throw FaultError that names the path and the system's reason.
class WritableFile {
 public:
  virtual ~WritableFile() = default;
  virtual void append(std::string_view bytes) = 0;
  /// Flushes to the disk itself (fsync).
  virtual void sync() = 0;
  virtual void close() = 0;
};

/// What Tessera asks of a file system when it writes.
class FileSystem {
 public:
  virtual ~FileSystem() = default;
  virtual std::unique_ptr<WritableFile> create(const Path& path) = 0;
  virtual std::unique_ptr<WritableFile> open_append(const Path& path) = 0;
  virtual void rename(const Path& from, const Path& to) = 0;
  virtual void remove_all(const Path& path) = 0;
  /// Makes what is missing of `path`; the new names are durable when it returns.
  virtual void create_directories(const Path& path) = 0;
  /// Makes renames inside `directory` durable.
  virtual void sync_directory(const Path& directory) = 0;
  virtual void truncate(const Path& path, uint64_t bytes) = 0;
};

/// The real disk.
FileSystem& disk();

/// Whole file as bytes. Throws UserError when it cannot be opened, FaultError when reading fails.
std::string read_file(const Path& path);
/// Writes beside `path`, syncs, renames over it: readers see the old bytes or the new ones, never a part.
/// When that fails, `path` is as it was and no part is left beside it. A link stays one: the file that it leads to is replaced. What is
/// no regular file (/dev/stdout, a FIFO) is written into.
void write_file_atomically(const Path& path, std::string_view bytes, FileSystem& files = disk());
/// The same for a file written piece by piece; `write` neither syncs nor closes.
void write_file_atomically(const Path& path, const std::function<void(WritableFile&)>& write,
                           FileSystem& files = disk());
/// Extensions of files of one kind, in small letters.
using FileKinds = std::vector<std::string_view>;
inline const FileKinds picture_files = {".png", ".jpg", ".jpeg", ".webp", ".gif"};
/// Whether the extension of `path`, large or small, is one of `kinds`.
bool is_of_kind(const Path& path, const FileKinds& kinds);
/// The files of `kinds` in a folder and the folders in it, in the order of their paths, which is the same on every machine;
/// of a path that is no folder, that path. Files and folders whose names begin with a dot are left out. A link to a file is that file;
/// a link to a folder is not followed, so that there are no loops. Throws UserError for what does not exist, for a folder that cannot be
/// read, and for one without such files.
/// `module` opens the message.
std::vector<Path> find_files(const Path& path, const FileKinds& kinds, std::string_view module);

/// Throws UserError when a file could not be created at `path` (missing parent that cannot be made, no permission,
/// a directory of that name). Leaves nothing behind. `module` opens the message.
void require_writable(const Path& path, std::string_view module);

/// A read-only memory map of a whole file. Throws UserError when it cannot be opened.
class MappedFile {
 public:
  explicit MappedFile(const Path& path);
  ~MappedFile();
  MappedFile(MappedFile&& other) noexcept;
  MappedFile& operator=(MappedFile&&) = delete;
  std::string_view bytes() const { return {data_, size_}; }

 private:
  const char* data_ = nullptr;
  size_t size_ = 0;
};

/// Says that these bytes of a MappedFile were read for the last time, as far as is known: the pages that lie whole among them
/// no longer count as this process's memory, and come from the file again when they are read after all. Does nothing for
/// bytes of which no MappedFile is alive.
void release_pages(std::string_view bytes);

/// Bytes of memory that can be had without swapping, pages of files that can be dropped included; 0 where the system does not say.
uint64_t available_memory();

}  // namespace tessera
