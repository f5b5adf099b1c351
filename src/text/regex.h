// A pattern in the dialect of tokenizer.json (Oniguruma's, over Unicode), run by PCRE2.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace tessera::text {

/// Bytes [begin, end) of a text.
struct Range {
  size_t begin = 0, end = 0;
  bool operator==(const Range&) const = default;
};

class Regex {
 public:
  /// Throws UserError when `pattern` is not valid; `source` names the file.
  Regex(std::string_view pattern, std::string_view source);

  /// All matches in `text` (valid UTF-8), from left to right, without overlap. Throws UserError when the pattern takes
  /// too many steps on it.
  std::vector<Range> matches(std::string_view text) const;

 private:
  std::shared_ptr<const void> code_;  // pcre2_code; shared, because it is read only
  bool compiled_to_machine_code_ = false;
};

}  // namespace tessera::text
