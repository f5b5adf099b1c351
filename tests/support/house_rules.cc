// The layers of ARCHITECTURE.md as a table, and text-level checks against it.
#include "tests/support/house_rules.h"

#include <algorithm>
#include <cctype>
#include <regex>
#include <set>
#include <sstream>
#include <string_view>
#include <utility>

namespace tessera::testing {

namespace {

/// Floor of each room; a room includes only rooms on lower floors.
const std::map<std::string, int> kFloors = {
    {"core", 1},   {"tensor", 2}, {"media", 2}, {"text", 2},  {"plan", 2},     {"hub", 2},
    {"nn", 3},     {"data", 3},   {"train", 4}, {"codec", 4}, {"generate", 4}, {"quant", 4},
    {"models", 5}, {"align", 6},  {"tune", 6},  {"eval", 6},  {"serve", 7},    {"apps", 8},
};

/// Neighbours on one floor that may look at each other, each with its reason.
const std::set<std::pair<std::string, std::string>> kSideways = {
    {"text", "tensor"},     // a GGUF file holds its tokenizer
    {"align", "tune"},      // each round trains by a recipe
    {"codec", "train"},     // the codec's objective is trained by the one loop
    {"generate", "codec"},  // the scale loop sums codes by the codec's own arithmetic
};

/// Models that other models are built upon.
const std::set<std::string> kBuiltUpon = {"lm"};

/// The list of models, which alone knows their names.
constexpr std::string_view kModelList = "src/models/registry.cc";

/// Files that may hold a model's name all the same, each with its reason.
const std::set<std::string> kMayNameModels = {
    "src/text/named_templates.cc",  // a publisher's chat template is called like the publisher's model
};

constexpr size_t kLongestFile = 400;  // lines

struct Include {
  std::string path;
  bool quoted = false;
};

std::vector<Include> includes_of(const std::string& text) {
  static const std::regex line_of_include(R"re(^[ \t]*#[ \t]*include[ \t]*(["<])([^">]+)[">])re");
  std::vector<Include> found;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    std::smatch match;
    if (line.find("include") != std::string::npos && std::regex_search(line, match, line_of_include)) {
      found.push_back({match[2], match[1] == "\""});
    }
  }
  return found;
}

bool begins_with(std::string_view text, std::string_view start) { return text.substr(0, start.size()) == start; }
bool ends_with(std::string_view text, std::string_view end) {
  return text.size() >= end.size() && text.substr(text.size() - end.size()) == end;
}
bool is_code(std::string_view path) { return ends_with(path, ".cc") || ends_with(path, ".h"); }

/// The part of `path` between slash number `from` and the next one: part("src/nn/rope.cc", 1) is "nn".
std::string part(const std::string& path, int from) {
  std::istringstream parts(path);
  std::string found;
  for (int at = 0; at <= from; ++at) {
    if (!std::getline(parts, found, '/')) return "";
  }
  return parts.eof() ? "" : found;  // the last part is a file, not a folder
}

/// Why a file of `from` may not include `to`; "" when it may.
std::string why_not(const std::string& from, const std::string& to) {
  const auto above = kFloors.find(from), below = kFloors.find(to);
  if (above == kFloors.end()) return "room '" + from + "' has no floor in tests/support/house_rules.cc";
  if (below == kFloors.end()) return "room '" + to + "' has no floor in tests/support/house_rules.cc";
  if (from == to || kSideways.count({from, to}) != 0) return "";
  if (from == "plan" && to != "core") return "plan/ stands on core/ alone";
  if (below->second > above->second) return "upward";
  if (below->second == above->second) return "sideways";
  return "";
}

/// Where `include` of `file` lies in `tree`; "" when it is no file of the repository.
std::string resolved(const SourceTree& tree, const Include& include) {
  for (const char* root : {"src/", ""}) {
    if (const auto found = tree.find(root + include.path); found != tree.end()) return found->first;
  }
  return "";
}

/// Words of every call `function(target ...)` in the CMakeLists.txt files, as repository paths.
std::set<std::string> listed_files(const SourceTree& tree, const std::string& call) {
  const std::regex pattern(call + R"(\s*([^)]*)\))");
  std::set<std::string> found;
  for (const auto& [path, text] : tree) {
    if (!ends_with(path, "CMakeLists.txt")) continue;
    const std::string folder = path.substr(0, path.size() - std::string_view("CMakeLists.txt").size());
    for (std::sregex_iterator match(text.begin(), text.end(), pattern), end; match != end; ++match) {
      std::istringstream words((*match)[1]);
      for (std::string word; words >> word;) {
        if (is_code(word)) found.insert(folder + word);
      }
    }
  }
  return found;
}

/// The chain of includes from `file` to a LibTorch header, or "".
std::string way_to_libtorch(const SourceTree& tree, const std::string& file, std::set<std::string>& seen) {
  if (!seen.insert(file).second) return "";
  for (const auto& include : includes_of(tree.at(file))) {
    for (const char* root : {"ATen/", "torch/", "c10/"}) {
      if (begins_with(include.path, root)) return file + " -> " + include.path;
    }
    const std::string next = resolved(tree, include);
    if (next.empty()) continue;
    if (const std::string rest = way_to_libtorch(tree, next, seen); !rest.empty()) return file + " -> " + rest;
  }
  return "";
}

