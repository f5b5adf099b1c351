// Finding, opening and joining the files that hold a model's tensors.
#include "tensor/stored_tensors.h"

#include <set>

#include "core/error.h"
#include "core/json.h"

namespace tessera {

namespace fs = std::filesystem;

namespace {
constexpr std::string_view single_name = "model.safetensors";
constexpr std::string_view index_name = "model.safetensors.index.json";

using WeightMap = std::map<std::string, std::string>;  // tensor -> file name beside the index

WeightMap read_index(const Path& index) {
  const Json tree = read_json_file(index);
  if (!tree.is_object() || !tree.contains("weight_map") || !tree["weight_map"].is_object()) {
    throw UserError("[safetensors] {}: no 'weight_map' of tensor names to file names", index.string());
  }
  WeightMap map;
  for (const auto& [name, file] : tree["weight_map"].items()) {
    // A shard lies beside its index: a path that leads elsewhere is not followed.
    const bool plain = file.is_string() && !file.get<std::string>().empty() &&
                       Path(file.get<std::string>()).filename() == file.get<std::string>() &&
                       file.get<std::string>() != "..";
    if (!plain)
      throw UserError("[safetensors] {}: tensor '{}' is in {}, want the name of a file beside the index",
                      index.string(), name, file.dump());
    map[name] = file.get<std::string>();
  }
  if (map.empty()) throw UserError("[safetensors] {}: 'weight_map' is empty", index.string());
  return map;
}

std::vector<Path> shards(const Path& index, const WeightMap& map) {
  std::set<std::string> names;
  for (const auto& [tensor, file] : map) names.insert(file);
  std::vector<Path> paths;
  for (const std::string& name : names) {
    paths.push_back(index.parent_path() / name);
    if (!fs::exists(paths.back())) throw UserError("[safetensors] {}: shard {} is missing", index.string(), name);
  }
  return paths;
}

bool is_index(const Path& path) { return path.string().ends_with(".index.json"); }

/// The file to open: `path` itself, or the single file or index in the directory `path`.
Path entrance(const Path& path) {
  if (!fs::exists(path)) throw UserError("[safetensors] {} does not exist", path.string());
  if (!fs::is_directory(path)) return path;
  if (fs::exists(path / single_name)) return path / single_name;
  if (fs::exists(path / index_name)) return path / index_name;
  if (fs::exists(path / "pytorch_model.bin") || fs::exists(path / "pytorch_model.bin.index.json")) {
    throw UserError("[safetensors] {} holds pickled weights (pytorch_model.bin), want {}; convert them first",
                    path.string(), single_name);
  }
  throw UserError("[safetensors] {} holds no weights, want {} or {}", path.string(), single_name, index_name);
}
}  // namespace

std::vector<Path> weight_files(const Path& directory) {
  const Path file = entrance(directory);
  return is_index(file) ? shards(file, read_index(file)) : std::vector<Path>{file};
}

bool holds_weights(const Path& directory) {
  return fs::exists(directory / single_name) || fs::exists(directory / index_name);
}

StoredTensors::StoredTensors(const Path& path) {
  const Path file = entrance(path);
  const WeightMap map = is_index(file) ? read_index(file) : WeightMap{};
  for (const Path& shard : is_index(file) ? shards(file, map) : std::vector<Path>{file}) files_.emplace_back(shard);
  for (const SafetensorsFile& opened : files_) {
    for (const TensorEntry& entry : opened.entries()) {
      const auto listed = map.find(entry.name);
      const bool wanted = !is_index(file) || (listed != map.end() && listed->second == opened.path().filename());
      if (wanted) items_[entry.name] = {&entry, opened.bytes(entry)};
    }
  }
  for (const auto& [name, shard] : map) {
    if (!items_.contains(name))
      throw UserError("[safetensors] {}: tensor '{}' is not in {}, where the index puts it", file.string(), name,
                      shard);
  }
}

StoredTensors StoredTensors::joined(std::vector<StoredTensors> parts,
                                    const std::function<std::string(size_t part, std::string_view name)>& rename) {
  StoredTensors all;
  for (size_t part = 0; part < parts.size(); ++part) {
    for (const auto& [own, item] : parts[part].items_) {
      const std::string name = rename(part, own);
      if (!name.empty() && !all.items_.emplace(name, item).second)
        throw UserError("[safetensors] {}: a second tensor '{}'", parts[part].files_.front().path().string(), name);
    }
    for (SafetensorsFile& file : parts[part].files_)
      all.files_.push_back(std::move(file));  // entries keep their places
  }
  return all;
}

const StoredTensors::Item* StoredTensors::find(std::string_view name) const {
  const auto found = items_.find(name);
  return found == items_.end() ? nullptr : &found->second;
}

}  // namespace tessera
