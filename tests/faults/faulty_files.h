// A disk that fails on purpose: the n-th operation fails or cuts the power, or the space runs out. It writes to a real
// folder and promises what POSIX does and no more: bytes last when their file was synced, names when their folder was.
#pragma once

#include <cstdint>
#include <limits>
#include <map>
#include <vector>

#include "core/files.h"
#include "core/rng.h"

namespace tessera::testing {

/// Thrown where the power fails. It is derived from no exception class, so that no handler catches it.
struct PowerCut {};

/// What a crash takes of the things that were not synced.
enum class Loss {
  nothing,     // the process died, the kernel did not (kill -9)
  bytes,       // names are there, their bytes are not: files are short
  names,       // creations, renames and removals never happened; bytes are there
  everything,  // both
  some,        // any part of both, chosen by the seed; lost bytes may also read as zeros
};
constexpr Loss all_losses[] = {Loss::nothing, Loss::bytes, Loss::names, Loss::everything, Loss::some};

constexpr int64_t never = std::numeric_limits<int64_t>::max();

struct FaultPlan {
  int64_t cut_at = never;     // this operation is torn, and the power is off from then on; the first one is 0
  int64_t fail_at = never;    // this operation throws FaultError (appends: after half of the bytes)
  int64_t fail_until = 0;     // and so do the next ones before this
  uint64_t capacity = ~0ull;  // bytes of all files together; beyond it, appends throw FaultError
};

class FaultyFiles final : public FileSystem {
 public:
  /// `root` exists; only paths below it may be used.
  explicit FaultyFiles(Path root, FaultPlan plan = {});
  ~FaultyFiles() override;

  /// Number of operations so far.
  int64_t operations() const { return operations_; }
  /// Starts counting from 0 with another plan; what is not synced stays so.
  void set_plan(FaultPlan plan);
  /// The crash: the folder becomes what the disk holds afterwards, and the power is on again.
  void crash(Loss loss, uint64_t seed = 0);

  std::unique_ptr<WritableFile> create(const Path& path) override;
  std::unique_ptr<WritableFile> open_append(const Path& path) override;
  void rename(const Path& from, const Path& to) override;
  void remove_all(const Path& path) override;
  void create_directories(const Path& path) override;
  void sync_directory(const Path& directory) override;
  void truncate(const Path& path, uint64_t bytes) override;

 private:
  friend class FaultyFile;
  struct Bytes {
    uint64_t written, synced;
  };
  /// A change of names in `folder` that is not durable. `at`: where the thing is now; `from`: its former name, empty
  /// when it was created; `replaced`: what had the name before a rename. Removed things are kept in the attic.
  struct Change {
    Path folder, at, from, replaced;
  };

  bool begin(std::string_view action, const Path& path, bool tears = false);
  void append(const Path& path, WritableFile& file, std::string_view bytes);
  void move(const Path& from, const Path& to);
  Path to_attic(const Path& path);
  void remove(const Path& path);
  void undo(const Change& change, Loss loss, Rng& rng);
  void lose_bytes(Loss loss, Rng& rng);
  uint64_t room() const;

  Path root_, attic_;
  FaultPlan plan_;
  int64_t operations_ = 0;
  bool power_ = true;
  uint64_t removed_ = 0;  // names in the attic
  std::map<Path, Bytes> bytes_;
  std::vector<Change> changes_;  // oldest first
};

}  // namespace tessera::testing