/// Whether a test or what only tests include.
bool is_for_tests(std::string_view path) {
  const std::string_view name = path.substr(path.rfind('/') + 1);
  return ends_with(path, "_test.cc") || name.find("testing") != std::string_view::npos;
}

/// The text without what follows `//`.
std::string without_comments(const std::string& text) {
  std::string code;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) code += line.substr(0, line.find("//")) + "\n";
  return code;
}

/// How `code` names the model of a folder; "" when it does not.
std::string naming_of(const std::string& code, const std::string& model) {
  for (const std::string& name : {"\"models/" + model + "/", "\"" + model + "\"", model + "::"}) {
    for (size_t at = code.find(name); at != std::string::npos; at = code.find(name, at + 1)) {
      const char before = at == 0 ? ' ' : code[at - 1];
      const bool part_of_a_word = std::isalnum(static_cast<unsigned char>(before)) != 0 || before == '_';
      if (name[0] == '"' || !part_of_a_word) return name;
    }
  }
  return "";
}

}  // namespace

std::vector<std::string> model_name_faults(const SourceTree& tree) {
  std::set<std::string> models;
  for (const auto& [path, text] : tree) {
    if (begins_with(path, "src/models/") && !part(path, 2).empty()) models.insert(part(path, 2));
  }
  std::vector<std::string> faults;
  for (const auto& [path, text] : tree) {
    const std::string own = begins_with(path, "src/models/") ? part(path, 2) : "";
    if (!begins_with(path, "src/") || !is_code(path) || is_for_tests(path) || path == kModelList) continue;
    const std::string code = without_comments(text);
    bool names = false;
    for (const std::string& model : models) {
      if (model == own || (!own.empty() && kBuiltUpon.count(model) != 0)) continue;
      const std::string naming = naming_of(code, model);
      names = names || !naming.empty();
      if (!naming.empty() && kMayNameModels.count(path) == 0)
        faults.push_back(path + " names the model '" + model + "' (" + naming + "); ask models/registry.h");
    }
    if (!names && kMayNameModels.count(path) != 0)
      faults.push_back(path + " names no model; take it off the exceptions");
  }
  return faults;
}

std::vector<std::string> layer_faults(const SourceTree& tree) {
  std::vector<std::string> faults;
  for (const auto& [path, text] : tree) {
    const std::string room = part(path, 1);
    if (!begins_with(path, "src/") || !is_code(path) || room.empty()) continue;
    for (const auto& include : includes_of(text)) {
      const std::string target = resolved(tree, include);
      if (!begins_with(target, "src/")) continue;
      const std::string model = part(path, 2), other_model = part(target, 2);
      std::string why = why_not(room, part(target, 1));
      if (room == "models" && part(target, 1) == "models" && !model.empty() && !other_model.empty() &&
          model != other_model && kBuiltUpon.count(other_model) == 0) {
        why = "one model's folder into another's";
      }
      if (!why.empty()) faults.push_back(path + " includes " + include.path + ": " + why);
    }
  }
  return faults;
}

std::vector<std::string> libtorch_faults(const SourceTree& tree) {
  std::vector<std::string> faults;
  for (const char* call : {"tessera_sources\\(tessera_core", "tessera_sources\\(tessera_plan",
                           "add_library\\(tessera_light_verbs", "add_executable\\(tessera_cli"}) {
    const auto files = listed_files(tree, call);
    if (files.empty())
      faults.push_back(std::string("no sources found by ") + call +
                       "; is this check still looking in the right place?");
    for (const auto& file : files) {
      std::set<std::string> seen;
      if (tree.count(file) == 0) continue;  // CMake itself refuses a source that is not there
      if (const std::string way = way_to_libtorch(tree, file, seen); !way.empty()) faults.push_back(way);
    }
  }
  return faults;
}

std::vector<std::string> registration_faults(const SourceTree& tree) {
  std::vector<std::string> faults;
  std::set<std::string> registered;
  for (const char* kind : {"light", "engine", "slow"}) {
    for (const auto& file : listed_files(tree, std::string("tessera_tests\\(") + kind)) {
      registered.insert(file);
    }
  }
  for (const auto& [path, text] : tree) {
    if (ends_with(path, "_test.cc") && registered.count(path) == 0) {
      faults.push_back(path + " is registered nowhere; add tessera_tests(light|engine|slow ...) beside it");
    }
  }
  for (const auto& path : registered) {
    if (tree.count(path) == 0) faults.push_back(path + " is registered and does not exist");
  }
  return faults;
}

std::vector<std::string> page_faults(const SourceTree& tree) {
  std::vector<std::string> faults;
  for (const auto& [path, text] : tree) {
    if (!is_code(path)) continue;
    const auto lines = static_cast<size_t>(std::count(text.begin(), text.end(), '\n'));
    if (lines > kLongestFile) {
      faults.push_back(path + " has " + std::to_string(lines) + " lines, want at most " + std::to_string(kLongestFile));
    }
    if (!begins_with(text, "//")) faults.push_back(path + " does not open with a comment that says what it holds");
  }
  return faults;
}

}  // namespace tessera::testing
