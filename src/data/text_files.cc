// Finding people's texts.
#include "data/text_files.h"

#include <fnmatch.h>

#include <algorithm>

namespace tessera::data {

std::vector<TextFile> find_text_files(const Path& folder) {
  if (std::filesystem::is_regular_file(folder)) return {{folder, folder.filename().generic_string()}};
  std::vector<TextFile> files;
  for (const Path& file : find_files(folder, {".txt"}, "text"))
    files.push_back({file, file.lexically_relative(folder).generic_string()});
  std::ranges::sort(files, {}, &TextFile::name);
  return files;
}

bool matches(const std::string& name, const std::string& pattern) {
  return fnmatch(pattern.c_str(), name.c_str(), 0) == 0;
}

}  // namespace tessera::data
