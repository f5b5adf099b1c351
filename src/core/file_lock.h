// A folder that one process at a time may work in.
#pragma once

#include "core/files.h"

namespace tessera {

/// Holds `path`, a file that names the holder, until it ends; the system lets go of it when the process dies, however it dies. Where a file
/// system knows no locks, nothing is held.
class FileLock {
 public:
  /// Throws UserError with the process and machine that hold it already; `what` says what is held ("runs/a").
  FileLock(const Path& path, std::string_view module, std::string_view what);
  ~FileLock();
  FileLock(const FileLock&) = delete;
  FileLock& operator=(const FileLock&) = delete;

 private:
  Path path_;
  int fd_ = -1;
};

}  // namespace tessera
