// A reader for tables from spreadsheets and scripts (RFC 4180 with the liberties people take): commas, semicolons, tabs or
// bars, a `sep=` line, decimal commas, a byte order mark, any mixture of line ends, blank lines, quoted fields. Nothing is
// copied but quoted fields.
#pragma once

#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace tessera::plan {

/// Reads a table row by row. `text` must outlive the reader; `source` names it in errors.
class CsvReader {
 public:
  /// Reads the header. Cells are separated by what a first line "sep=;" names, or else by whichever of , ; tab | stands
  /// most often in the header. Throws UserError: nothing there, a name twice or endless, bytes that are not UTF-8, an
  /// open quote.
  /// Names hold no control characters: they become question marks.
  CsvReader(std::string_view text, std::string source);

  const std::vector<std::string>& columns() const { return columns_; }
  const std::string& source() const { return source_; }

  /// Moves to the next row that is not blank (one with no text in any cell); false at the end. Throws UserError when a
  /// row has another number of cells than the header (names the line).
  bool next();
  /// Line of the current row in the file, from 1.
  size_t line() const { return line_; }

  /// Index of a column, if it is there.
  std::optional<size_t> find(std::string_view column) const;
  /// Index of a column that must be there; otherwise UserError names the nearest one.
  size_t require(std::string_view column) const;

  /// The current row's cell, blanks around it removed.
  std::string_view cell(size_t column) const { return cells_[column]; }
  /// The cell as a number; empty (or "nan", "NA", "null") is nullopt. "0,5" is a half where cells are not separated by
  /// commas. Throws UserError with line and column for text, for infinities, and for "1,234" in a table whose other cells
  /// do not show what the comma means.
  std::optional<double> number(size_t column) const;
  /// The cell as a number that must be there.
  double required_number(size_t column) const;
  /// The cell as a number of parameters or tokens, which must be there (count_fault in quantity.h).
  double count(size_t column) const;
  /// The cell as a score in [0, 1] (score_fault).
  std::optional<double> score(size_t column) const;
  /// The cell as a loss above 0.
  std::optional<double> loss(size_t column) const;
  /// Throws UserError "[plan] SOURCE line N, column 'NAME': WHAT".
  [[noreturn]] void fail(size_t column, std::string_view what) const;

 private:
  void find_separator();
  void find_decimal_signs();
  std::string with_point(size_t column) const;
  void read_row();
  std::string_view read_quoted();

  std::string_view rest_;
  std::string source_;
  std::vector<std::string> columns_;
  std::vector<std::string_view> cells_;
  std::deque<std::string> unquoted_;  // storage of the current row's fields that held doubled quotes
  size_t line_ = 0, next_line_ = 1;
  char separator_ = ',';
  bool decimal_points_ = false, decimal_commas_ = false;  // whether some cell shows them
};

/// Throws UserError, naming the line, for bytes that are not UTF-8 text, zero bytes among them.
void require_utf8(std::string_view text, const std::string& source);

/// Line ends of any kind in `text`.
size_t count_lines(std::string_view text);

/// Text from outside as a message shows it: one line of whole characters, cut to `longest` bytes with dots at the end.
std::string shown(std::string_view text, size_t longest = 40);

/// A number in CSV that reads back as the same double.
std::string csv_number(double value);

}  // namespace tessera::plan
