// The layout of huggingface_hub's cache, read only: models--ORG--NAME/{refs/REVISION, snapshots/COMMIT/FILE,
// blobs/HASH}.
#include "core/model_cache.h"

#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <vector>

#include <fmt/ranges.h>

#include "core/error.h"

namespace tessera {

namespace fs = std::filesystem;

namespace {

constexpr size_t longest_name = 96;  // of the hub, for ORG/NAME together

bool is_name_character(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '-' || c == '_' || c == '.';
}

/// An ORG or a NAME. "--" stands between the two in the cache, so that neither may hold it.
bool is_name(std::string_view text) {
  if (text.empty() || !std::all_of(text.begin(), text.end(), is_name_character)) return false;
  if (text.front() == '.' || text.front() == '-' || text.back() == '.' || text.back() == '-') return false;
  return text.find("--") == text.npos && text.find("..") == text.npos;
}

/// Parts between slashes, none of which is empty, begins with a dot or holds a control character.
bool stays_inside(std::string_view path) {
  for (size_t begin = 0; begin <= path.size();) {
    const size_t end = std::min(path.find('/', begin), path.size());
    const std::string_view part = path.substr(begin, end - begin);
    const auto control = [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; };
    if (part.empty() || part.front() == '.' || std::any_of(part.begin(), part.end(), control)) return false;
    begin = end + 1;
  }
  return true;
}

std::string environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

Path expanded(const std::string& path) {
  if (path != "~" && !path.starts_with("~/")) return path;
  return Path(environment("HOME")) / Path(path.substr(std::min<size_t>(path.size(), 2)));
}

/// The commit that `revision` stands for in a repository's folder; "" when it is not known.
std::string commit_of(const Path& folder, const std::string& revision) {
  if (is_commit(revision)) return revision;
  const Path ref = folder / "refs" / revision;
  std::error_code fault;
  if (!fs::is_regular_file(ref, fault)) return "";
  std::string commit = read_file(ref);
  while (!commit.empty() && std::isspace(static_cast<unsigned char>(commit.back())) != 0) commit.pop_back();
  return is_commit(commit) ? commit : "";
}

/// A folder of GGUF files is no model directory: its only file is the model.
Path model_in(const Path& snapshot, const ModelName& name) {
  if (fs::exists(snapshot / "config.json")) return snapshot;
  std::vector<Path> models;
  for (const auto& entry : fs::directory_iterator(snapshot)) {
    if (is_of_kind(entry.path(), {".gguf"})) models.push_back(entry.path());
  }
  if (models.size() == 1) return models.front();
  if (models.empty()) return snapshot;
  std::vector<std::string> names;
  names.reserve(models.size());
  for (const Path& model : models) names.push_back(name.repository + "/" + model.filename().string());
  std::sort(names.begin(), names.end());
  throw UserError("[model] {} holds {} GGUF files, want one: {}", name.repository, names.size(),
                  fmt::join(names, ", "));
}

/// Whether the first part of "a/b" is a folder here, or the one that recipes put their runs in.
bool is_likely_path(const Path& given) {
  std::error_code fault;
  return given.parent_path() == "runs" || fs::is_directory(given.parent_path(), fault);
}

}  // namespace

bool is_commit(std::string_view text) {
  const auto digit = [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); };
  return text.size() == 40 && std::all_of(text.begin(), text.end(), digit);
}

std::optional<ModelName> parse_model_name(std::string_view text) {
  ModelName name;
  if (const size_t at = text.find('@'); at != text.npos) {
    name.revision = text.substr(at + 1);
    text = text.substr(0, at);
  }
  const size_t slash = text.find('/');
  if (slash == text.npos) return std::nullopt;
  const size_t end = std::min(text.find('/', slash + 1), text.size());
  if (!is_name(text.substr(0, slash)) || !is_name(text.substr(slash + 1, end - slash - 1))) return std::nullopt;
  name.repository = text.substr(0, end);
  if (end < text.size()) {
    name.file = text.substr(end + 1);
    if (!stays_inside(name.file)) return std::nullopt;
  }
  if (name.repository.size() > longest_name || !stays_inside(name.revision)) return std::nullopt;
  return name;
}

Path hub_home() {
  if (const std::string home = environment("HF_HOME"); !home.empty()) return expanded(home);
  if (const std::string caches = environment("XDG_CACHE_HOME"); !caches.empty())
    return expanded(caches) / "huggingface";
  const std::string home = environment("HOME");
  return home.empty() ? Path() : Path(home) / ".cache" / "huggingface";
}

Path hub_cache() {
  for (const char* name : {"HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"}) {
    if (const std::string cache = environment(name); !cache.empty()) return expanded(cache);
  }
  const Path home = hub_home();
  return home.empty() ? home : home / "hub";
}

Path repository_folder(const Path& cache, std::string_view repository) {
  const size_t slash = repository.find('/');
  return cache / fmt::format("models--{}--{}", repository.substr(0, slash), repository.substr(slash + 1));
}

Path find_model(const Path& given) {
  std::error_code fault;
  if (fs::exists(given, fault)) return given;
  const std::optional<ModelName> name = parse_model_name(given.string());
  if (!name) return given;
  const Path cache = hub_cache();
  const Path folder = repository_folder(cache, name->repository);
  const std::string commit = cache.empty() ? "" : commit_of(folder, name->revision);
  const Path snapshot = folder / "snapshots" / commit;
  const bool cached = !commit.empty() && fs::is_directory(snapshot, fault);
  const std::string revision = name->revision == "main" ? "" : " --revision " + name->revision;
  if (cached && name->file.empty()) return model_in(snapshot, *name);
  if (cached && fs::exists(snapshot / name->file, fault)) return snapshot / name->file;
  if (cached) {
    throw UserError(
        "[model] {} is no path here, and {} in {} has no such file; `tessera pull {}{} --include '{}'` fetches it",
        given.string(), name->repository, cache.string(), name->repository, revision, name->file);
  }
  if (!name->file.empty() || is_likely_path(given)) return given;  // more likely a path with a slip in it
  throw UserError("[model] {} is neither a path here nor a model in {}; `tessera pull {}{}` fetches it", given.string(),
                  cache.empty() ? "a cache (set HF_HUB_CACHE)" : cache.string(), name->repository, revision);
}

}  // namespace tessera
