// Rows of JSONL files as people's programs write them, and as ours do. What must stay true: a row that Python's json reads is read, and what
// had to be replaced in it is counted.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "core/json.h"

namespace tessera {

/// What became U+FFFD in the rows of a file.
struct RowRepairs {
  int64_t rows = 0;
  std::string first;  // row and what stood there: "a.jsonl line 3: \ud83d"

  /// Says it, once for all rows; nothing when there are none.
  void warn(std::string_view module) const;
};

/// parse_json() for a row of data: halves of pairs ("\ud83d" alone, which no UTF-8 can hold) and bytes that are no UTF-8 become U+FFFD and
/// are counted in `repairs`. `where` names the row. Throws UserError for what is no JSON.
Json parse_json_row(std::string_view line, std::string_view where, RowRepairs* repairs = nullptr);

/// A row with its line break. Bytes that are no UTF-8 become U+FFFD.
std::string json_row(const Json& row);

}  // namespace tessera
