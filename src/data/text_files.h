// Text files in a folder, and their words as they are tokenised.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/files.h"

namespace tessera::data {

struct TextFile {
  Path path;
  std::string name;  // within the folder, with '/'
};

/// Every .txt file of `folder` and the folders in it, by name; `folder` may also be one file. Throws UserError when there is none.
std::vector<TextFile> find_text_files(const Path& folder);

/// A file's words without a byte-order mark, lines ended by "\n" alone; warns when bytes are no UTF-8. Throws UserError for zero bytes.
std::string read_words(const Path& file);

/// Whether `name` matches `pattern` as in POSIX fnmatch: * stands for any letters (also '/'), ? for any one, [abc] for one of those.
bool matches(const std::string& name, const std::string& pattern);
/// How many bytes of `text` are part of no UTF-8 character.
int64_t broken_bytes(std::string_view text);

}  // namespace tessera::data
