// Finding the files that hold a model's tensors, opening each by its content, and naming what is in them.
#include "tensor/weight_source.h"

#include <cinttypes>
#include <cstdio>
#include <cstring>
#include <set>

#include "core/error.h"
#include "core/json.h"
#include "core/placeholder.h"
#include "tensor/gguf.h"
#include "tensor/torch_file.h"

namespace tessera {

namespace fs = std::filesystem;

namespace {
constexpr std::string_view single_name = "model.safetensors";
constexpr std::string_view index_name = "model.safetensors.index.json";

using WeightMap = std::map<std::string, std::string>;  // tensor -> file name beside the index

WeightMap read_index(const Path& index) {
  const Json tree = read_json_file(index);
  if (!tree.is_object() || !tree.contains("weight_map") || !tree["weight_map"].is_object()) {
    throw UserError("[weights] {}: no 'weight_map' of tensor names to file names", index.string());
  }
  WeightMap map;
  for (const auto& [name, file] : tree["weight_map"].items()) {
    // A shard lies beside its index: a path that leads elsewhere is not followed.
    const bool plain = file.is_string() && !file.get<std::string>().empty() &&
                       Path(file.get<std::string>()).filename() == file.get<std::string>() &&
                       file.get<std::string>() != "..";
    if (!plain)
      throw UserError("[weights] {}: tensor '{}' is in {}, want the name of a file beside the index", index.string(),
                      name, file.dump());
    map[name] = file.get<std::string>();
  }
  if (map.empty()) throw UserError("[weights] {}: 'weight_map' is empty", index.string());
  return map;
}

std::vector<Path> shards(const Path& index, const WeightMap& map) {
  std::set<std::string> names;
  for (const auto& [tensor, file] : map) names.insert(file);
  std::vector<Path> paths;
  for (const std::string& name : names) {
    paths.push_back(index.parent_path() / name);
    if (!fs::exists(paths.back())) throw UserError("[weights] {}: shard {} is missing", index.string(), name);
  }
  return paths;
}

/// Of a split GGUF, whose first part says how many tensors there are in all.
void require_count(const Json& metadata, size_t found, const Path& file) {
  const auto count = metadata.find("split.tensors.count");
  if (count == metadata.end() || !count->is_number_integer() || *count == found) return;
  throw UserError("[weights] {}: its parts hold {} tensors, want {}", file.string(), found, count->dump());
}

bool is_index(const Path& path) { return path.string().ends_with(".index.json"); }

/// "model-00002-of-00003.safetensors": which shard of how many.
std::optional<std::pair<int64_t, int64_t>> shard_number(const std::string& name) {
  int64_t number = 0, count = 0;
  int end = 0;
  const int found =
      std::sscanf(name.c_str(), "model-%5" SCNd64 "-of-%5" SCNd64 ".safetensors%n", &number, &count, &end);
  if (found != 2 || static_cast<size_t>(end) != name.size() || number < 1 || number > count) return std::nullopt;
  return std::pair(number, count);
}

/// The shards of a directory without an index, by their numbers; none where there are none. Throws UserError when one is missing.
std::vector<Path> numbered_shards(const Path& directory) {
  std::map<int64_t, Path> found;
  int64_t count = 0;
  for (const auto& entry : fs::directory_iterator(directory)) {
    const auto number = shard_number(entry.path().filename().string());
    if (!number) continue;
    if (count != 0 && number->second != count)
      throw UserError("[weights] {} holds shards of {} and of {} without an index that says which belong together",
                      directory.string(), count, number->second);
    found[number->first] = entry.path();
    count = number->second;
  }
  std::vector<Path> paths;
  for (int64_t i = 1; i <= count; ++i) {
    if (!found.contains(i)) throw UserError("[weights] {}: shard {} of {} is missing", directory.string(), i, count);
    paths.push_back(found[i]);
  }
  return paths;
}

/// The file to open: `path` itself, or the single file, the index or the first shard in the directory `path`.
Path entrance(const Path& path) {
  if (!fs::exists(path)) throw UserError("[weights] {} does not exist", path.string());
  if (!fs::is_directory(path)) return path;
  if (fs::exists(path / single_name)) return path / single_name;
  if (fs::exists(path / index_name)) return path / index_name;
  if (const std::vector<Path> numbered = numbered_shards(path); !numbered.empty()) return numbered.front();
  for (const char* pickled : {"pytorch_model.bin", "pytorch_model.bin.index.json"}) {
    if (fs::exists(path / pickled)) return path / pickled;
  }
  throw UserError("[weights] {} holds no weights, want {}, {} or pytorch_model.bin", path.string(), single_name,
                  index_name);
}

StoredFile read_gguf(std::string_view bytes, std::string_view source) {
  GgufFile file = parse_gguf(bytes, source);
  std::vector<Path> parts = gguf_parts(Path(source), file);
  if (parts.size() == 1) parts.clear();
  return {.tensors = std::move(file.tensors), .metadata = gguf_json(file), .parts = std::move(parts)};
}

bool begins_like_safetensors(std::string_view bytes) {
  uint64_t length = 0;
  if (bytes.size() <= sizeof length) return false;
  std::memcpy(&length, bytes.data(), sizeof length);
  return length <= bytes.size() && bytes[sizeof length] == '{';
}

/// Says what a file that begins like no format claims to be by its name.
void refuse_other_format(std::string_view source) {
  const std::string ending = Path(source).extension().string();
  if (ending == ".gguf")
    throw UserError("[weights] {} is no GGUF file: it does not begin with \"GGUF\"; fetch it again", source);
  for (const char* torch : {".pth", ".pt", ".bin", ".ckpt"}) {
    if (ending == torch)
      throw UserError("[weights] {} is no file of torch.save: it is neither a zip archive nor a pickle; fetch it again",
                      source);
  }
}

StoredFile read_safetensors(std::string_view bytes, std::string_view source) {
  if (!begins_like_safetensors(bytes)) refuse_other_format(source);
  const SafetensorsHeader header = parse_safetensors(bytes, source);
  StoredFile file{.metadata = header.metadata};
  for (const TensorEntry& entry : header.entries) {
    file.tensors.push_back({.name = entry.name,
                            .dtype = entry.dtype,
                            .shape = entry.shape,
                            .bytes = bytes.substr(header.header_end + entry.begin, entry.end - entry.begin)});
  }
  return file;
}
}  // namespace

std::vector<WeightFormat>& weight_formats() {
  // Safetensors have no magic number. They come last and take what no other format knows; their reader says what is wrong.
  static std::vector<WeightFormat> all = {{"gguf", is_gguf, read_gguf},
                                          {"torch", is_torch, read_torch},
                                          {"safetensors", [](std::string_view) { return true; }, read_safetensors}};
  return all;
}

StoredFile read_weight_file(const Path& path) {
  const auto map = std::make_shared<const MappedFile>(path);
  refuse_placeholder(map->bytes(), path.string(), "weights");
  for (const WeightFormat& format : weight_formats()) {
    if (!format.recognises(map->bytes())) continue;
    StoredFile file = format.read(map->bytes(), path.string());
    for (StoredTensor& tensor : file.tensors) {
      if (tensor.owner == nullptr) tensor.owner = map;
    }
    return file;
  }
  throw UserError("[weights] {} is in no format that is known here", path.string());
}

std::vector<Path> weight_files(const Path& directory) {
  const Path file = entrance(directory);
  if (is_index(file)) return shards(file, read_index(file));
  return fs::is_directory(directory) && shard_number(file.filename().string()) ? numbered_shards(directory)
                                                                               : std::vector<Path>{file};
}

Path adapter_weight_file(const Path& directory) {
  for (const char* name : {"adapter_model.safetensors", "adapter_model.bin"}) {
    if (fs::exists(directory / name)) return directory / name;
  }
  throw UserError("[weights] {} holds no adapter_model.safetensors and no adapter_model.bin", directory.string());
}

bool holds_weights(const Path& directory) {
  return fs::exists(directory / single_name) || fs::exists(directory / index_name) ||
         fs::exists(directory / "pytorch_model.bin") || fs::exists(directory / "pytorch_model.bin.index.json") ||
         !numbered_shards(directory).empty();
}

const StoredTensor* WeightSource::find(std::string_view name) const {
  const auto found = tensors_.find(name);
  return found == tensors_.end() ? nullptr : &found->second;
}

WeightSource::WeightSource(const Path& path) : path_(path) {
  const Path file = entrance(path);
  const WeightMap map = is_index(file) ? read_index(file) : WeightMap{};
  std::vector<Path> files = is_index(file)           ? shards(file, map)
                            : fs::is_directory(path) ? weight_files(path)
                                                     : std::vector<Path>{file};
  for (size_t i = 0; i < files.size(); ++i) {
    StoredFile stored = read_weight_file(files[i]);
    if (i == 0 && !stored.parts.empty() && files.front() != stored.parts.front()) {
      files = std::move(stored.parts);  // a later part was named: begin at the first
      stored = read_weight_file(files.front());
    }
    if (i == 0) {
      metadata_ = std::move(stored.metadata);
      if (!stored.parts.empty()) files = std::move(stored.parts);
    }
    for (StoredTensor& tensor : stored.tensors) {
      const auto listed = map.find(tensor.name);
      const bool wanted = !is_index(file) || (listed != map.end() && listed->second == files[i].filename());
      if (!wanted) continue;
      std::string name = tensor.name;
      if (!is_index(file) && tensors_.contains(name))
        throw UserError("[weights] {}: a second tensor '{}'", files[i].string(), name);
      tensors_[std::move(name)] = std::move(tensor);
    }
  }
  require_count(metadata_, tensors_.size(), file);
  for (const auto& [name, shard] : map) {
    if (!tensors_.contains(name))
      throw UserError("[weights] {}: tensor '{}' is not in {}, where the index puts it", file.string(), name, shard);
  }
}

WeightSource WeightSource::renamed(const NameMap& map) const {
  WeightSource all;
  all.path_ = path_;
  all.metadata_ = metadata_;
  for (const auto& [old, tensor] : tensors_) {
    std::string name = map(old);
    if (name.empty()) continue;
    const auto [place, fresh] = all.tensors_.emplace(std::move(name), tensor);
    if (!fresh)
      throw UserError("[weights] {}: tensors '{}' and '{}' are both '{}'", path_.string(), place->second.name,
                      tensor.name, place->first);
  }
  return all;
}

WeightSource WeightSource::changed(const std::function<StoredTensor(const StoredTensor&)>& change) const {
  WeightSource all = *this;
  for (auto& [name, tensor] : all.tensors_) tensor = change(tensor);
  return all;
}

WeightSource WeightSource::part(std::string_view prefix) const {
  return renamed([&](std::string_view name) {
    return name.starts_with(prefix) ? std::string(name.substr(prefix.size())) : std::string();
  });
}

WeightSource WeightSource::joined(const Path& path, const std::vector<WeightSource>& parts) {
  WeightSource all;
  all.path_ = path;
  for (const WeightSource& part : parts) {
    for (const auto& [name, tensor] : part.tensors_) {
      if (!all.tensors_.emplace(name, tensor).second)
        throw UserError("[weights] {}: a second tensor '{}'", part.path_.string(), name);
    }
  }
  return all;
}

}  // namespace tessera
