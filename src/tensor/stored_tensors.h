// The tensors of one safetensors file, or of all shards of a model directory, under one roof.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "tensor/safetensors.h"

namespace tessera {

/// Where the weights of a model directory are: model.safetensors, or the shards that model.safetensors.index.json
/// names. Throws UserError when there are none, or when the index is wrong.
std::vector<Path> weight_files(const Path& directory);
/// Whether the directory itself holds weights.
bool holds_weights(const Path& directory);

class StoredTensors {
 public:
  /// `path`: a .safetensors file, a .safetensors.index.json file, or a directory that holds either.
  /// Throws UserError for unsound files, shards that are missing, and an index that its shards do not agree with.
  explicit StoredTensors(const Path& path);
  StoredTensors(StoredTensors&&) = default;
  /// Several under one roof, each tensor under the name that `rename` makes of its own; "" leaves it out.
  static StoredTensors joined(std::vector<StoredTensors> parts,
                              const std::function<std::string(size_t part, std::string_view name)>& rename);

  /// One stored tensor; `bytes` live as long as this object.
  struct Item {
    const TensorEntry* entry;
    std::string_view bytes;
  };
  /// By name.
  const std::map<std::string, Item, std::less<>>& items() const { return items_; }
  const Item* find(std::string_view name) const;
  /// Of the first file.
  const std::map<std::string, std::string>& metadata() const { return files_.front().metadata(); }
  const std::vector<SafetensorsFile>& files() const { return files_; }

 private:
  StoredTensors() = default;
  std::vector<SafetensorsFile> files_;
  std::map<std::string, Item, std::less<>> items_;
};

}  // namespace tessera
