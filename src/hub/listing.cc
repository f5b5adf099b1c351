// Reads listings, checks their names and chooses among them.
#include "hub/listing.h"

#include <fnmatch.h>

#include <algorithm>
#include <map>
#include <regex>
#include <set>

#include <fmt/ranges.h>

#include "core/error.h"
#include "core/json.h"

namespace tessera::hub {

namespace {

constexpr size_t longest_part = 200;  // of a path, in bytes; what is written beside a file has a longer name
constexpr size_t longest_path = 1000;
constexpr int64_t most_bytes = int64_t{1} << 50;
constexpr size_t most_files = 200'000;

using Patterns = std::vector<std::string>;

/// What no model is read from where there are safetensors or GGUF.
const Patterns foreign_weights = {
    "*.bin",  "*.pt",        "*.pth",    "*.ckpt",     "*.h5",          "*.msgpack",  "*.ot",
    "*.onnx", "*.onnx_data", "*.tflite", "*.mlmodel",  "*.mlpackage/*", "*.keras",    "*.pkl",
    "*.npz",  "*.llamafile", "onnx/*",   "openvino/*", "coreml/*",      "original/*", "*.bin.index.json"};
const Patterns beside_safetensors = {"*.gguf", "consolidated*.safetensors", "consolidated.safetensors.index.json"};
const Patterns other_frameworks = {"*.h5",     "*.msgpack", "*.ot",       "*.onnx",  "*.onnx_data",
                                   "*.tflite", "onnx/*",    "openvino/*", "coreml/*"};

bool matches(const std::string& path, const Patterns& patterns) {
  return std::any_of(patterns.begin(), patterns.end(), [&](const std::string& pattern) {
    return ::fnmatch((pattern.ends_with('/') ? pattern + "*" : pattern).c_str(), path.c_str(), 0) == 0;
  });
}

/// Printable: what a message may show of a foreign name.
std::string shown(std::string_view path) {
  std::string text = Json(std::string(path.substr(0, 120))).dump(-1, ' ', true, Json::error_handler_t::replace);
  return path.size() > 120 ? text + "..." : text;
}

/// Why a path of a listing is refused; "" when it is not.
std::string fault_of(std::string_view path) {
  if (path.empty()) return "empty";
  if (path.front() == '/') return "absolute";
  if (path.size() > longest_path) return "too long";
  const auto control = [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; };
  if (std::any_of(path.begin(), path.end(), control)) return "with control characters";
  for (size_t begin = 0; begin <= path.size();) {
    const size_t end = std::min(path.find('/', begin), path.size());
    const std::string_view part = path.substr(begin, end - begin);
    if (part.empty() || part == "." || part == "..") return "leading elsewhere";
    if (part.size() > longest_part) return "too long";
    begin = end + 1;
  }
  return "";
}

bool is_hash(const std::string& text, size_t digits) {
  const auto digit = [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); };
  return text.size() == digits && std::all_of(text.begin(), text.end(), digit);
}

std::string text_at(const Json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_string() ? found->get<std::string>() : "";
}

RemoteFile file_of(const Json& entry) {
  RemoteFile file{.path = text_at(entry, "path")};
  if (const std::string fault = fault_of(file.path); !fault.empty())
    throw FaultError("[pull] the listing holds a name that is {}: {}; nothing of it is taken", fault, shown(file.path));
  const auto lfs = entry.find("lfs");
  const bool large = lfs != entry.end() && lfs->is_object();
  const Json& described = large ? *lfs : entry;
  const auto size = described.find("size");
  file.hash = text_at(described, "oid");
  if (large && file.hash.starts_with("sha256:")) file.hash.erase(0, 7);
  if (!is_hash(file.hash, large ? 64 : 40))
    throw FaultError("[pull] the listing gives {} the hash {}, want {} hexadecimal digits", shown(file.path),
                     shown(file.hash), large ? 64 : 40);
  if (size == described.end() || !size->is_number_unsigned() || size->get<uint64_t>() > most_bytes)
    throw FaultError("[pull] the listing gives {} no size in bytes that a file can have", shown(file.path));
  file.bytes = size->get<int64_t>();
  return file;
}

/// The models among the GGUF files: parts of one ("-00001-of-00003") count once.
std::map<std::string, int64_t> gguf_models(const std::vector<RemoteFile>& files) {
  static const std::regex part(R"(-\d{5}-of-\d{5}\.gguf$)");
  std::map<std::string, int64_t> models;
  for (const RemoteFile& file : files) {
    if (file.path.ends_with(".gguf")) models[std::regex_replace(file.path, part, "")] += file.bytes;
  }
  return models;
}

bool has(const std::vector<RemoteFile>& files, std::string_view ending) {
  return std::any_of(files.begin(), files.end(), [&](const RemoteFile& f) { return f.path.ends_with(ending); });
}

/// What is left out when nobody says what to take.
Patterns second_copies(const std::vector<RemoteFile>& files, std::string_view repository) {
  Patterns skipped = foreign_weights;
  if (has(files, ".safetensors")) {
    const auto named_as_usual = [](const RemoteFile& f) { return f.path.starts_with("model"); };
    const bool usual = std::any_of(files.begin(), files.end(), named_as_usual);
    skipped.insert(skipped.end(), beside_safetensors.begin(), beside_safetensors.begin() + (usual ? 3 : 1));
    return skipped;
  }
  const auto models = gguf_models(files);
  if (models.empty()) return other_frameworks;
  if (models.size() == 1) return skipped;
  std::vector<std::string> names;
  for (const auto& [name, bytes] : models)
    names.push_back(fmt::format("{} ({:.1f} GB)", shown(name), static_cast<double>(bytes) / 1e9));
  throw UserError("[pull] {} holds {} models, want one, as in --include '*Q4_K_M*': {}", repository, names.size(),
                  fmt::join(names, ", "));
}

}  // namespace

