// A folder for one test, removed when the test is over.
#pragma once

#include <cstdlib>
#include <filesystem>
#include <stdexcept>
#include <string>

namespace tessera::testing {

class ScratchFolder {
 public:
  enum class On { disk, memory };

  /// In memory (where the system has a file system there), thousands of small files take no time.
  explicit ScratchFolder(On on = On::disk) {
    const std::filesystem::path memory = "/dev/shm";
    const bool in_memory = on == On::memory && std::filesystem::is_directory(memory);
    std::string name = ((in_memory ? memory : std::filesystem::temp_directory_path()) / "tessera-test-XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) throw std::runtime_error("cannot make a folder for this test");
    path_ = name;
  }
  ~ScratchFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  ScratchFolder(const ScratchFolder&) = delete;
  ScratchFolder& operator=(const ScratchFolder&) = delete;

  const std::filesystem::path& path() const { return path_; }
  std::filesystem::path operator/(const std::filesystem::path& name) const { return path_ / name; }

 private:
  std::filesystem::path path_;
};

}  // namespace tessera::testing
