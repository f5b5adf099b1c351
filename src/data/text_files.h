// Text files in a folder, found by name; core/text_file.h reads them.
#pragma once

#include <string>
#include <vector>

#include "core/files.h"

namespace tessera::data {

struct TextFile {
  Path path;
  std::string name;  // within the folder, with '/'
};

/// Every .txt file of `folder` and the folders in it, by name; `folder` may also be one file. Throws UserError when there is none.
std::vector<TextFile> find_text_files(const Path& folder);

/// Whether `name` matches `pattern` as in POSIX fnmatch: * stands for any letters (also '/'), ? for any one, [abc] for one of those.
bool matches(const std::string& name, const std::string& pattern);

}  // namespace tessera::data