void read_tree_page(std::string_view text, std::vector<RemoteFile>& files) {
  const Json page = Json::parse(text, nullptr, false);
  if (!page.is_array()) throw FaultError("[pull] the hub's listing is no JSON list; got {}", shown(text));
  for (const Json& entry : page) {
    if (!entry.is_object()) throw FaultError("[pull] the hub's listing holds {}, want files", shown(entry.dump()));
    if (text_at(entry, "type") == "directory") continue;
    files.push_back(file_of(entry));
    if (files.size() > most_files) throw FaultError("[pull] the hub lists more than {} files", most_files);
  }
}

void require_distinct_paths(const std::vector<RemoteFile>& files) {
  std::set<std::string_view> paths;
  for (const RemoteFile& file : files) {
    if (!paths.insert(file.path).second) throw FaultError("[pull] the listing holds {} twice", shown(file.path));
  }
  for (const RemoteFile& file : files) {
    const std::string_view path = file.path;
    for (size_t slash = path.find('/'); slash != path.npos; slash = path.find('/', slash + 1)) {
      if (paths.contains(path.substr(0, slash)))
        throw FaultError("[pull] the listing holds {} as a file and as the folder of {}", shown(path.substr(0, slash)),
                         shown(path));
    }
  }
}

Choice choose_files(const std::vector<RemoteFile>& files, const std::vector<std::string>& include,
                    const std::vector<std::string>& exclude, std::string_view repository) {
  const Patterns copies = include.empty() ? second_copies(files, repository) : Patterns();
  Choice choice;
  for (const RemoteFile& file : files) {
    const bool wanted = include.empty() ? !matches(file.path, copies) : matches(file.path, include);
    if (wanted && !matches(file.path, exclude)) choice.files.push_back(file);
    else choice.skipped.push_back(file.path);
  }
  if (!choice.files.empty()) return choice;
  if (files.empty()) throw UserError("[pull] {} is empty", repository);
  const size_t few = std::min<size_t>(choice.skipped.size(), 8);
  std::vector<std::string> names;
  for (size_t i = 0; i < few; ++i) names.push_back(shown(choice.skipped[i]));
  throw UserError("[pull] no file of {} matches what --include and --exclude say; it holds {}{}", repository,
                  fmt::join(names, ", "), choice.skipped.size() > few ? ", ..." : "");
}

}  // namespace tessera::hub
