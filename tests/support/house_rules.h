// The rules of the house as data and checks over a set of files: which room may include which, which tests are
// registered, how long a file may be, that paths in pages exist. Nothing here touches the disk, so that made-up trees can be checked too.
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

namespace tessera::testing {

/// Repository-relative path ("src/nn/rope.cc") -> the file's text.
using SourceTree = std::map<std::string, std::string>;

/// Includes that point upward, sideways without being allowed, or from one model's folder into another's.
std::vector<std::string> layer_faults(const SourceTree& tree);

/// Sources outside a model's folder (but models/registry.cc) that include one of its headers, name its namespace or hold its
/// name in quotes. Tests and their helpers may, and so may models that are built upon it.
std::vector<std::string> model_name_faults(const SourceTree& tree);

/// Sources of what must start without LibTorch (tessera_core, tessera_light_verbs, tessera_cli) that reach one of its
/// headers, through any number of includes.
std::vector<std::string> libtorch_faults(const SourceTree& tree);

/// `*_test.cc` files that no CMakeLists.txt names, and registered ones that do not exist.
std::vector<std::string> registration_faults(const SourceTree& tree);

/// Files longer than 400 lines, and files that do not open with a comment that says what they hold.
std::vector<std::string> page_faults(const SourceTree& tree);

/// Paths and headings that Markdown pages name and that do not exist. `files`: every file of the repository. Looked at are
/// targets of links, and in code (spans and blocks) words that begin with a folder of the repository or a room of src/, or that
/// end like a source file: the latter must be the end of some file's path. Words with a placeholder (NAME, *, <...>) are not.
std::vector<std::string> path_faults(const SourceTree& pages, const std::set<std::string>& files);

}  // namespace tessera::testing
