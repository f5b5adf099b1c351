// What makes a folder a model.
#include "tensor/model_dir.h"

#include <algorithm>

#include "core/error.h"
#include "core/placeholder.h"
#include "tensor/gguf.h"
#include "tensor/weight_source.h"

namespace tessera {

namespace fs = std::filesystem;

namespace {

constexpr const char* tokenizer_files[] = {
    "tokenizer.json",      "tokenizer_config.json", "tokenizer.model",         "spiece.model",
    "chat_template.jinja", "chat_template.json",    "special_tokens_map.json", "added_tokens.json"};

/// The directory's own weights; those of its parts (llm/, vision_tower/, ...) when it has none itself.
std::vector<Path> all_weight_files(const Path& directory) {
  std::vector<Path> parts, files;
  if (!holds_weights(directory)) {
    for (const auto& entry : fs::directory_iterator(directory)) {
      if (entry.is_directory() && fs::exists(entry.path() / "config.json") && holds_weights(entry.path()))
        parts.push_back(entry.path());
    }
  }
  if (parts.empty()) return weight_files(directory);
  std::sort(parts.begin(), parts.end());
  for (const Path& part : parts) {
    const std::vector<Path> own = weight_files(part);
    files.insert(files.end(), own.begin(), own.end());
  }
  return files;
}

ModelDirectory read_gguf_model(const Path& file) {
  const MappedFile map(file);
  refuse_placeholder(map.bytes(), file.string(), "model");
  if (!is_gguf(map.bytes()))
    throw UserError("[model] {} is a file, want a model directory or a GGUF file", file.string());
  GgufFile header = parse_gguf(map.bytes(), file.string());
  ModelDirectory model{.path = file, .weight_files = gguf_parts(file, header)};
  if (model.weight_files.front() != file) return read_gguf_model(model.weight_files.front());
  const GgufValue* architecture = header.find("general.architecture");
  if (architecture == nullptr || !architecture->text())
    throw UserError("[model] {}: no 'general.architecture', which says what kind of model this is", file.string());
  model.model_type = std::string(gguf_prefix) + std::string(*architecture->text());
  model.config = gguf_json(header);
  return model;
}

/// The GGUF file of a folder that is nothing else; absent where there is none. Throws UserError for several models, which it lists.
std::optional<Path> only_gguf(const Path& directory) {
  std::vector<Path> files;
  for (const auto& entry : fs::directory_iterator(directory)) {
    const std::string name = entry.path().filename().string();
    const bool later_part = name.find("-of-") != name.npos && name.find("-00001-of-") == name.npos;
    if (is_of_kind(entry.path(), {".gguf"}) && !entry.is_directory() && !later_part) files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  if (files.size() > 1) {
    std::string names;
    for (const Path& file : files) names += (names.empty() ? "" : ", ") + file.filename().string();
    throw UserError("[model] {} holds several models, name one of its files: {}", directory.string(), names);
  }
  return files.empty() ? std::nullopt : std::optional(files.front());
}

/// An adapter alone is no model: says how it is given.
void refuse_adapter(const Path& directory) {
  const Path config = directory / "adapter_config.json";
  if (!fs::exists(config)) return;
  const Json tree = read_json_file(config);
  const auto base = tree.is_object() ? tree.find("base_model_name_or_path") : tree.end();
  const bool named = base != tree.end() && base->is_string() && !base->get_ref<const std::string&>().empty();
  throw UserError(
      "[model] {} holds an adapter, not a model; give the model that it belongs to as -m {} and --adapter {}",
      directory.string(), named ? base->get<std::string>() : "BASE", directory.string());
}

}  // namespace

bool is_gguf_file(const Path& path) { return fs::is_regular_file(path) && is_gguf(MappedFile(path).bytes()); }

ModelDirectory read_model_directory(const Path& directory) {
  if (!fs::exists(directory))
    throw UserError("[model] {} does not exist, want a model directory or a GGUF file", directory.string());
  if (!fs::is_directory(directory)) return read_gguf_model(directory);
  if (fs::is_empty(directory)) throw UserError("[model] {} is empty, want a model directory", directory.string());
  ModelDirectory model{.path = directory};
  if (!fs::exists(model.config_path())) {
    if (const std::optional<Path> file = only_gguf(directory)) return read_gguf_model(*file);
  }
  if (!fs::exists(model.config_path())) refuse_adapter(directory);
  if (!fs::exists(model.config_path()))
    throw UserError("[model] {} has no config.json; it is not a model directory", directory.string());

  model.config = read_json_file(model.config_path());
  const auto type = model.config.is_object() ? model.config.find("model_type") : model.config.end();
  if (!model.config.is_object() || type == model.config.end() || !type->is_string()) {
    throw UserError("[model] {}: no 'model_type', which says what kind of model this is", model.config_path().string());
  }
  model.model_type = type->get<std::string>();
  model.weight_files = all_weight_files(directory);
  return model;
}

ModelNotes read_notes(const Path& model) {
  ModelNotes notes;
  std::error_code none;
  if (!std::filesystem::is_regular_file(model / "recipe.toml", none)) return notes;
  try {
    const Json recipe = read_toml_file(model / "recipe.toml");
    notes.knows = recipe.value("knows", std::string());
    notes.must_see = recipe.value("must_see", false);
  } catch (const std::exception&) {  // somebody's notes of another kind do not keep a model from being used
  }
  return notes;
}

void copy_tokenizer(const Path& from, const Path& to, FileSystem& files) {
  std::error_code error;
  if (std::filesystem::equivalent(from, to, error)) return;
  for (const char* name : tokenizer_files) {
    if (std::filesystem::exists(from / name)) write_file_atomically(to / name, read_file(from / name), files);
  }
}

}  // namespace tessera
