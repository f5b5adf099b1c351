// Finding and reading people's texts.
#include "data/text_files.h"

#include <fnmatch.h>

#include <algorithm>

#include "core/error.h"
#include "core/log.h"

namespace tessera::data {

std::vector<TextFile> find_text_files(const Path& folder) {
  if (std::filesystem::is_regular_file(folder)) return {{folder, folder.filename().generic_string()}};
  std::vector<TextFile> files;
  for (const Path& file : find_files(folder, {".txt"}, "text"))
    files.push_back({file, file.lexically_relative(folder).generic_string()});
  std::ranges::sort(files, {}, &TextFile::name);
  return files;
}

std::string read_words(const Path& file) {
  std::string text = read_file(file);
  if (const size_t zero = text.find('\0'); zero != std::string::npos) {
    throw UserError("[text] {} is not UTF-8 text: byte {} is zero", file.string(), zero + 1);
  }
  if (text.starts_with("\xEF\xBB\xBF")) text.erase(0, 3);
  if (text.find('\r') != std::string::npos) {
    std::string lines;
    for (size_t i = 0; i < text.size(); ++i) {
      if (text[i] != '\r') lines += text[i];
      else if (i + 1 == text.size() || text[i + 1] != '\n') lines += '\n';
    }
    text = std::move(lines);
  }
  if (const int64_t broken = broken_bytes(text); broken > 0)
    log_warning("[text] {}: {} bytes are no UTF-8 and became U+FFFD", file.string(), broken);
  return text;
}

bool matches(const std::string& name, const std::string& pattern) {
  return fnmatch(pattern.c_str(), name.c_str(), 0) == 0;
}

int64_t broken_bytes(std::string_view text) {
  int64_t broken = 0;
  for (size_t i = 0; i < text.size();) {
    const auto lead = static_cast<unsigned char>(text[i]);
    const size_t length = lead < 0x80                   ? 1
                          : lead >= 0xC2 && lead < 0xE0 ? 2
                          : lead >= 0xE0 && lead < 0xF0 ? 3
                          : lead >= 0xF0 && lead < 0xF5 ? 4
                                                        : 0;
    bool good = length != 0 && i + length <= text.size();
    for (size_t k = 1; good && k < length; ++k) good = (static_cast<unsigned char>(text[i + k]) & 0xC0) == 0x80;
    if (good && length > 2) {  // overlong forms, surrogates, beyond U+10FFFF
      const auto second = static_cast<unsigned char>(text[i + 1]);
      good = !(lead == 0xE0 && second < 0xA0) && !(lead == 0xED && second > 0x9F) && !(lead == 0xF0 && second < 0x90) &&
             !(lead == 0xF4 && second > 0x8F);
    }
    broken += !good;
    i += good ? length : 1;
  }
  return broken;
}

}  // namespace tessera::data
