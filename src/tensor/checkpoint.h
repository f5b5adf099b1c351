// Checkpoints that survive a crash at any moment: one folder per step, seen under its final name only when all of it
// is on the disk. A folder is complete when every file that its DONE file lists is there with the size listed; files that
// it does not list do no harm. Whoever wants to know asks checkpoint_fault(). Stands on no LibTorch.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "core/files.h"

namespace tessera {

/// The folder `directory` with step-N folders in it. One writer at a time.
class CheckpointStore {
 public:
  /// Keeps the `keep` newest checkpoints (at least 1). Touches nothing until save().
  explicit CheckpointStore(Path directory, FileSystem& files = disk(), int64_t keep = 2);

  /// Calls `write` with an empty folder to fill (subfolders are fine), makes its files durable, and publishes it as
  /// step-N; then removes older ones and what crashes left. A step saved before is replaced.
  /// When anything fails, what was there before still loads, the part is removed, and the exception reaches the caller.
  void save(int64_t step, const std::function<void(const Path& folder, FileSystem& files)>& write);

  /// The complete checkpoint of the highest step; torn ones are skipped with a warning. Empty when there is none.
  std::optional<Path> latest() const;
  /// Of every complete checkpoint, rising.
  std::vector<int64_t> steps() const;
  /// The N of a folder named step-N.
  static int64_t step_of(const Path& checkpoint);

 private:
  struct Found {
    int64_t step;
    bool replaced;  // step-N.replaced: moved aside while a new step-N takes its name
    Path path;
  };
  std::vector<Found> folders() const;  // oldest first
  void publish(int64_t step, const Path& partial);
  void prune();
  void discard(const Path& folder);

  Path directory_;
  FileSystem* files_;
  size_t keep_;
};

/// Why a folder is not a complete checkpoint; empty when it is one.
std::string checkpoint_fault(const Path& folder);

}  // namespace tessera
