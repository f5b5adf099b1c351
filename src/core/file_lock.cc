// flock() on the file; whoever holds it may remove it, so that what was opened must still be what the name leads to.
#include "core/file_lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "core/error.h"

namespace tessera {

namespace {

bool is_still(int fd, const Path& path) {
  struct stat opened {
  }, named{};
  return ::fstat(fd, &opened) == 0 && ::stat(path.c_str(), &named) == 0 && opened.st_ino == named.st_ino &&
         opened.st_dev == named.st_dev;
}

std::string this_process() {
  std::array<char, 256> host{};
  ::gethostname(host.data(), host.size() - 1);
  return fmt::format("process {} on {}", ::getpid(), host.data());
}

/// What the holder has written; it may be writing still.
std::string holder(int fd) {
  std::array<char, 400> text{};
  const ssize_t count = ::pread(fd, text.data(), text.size() - 1, 0);
  return count > 0 ? std::string(text.data(), static_cast<size_t>(count)) : "another process";
}

}  // namespace

FileLock::FileLock(const Path& path, std::string_view module, std::string_view what) : path_(path) {
  while (true) {
    fd_ = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    if (fd_ < 0) throw UserError("[{}] cannot write {}: {}", module, path.string(), std::strerror(errno));
    if (::flock(fd_, LOCK_EX | LOCK_NB) != 0) {
      if (errno != EWOULDBLOCK) return;
      const std::string by = holder(fd_);
      ::close(fd_);
      throw UserError("[{}] {} is in use by {}; wait until it ends, or stop it first", module, what, by);
    }
    if (is_still(fd_, path)) break;
    ::close(fd_);
  }
  const std::string name = this_process();
  if (::ftruncate(fd_, 0) == 0) [[maybe_unused]]
    const ssize_t written = ::pwrite(fd_, name.data(), name.size(), 0);
}

FileLock::~FileLock() {
  ::unlink(path_.c_str());
  ::close(fd_);
}

}  // namespace tessera
