// Text whose every run is marked with where it came from. Each operation keeps the marks, so that what people typed can be told from what a
// template says, wherever it ends up.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace tessera::text::jinja {

/// Where a run of characters came from.
struct Origin {
  /// `source` of a template's own text.
  static constexpr int32_t from_template = -1;
  /// `source` of data that belongs to no message, such as tools. A message's own data has its index, from 0.
  static constexpr int32_t from_data = -2;

  int32_t source = from_template;
  bool generated = false;  // inside {% generation %}
  bool operator==(const Origin&) const = default;
};

struct Run {
  size_t end = 0;  // in bytes; begins where the run before it ends
  Origin origin;
};

/// Valid UTF-8. A run of no characters is an anchor: it says where an empty text of data stands.
class MarkedText {
 public:
  MarkedText() = default;
  MarkedText(std::string bytes, Origin origin);
  /// The same with an anchor in front.
  static MarkedText anchored(std::string bytes, Origin origin);

  const std::string& bytes() const { return bytes_; }
  const std::vector<Run>& runs() const { return runs_; }
  bool empty() const { return bytes_.empty(); }
  size_t size() const { return bytes_.size(); }

  void append(const MarkedText& other);
  void append(std::string_view bytes, Origin origin);
  /// Bytes [begin, end) of `other`, with the anchors at both of their ends.
  void append_part(const MarkedText& other, size_t begin, size_t end);
  MarkedText part(size_t begin, size_t end) const;
  /// The same, but anchors before `begin` and behind `end` are kept: what is cut off was only white space.
  MarkedText stripped_to(size_t begin, size_t end) const;
  /// Origin of the first typed run; the template's where nothing is typed.
  Origin typed_origin() const;
  void mark_generated();

 private:
  void add_run(size_t end, Origin origin);
  std::string bytes_;
  std::vector<Run> runs_;  // by end; neighbours differ in origin, anchors aside
};

/// Byte offsets of the characters of `text`, and its size behind them.
std::vector<size_t> character_offsets(std::string_view text);
size_t count_characters(std::string_view text);
/// As Python's str.isspace for one character.
bool is_python_space(char32_t code);

/// As Python's str.strip, lstrip and rstrip; `characters`: those to strip, null for white space.
MarkedText strip(const MarkedText& text, const std::string* characters, bool left, bool right);
/// As str.replace; at most `count` times unless it is negative.
MarkedText replace_all(const MarkedText& text, std::string_view old, const MarkedText& with, int64_t count);
/// As str.split and str.rsplit with a separator that is not empty; at most `count` cuts unless it is negative.
std::vector<MarkedText> split_at(const MarkedText& text, std::string_view separator, int64_t count, bool from_right);
/// As str.split() and str.rsplit() without a separator: runs of white space.
std::vector<MarkedText> split_words(const MarkedText& text, int64_t count, bool from_right);
/// As str.splitlines.
std::vector<MarkedText> split_lines(const MarkedText& text, bool keep_ends);

enum class Case { upper, lower, title, capitalize, jinja_title, swap };
/// As str.upper, lower, title, capitalize and swapcase; jinja_title: as Jinja's filter `title`.
MarkedText change_case(const MarkedText& text, Case to);

}  // namespace tessera::text::jinja
