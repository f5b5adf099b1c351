// Paths and headings that Markdown pages name, checked against the files that there are.
#include <algorithm>
#include <cctype>
#include <sstream>
#include <string_view>

#include "tests/support/house_rules.h"

namespace tessera::testing {

namespace {

/// A Markdown page, taken apart.
struct Page {
  std::string prose;               // without code
  std::vector<std::string> words;  // of code spans and blocks
  std::set<std::string> anchors;   // of headings, as GitHub names them
};

/// Words made of the characters of paths and placeholders, without the dots and dashes around them.
std::vector<std::string> words_of(const std::string& code) {
  std::vector<std::string> words(1);
  for (const char c : code) {
    const bool part = std::isalnum(static_cast<unsigned char>(c)) != 0 ||
                      std::string_view("_./-*<>").find(c) != std::string_view::npos;
    if (part) words.back() += c;
    else words.emplace_back();
  }
  for (std::string& word : words) {
    const size_t begin = word.starts_with("./") ? 2 : 0, end = word.find_last_not_of(".-");
    word = end == std::string::npos || end < begin ? "" : word.substr(begin, end + 1 - begin);
  }
  std::erase(words, "");
  return words;
}

/// "Before and after" -> "before-and-after": letters in lower case, blanks as dashes, other punctuation dropped.
std::string anchor_of(std::string_view heading) {
  std::string anchor;
  for (const char c : heading) {
    if (std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '-' || c == '_') {
      anchor += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    } else if (c == ' ') {
      anchor += '-';
    }
  }
  return anchor;
}

Page page_of(const std::string& text) {
  Page page;
  bool block = false;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with("```")) {
      block = !block;
      continue;
    }
    if (!block && line.starts_with("#")) {
      const size_t begin = line.find_first_not_of("# ");
      if (begin != std::string::npos) page.anchors.insert(anchor_of(std::string_view(line).substr(begin)));
    }
    std::istringstream parts(line);  // outside of blocks every second part between ticks is code
    bool code = block || line.starts_with("    ");
    for (std::string part; std::getline(parts, part, '`'); code = block || !code) {
      if (!code) page.prose += part + " ";
      for (const std::string& word : code ? words_of(part) : std::vector<std::string>()) page.words.push_back(word);
    }
    page.prose += "\n";
  }
  return page;
}

/// The targets of links: the text in the brackets of "](...)".
std::vector<std::string> link_targets(const std::string& prose) {
  std::vector<std::string> targets;
  for (size_t at = prose.find("]("); at != std::string::npos; at = prose.find("](", at + 1)) {
    const size_t end = prose.find(')', at);
    if (end != std::string::npos) targets.push_back(prose.substr(at + 2, end - at - 2));
  }
  return targets;
}

/// "docs/" and "../models/x" -> "models/x".
std::string joined(const std::string& folder, const std::string& path) {
  std::vector<std::string> parts;
  std::istringstream all(folder + path);
  for (std::string part; std::getline(all, part, '/');) {
    if (part == ".." && !parts.empty()) parts.pop_back();
    else if (part != "." && !part.empty()) parts.push_back(part);
  }
  std::string path_found;
  for (const std::string& part : parts) path_found += (path_found.empty() ? "" : "/") + part;
  return path_found;
}

bool exists(const std::set<std::string>& files, const std::string& path) {
  if (path.empty() || files.contains(path)) return true;
  const auto inside = files.lower_bound(path + "/");
  return inside != files.end() && inside->starts_with(path + "/");
}

bool is_placeholder(const std::string& word) {
  const std::string name = word.substr(word.rfind('/') + 1);
  return word.find_first_of("*<>") != std::string::npos || word.find("NAME") != std::string::npos ||
         name.starts_with("foo");
}

bool ends_like_source(const std::string& word) {
  return word.ends_with(".h") || word.ends_with(".cc") || word.ends_with(".py");
}

/// Whether `word` of some code names a file or folder that is not there.
bool names_nothing(const std::string& word, const std::string& folder, const std::set<std::string>& files) {
  if (is_placeholder(word)) return false;
  const std::string path = joined("", word);
  if (exists(files, path) || exists(files, "src/" + path) || exists(files, joined(folder, word))) return false;
  if (ends_like_source(word)) {
    return std::none_of(files.begin(), files.end(),
                        [&](const std::string& file) { return file.ends_with("/" + path); });
  }
  static const std::set<std::string> roots = {"src",    "tests", "docs",  "recipes",
                                              "models", "tools", "bench", "examples"};
  const std::string root = word.substr(0, word.find('/'));
  return word.find('/') != std::string::npos && (roots.contains(root) || exists(files, "src/" + root));
}

}  // namespace

std::vector<std::string> path_faults(const SourceTree& pages, const std::set<std::string>& files) {
  std::map<std::string, Page> all;
  for (const auto& [path, text] : pages) all[path] = page_of(text);
  std::vector<std::string> faults;
  for (const auto& [path, page] : all) {
    const std::string folder = path.substr(0, path.rfind('/') + 1);
    for (const std::string& word : page.words) {
      if (names_nothing(word, folder, files)) faults.push_back(path + " names " + word + ", which does not exist");
    }
    for (const std::string& target : link_targets(page.prose)) {
      if (target.find("://") != std::string::npos) continue;
      const size_t hash = std::min(target.find('#'), target.size());
      const std::string file = hash == 0 ? path : joined(folder, target.substr(0, hash));
      if (!exists(files, file)) {
        faults.push_back(path + " links to " + target + ", which does not exist");
      } else if (hash < target.size() && all.contains(file) && !all[file].anchors.contains(target.substr(hash + 1))) {
        faults.push_back(path + " links to " + target + ", a heading that does not exist");
      }
    }
  }
  return faults;
}

}  // namespace tessera::testing
