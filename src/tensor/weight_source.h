// Where weights come from: the named tensors of files in whatever format, under the names that a module has for them.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/json.h"
#include "tensor/safetensors.h"

namespace tessera {

/// One tensor of a file.
struct StoredTensor {
  std::string name;          // as the file has it
  Dtype dtype = Dtype::f32;  // of its numbers
  std::string blocks;        // the packed format that `bytes` are in, where they are no plain numbers of `dtype`
  std::vector<int64_t> shape;
  std::string_view bytes;             // in the mapped file; not necessarily aligned
  std::shared_ptr<const void> owner;  // what keeps `bytes` alive
};

/// What a reader finds in one file.
struct StoredFile {
  std::vector<StoredTensor> tensors;
  Json metadata = Json::object();
  std::vector<Path> parts = {};  // all files of a model that was split, this one among them; empty when it was not
};

/// A format of files. Which one a file has is decided by its content, never by its name.
struct WeightFormat {
  std::string_view name;
  bool (*recognises)(std::string_view bytes);
  /// Tensors are views of `bytes`, the whole file; a tensor without an owner is given the mapped file. `source` names the file.
  /// Throws UserError for an unsound file.
  StoredFile (*read)(std::string_view bytes, std::string_view source);
};
/// The formats in the order in which they are asked. A further format is an entry here.
std::vector<WeightFormat>& weight_formats();

/// One file, by its content: its map and what its format's reader finds in it. Throws UserError for an unsound one.
StoredFile read_weight_file(const Path& file);

/// The module's name of a stored tensor; "" when the module has no use for it.
using NameMap = std::function<std::string(std::string_view stored)>;

/// Copies are cheap: they share the mapped files, which stay mapped while any tensor of them is in use.
class WeightSource {
 public:
  /// `path`: a file of weights (any part of a split GGUF stands for all), an index of shards (.index.json), or a directory that holds
  /// either. Throws UserError for unsound files, shards that are missing, and an index that its shards do not agree with.
  explicit WeightSource(const Path& path);

  /// By the module's names.
  const std::map<std::string, StoredTensor, std::less<>>& tensors() const { return tensors_; }
  /// Null when there is no such tensor.
  const StoredTensor* find(std::string_view name) const;
  /// Of the first file.
  const Json& metadata() const { return metadata_; }
  /// What was opened, for messages.
  const Path& path() const { return path_; }

  /// The same tensors under other names. Throws UserError when two get the same one.
  WeightSource renamed(const NameMap& map) const;
  /// The same names with other tensors.
  WeightSource changed(const std::function<StoredTensor(const StoredTensor&)>& change) const;
  /// Those whose names begin with `prefix`, without it.
  WeightSource part(std::string_view prefix) const;
  /// The tensors of several files or directories as those of `path`. Throws UserError for a name that two have.
  static WeightSource joined(const Path& path, const std::vector<WeightSource>& parts);

 private:
  WeightSource() = default;
  Path path_;
  std::map<std::string, StoredTensor, std::less<>> tensors_;
  Json metadata_ = Json::object();
};

/// Where the weights of a model directory are: model.safetensors, the shards that model.safetensors.index.json names, or pytorch_model.bin
/// or its shards. Throws UserError when there are none, or when the index is wrong.
std::vector<Path> weight_files(const Path& directory);
/// adapter_model.safetensors or adapter_model.bin of a PEFT directory. Throws UserError when there is neither.
Path adapter_weight_file(const Path& directory);
/// Whether the directory itself holds weights.
bool holds_weights(const Path& directory);

}  // namespace tessera
