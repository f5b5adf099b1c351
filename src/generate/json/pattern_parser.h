// A regular expression as a tree.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace tessera::generate {

/// Code points, sorted, without overlap.
using CodeRanges = std::vector<std::pair<uint32_t, uint32_t>>;

struct PatternNode {
  enum class Kind { nothing, set, sequence, alternatives, repeat, begin, end };
  Kind kind = Kind::nothing;
  CodeRanges set = {};
  std::vector<PatternNode> children = {};
  int least = 0, most = -1;  // of a repetition; -1: no limit
};

/// Throws UserError, with `path`.
PatternNode parse_pattern(std::string_view pattern, std::string_view path);

/// Sorted and joined.
CodeRanges normal_ranges(CodeRanges ranges);
/// All other characters but surrogates.
CodeRanges other_ranges(const CodeRanges& ranges);

}  // namespace tessera::generate
