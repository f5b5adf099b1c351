// Tables in Arrow's IPC stream format, as Python's `datasets` library stores them (arrow.apache.org, "Columnar
// Format"). Every offset of the file is checked before it is followed.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace tessera::eval {

using ArrowTexts = std::vector<std::string>;
using ArrowTextLists = std::vector<std::vector<std::string>>;
using ArrowIntegers = std::vector<int64_t>;
using ArrowColumn = std::variant<ArrowTexts, ArrowTextLists, ArrowIntegers>;

struct ArrowTable {
  std::map<std::string, ArrowColumn> columns;
  int64_t rows = 0;  // each column has as many
};

/// All record batches of a stream whose columns are texts, lists of texts and whole numbers, none of them null,
/// neither compressed nor in dictionaries. Throws UserError "[eval] SOURCE: ..." for everything else.
ArrowTable parse_arrow_stream(std::string_view bytes, std::string_view source);

}  // namespace tessera::eval
