// The reader moves a view along the text; a cell is a view into it except where doubled quotes had to be undone.
#include "plan/csv.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

#include "core/error.h"
#include "core/fields.h"
#include "plan/quantity.h"

namespace tessera::plan {

namespace {

std::string_view trimmed(std::string_view text) {
  const auto blank = [](char c) { return c == ' ' || c == '\t'; };
  while (!text.empty() && blank(text.front())) text.remove_prefix(1);
  while (!text.empty() && blank(text.back())) text.remove_suffix(1);
  return text;
}

constexpr size_t kLongestName = 100, kMostColumns = 4096;

/// Length of the character that UTF-8 begins with here; 0 when none does.
size_t character_at(std::string_view text) {
  const auto byte = [&](size_t i) { return i < text.size() ? static_cast<unsigned char>(text[i]) : 0u; };
  const unsigned first = byte(0), second = byte(1);
  if (first < 0x80) return 1;
  const size_t length = first >= 0xF0 ? 4 : first >= 0xE0 ? 3 : 2;
  if (first < 0xC2 || first > 0xF4) return 0;
  if ((first == 0xE0 && second < 0xA0) || (first == 0xED && second > 0x9F)) return 0;  // overlong, surrogates
  if ((first == 0xF0 && second < 0x90) || (first == 0xF4 && second > 0x8F)) return 0;
  for (size_t i = 1; i < length; ++i) {
    if (byte(i) < 0x80 || byte(i) > 0xBF) return 0;
  }
  return length;
}

constexpr std::string_view kSeparators = ",;\t|";

/// What a cell tells of the decimal sign: "0.5" has a point and "0,52" a comma, "1,234" and "1.234" may count thousands.
enum class CellNumber { nothing, point, comma, unclear_point, unclear_comma };

CellNumber cell_number(std::string_view cell) {
  if (cell.size() > 2 && cell.front() == '"' && cell.back() == '"') cell = cell.substr(1, cell.size() - 2);
  if (!cell.empty() && (cell.front() == '+' || cell.front() == '-')) cell.remove_prefix(1);
  const auto digits = [](std::string_view text) { return std::min(text.find_first_not_of("0123456789"), text.size()); };
  const size_t whole = digits(cell);
  const std::string_view rest = cell.substr(whole);
  if (rest.empty() || (rest[0] != '.' && rest[0] != ',')) return CellNumber::nothing;
  const size_t part = digits(rest.substr(1));
  const std::string_view after = rest.substr(1 + part);
  if (part == 0 || (!after.empty() && after[0] != 'e' && after[0] != 'E')) return CellNumber::nothing;
  const bool thousands = part == 3 && whole > 0 && whole < 4 && cell[0] != '0' && after.empty();
  if (rest[0] == '.') return thousands ? CellNumber::unclear_point : CellNumber::point;
  return thousands ? CellNumber::unclear_comma : CellNumber::comma;
}

bool stands_for_nothing(std::string_view cell) {
  static constexpr std::string_view words[] = {"", "nan", "NaN", "NAN", "na", "NA", "N/A", "null", "None", "-"};
  return std::find(std::begin(words), std::end(words), cell) != std::end(words);
}

}  // namespace

size_t count_lines(std::string_view text) {
  size_t lines = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    lines += text[i] == '\n' || (text[i] == '\r' && (i + 1 == text.size() || text[i + 1] != '\n'));
  }
  return lines;
}

void require_utf8(std::string_view text, const std::string& source) {
  if (text.find('\0') != std::string_view::npos) {
    throw UserError("[plan] {} is not a CSV file: it holds zero bytes (UTF-16 and spreadsheets: save as CSV, UTF-8)",
                    source);
  }
  for (size_t at = 0; at < text.size();) {
    const size_t length = character_at(text.substr(at));
    if (length == 0) {
      throw UserError("[plan] {} line {} is not UTF-8 text; save the table as CSV, UTF-8", source,
                      count_lines(text.substr(0, at)) + 1);
    }
    at += length;
  }
}

std::string shown(std::string_view text, size_t longest) {
  size_t end = std::min(text.size(), longest);
  while (end < text.size() && end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) --end;
  std::string line(text.substr(0, end));
  for (char& c : line) {
    if (static_cast<unsigned char>(c) < 32 || c == 127) c = '?';
  }
  return end < text.size() ? line + "..." : line;
}

CsvReader::CsvReader(std::string_view text, std::string source) : rest_(text), source_(std::move(source)) {
  constexpr std::string_view byte_order_mark = "\xEF\xBB\xBF";
  if (rest_.substr(0, 3) == byte_order_mark) rest_.remove_prefix(3);
  require_utf8(rest_, source_);
  find_separator();
  do {
    if (rest_.empty()) throw UserError("[plan] {} is empty; want a CSV table with a header line", source_);
    read_row();
  } while (cells_.size() == 1 && cells_[0].empty());
  if (cells_.size() > kMostColumns) {
    throw UserError("[plan] {} has {} columns, want at most {}", source_, cells_.size(), kMostColumns);
  }
  for (const std::string_view cell : cells_) {
    if (cell.size() > kLongestName) {
      throw UserError("[plan] {} has a column whose name is {} bytes long, want at most {}: '{}'", source_, cell.size(),
                      kLongestName, shown(cell));
    }
    std::string name = shown(cell, kLongestName);
    if (!name.empty() && find(name)) throw UserError("[plan] {} names column '{}' twice", source_, name);
    columns_.push_back(std::move(name));
  }
  find_decimal_signs();
}

/// Takes a line "sep=;" away, as spreadsheets read and write it.
void CsvReader::find_separator() {
  const size_t start = std::min(rest_.find_first_not_of(" \t\r\n"), rest_.size());
  std::string_view line = rest_.substr(start, std::min(rest_.find_first_of("\r\n", start), rest_.size()) - start);
  const std::string_view whole = line;
  while (line.ends_with(',') && line.size() > 5) line.remove_suffix(1);  // a spreadsheet fills the row up
  if (line.starts_with('"') && line.ends_with('"') && line.size() > 2) line = line.substr(1, line.size() - 2);
  if (line.size() == 5 && (line.starts_with("sep=") || line.starts_with("SEP=") || line.starts_with("Sep="))) {
    separator_ = line[4];
    if (kSeparators.find(separator_) == std::string_view::npos)
      throw UserError("[plan] {} separates its cells by '{}', want a comma, a semicolon, a tab or a bar", source_,
                      shown(line.substr(4)));
    next_line_ += count_lines(rest_.substr(0, start));
    rest_.remove_prefix(start + whole.size());
    return;
  }
  std::array<size_t, kSeparators.size()> counts{};
  bool quoted = false;
  for (const char c : whole) {
    quoted ^= c == '"';
    const size_t which = quoted ? std::string_view::npos : kSeparators.find(c);
    if (which != std::string_view::npos) ++counts[which];
  }
  separator_ = kSeparators[static_cast<size_t>(std::ranges::max_element(counts) - counts.begin())];
}

/// By all cells at once, so that no cell's meaning depends on its place in the table.
void CsvReader::find_decimal_signs() {
  if (separator_ == ',') return;
  const std::string stops = {separator_, '\r', '\n'};
  for (std::string_view text = rest_; !text.empty();) {
    const size_t end = std::min(text.find_first_of(stops), text.size());
    const CellNumber number = cell_number(trimmed(text.substr(0, end)));
    decimal_points_ |= number == CellNumber::point;
    decimal_commas_ |= number == CellNumber::comma;
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  // Semicolons are what programs write where the comma is taken.
  if (separator_ == ';' && !decimal_points_) decimal_commas_ = true;
}

/// A cell with a decimal point in place of a comma.
std::string CsvReader::with_point(size_t column) const {
  std::string text(cell(column));
  if (separator_ == ',') return text;
  const CellNumber number = cell_number(text);
  const bool unclear = (number == CellNumber::unclear_comma && !decimal_commas_) ||
                       (number == CellNumber::unclear_point && decimal_commas_ && !decimal_points_);
  if (unclear)
    fail(column,
         fmt::format("got '{}', which may be a fraction or thousands; write it with a decimal point or none", text));
  if (number == CellNumber::comma || number == CellNumber::unclear_comma) text[text.find(',')] = '.';
  return text;
}

bool CsvReader::next() {
  while (!rest_.empty()) {
    read_row();
    const bool blank = std::all_of(cells_.begin(), cells_.end(), [](auto cell) { return cell.empty(); });
    if (blank && columns_.size() > 1) continue;
    if (cells_.size() == columns_.size()) return true;
    throw UserError("[plan] {} line {} has {} cells, the header has {}{}", source_, line_, cells_.size(),
                    columns_.size(),
                    columns_.size() == 1 ? "; want cells separated by commas, semicolons, tabs or bars" : "");
  }
  return false;
}

void CsvReader::read_row() {
  const std::string stops = {separator_, '\r', '\n'};
  line_ = next_line_++;
  cells_.clear();
  unquoted_.clear();
  while (true) {
    const size_t start = rest_.find_first_not_of(separator_ == '\t' ? " " : " \t");
    if (start != std::string_view::npos && rest_[start] == '"') {
      rest_.remove_prefix(start);
      cells_.push_back(read_quoted());
    } else {
      const size_t end = std::min(rest_.find_first_of(stops), rest_.size());
      cells_.push_back(trimmed(rest_.substr(0, end)));
      rest_.remove_prefix(end);
    }
    if (rest_.empty()) return;
    const char stop = rest_[0];
    rest_.remove_prefix(1);
    if (stop == separator_) continue;
    if (stop == '\r' && !rest_.empty() && rest_[0] == '\n') rest_.remove_prefix(1);
    return;
  }
}

std::string_view CsvReader::read_quoted() {
  std::string& text = unquoted_.emplace_back();
  const std::string stops = {separator_, '\r', '\n'};
  rest_.remove_prefix(1);
  while (true) {
    const size_t quote = rest_.find('"');
    if (quote == std::string_view::npos) {
      throw UserError("[plan] {} line {} opens a quote that nothing closes", source_, line_);
    }
    text += rest_.substr(0, quote);
    rest_.remove_prefix(quote + 1);
    if (rest_.empty() || rest_[0] != '"') break;
    text += '"';
    rest_.remove_prefix(1);
  }
  next_line_ += count_lines(text);
  const size_t end = std::min(rest_.find_first_of(stops), rest_.size());
  if (!trimmed(rest_.substr(0, end)).empty()) {
    throw UserError("[plan] {} line {} goes on after a closing quote with '{}'", source_, line_,
                    shown(rest_.substr(0, end)));
  }
  rest_.remove_prefix(end);
  return text;
}

std::optional<size_t> CsvReader::find(std::string_view column) const {
  const auto found = std::find(columns_.begin(), columns_.end(), column);
  if (found == columns_.end()) return std::nullopt;
  return static_cast<size_t>(found - columns_.begin());
}

size_t CsvReader::require(std::string_view column) const {
  if (const auto found = find(column)) return *found;
  throw UserError("[plan] {} has no column '{}'; the nearest is '{}'", source_, column, nearest_word(column, columns_));
}

std::optional<double> CsvReader::number(size_t column) const {
  if (stands_for_nothing(cell(column))) return std::nullopt;
  const std::string number = with_point(column);
  const std::string_view text = number;
  double value = 0;
  const char* begin = text.data() + (text.substr(0, 1) == "+" && text.substr(1, 1) != "-" ? 1 : 0);
  const auto [end, error] = std::from_chars(begin, text.data() + text.size(), value);
  if (error == std::errc::result_out_of_range) fail(column, fmt::format("'{}' is out of range", shown(cell(column))));
  if (error != std::errc() || end != text.data() + text.size()) {
    fail(column, fmt::format("got '{}', want a number", shown(cell(column))));
  }
  if (!std::isfinite(value)) fail(column, fmt::format("got '{}', want a finite number", shown(cell(column))));
  return value;
}

double CsvReader::required_number(size_t column) const {
  const auto value = number(column);
  if (!value) fail(column, "is empty, want a number");
  return *value;
}

double CsvReader::count(size_t column) const {
  const double value = required_number(column);
  if (const std::string fault = count_fault(value, columns_[column]); !fault.empty()) fail(column, fault);
  return value;
}

std::optional<double> CsvReader::score(size_t column) const {
  const auto value = number(column);
  if (!value) return std::nullopt;
  if (const std::string fault = score_fault(*value); !fault.empty()) fail(column, fault);
  return value;
}

std::optional<double> CsvReader::loss(size_t column) const {
  constexpr double most = 1e6;  // beyond are slips, and numbers that overflow
  const auto value = number(column);
  if (value && !(*value > 0)) fail(column, fmt::format("got {}, want a loss above 0", *value));
  if (value && *value > most) fail(column, fmt::format("got {}, want a loss of at most {:g}", *value, most));
  return value;
}

void CsvReader::fail(size_t column, std::string_view what) const {
  throw UserError("[plan] {} line {}, column '{}': {}", source_, line_, columns_[column], what);
}

std::string csv_number(double value) { return std::isnan(value) ? "" : fmt::format("{}", value); }

}  // namespace tessera::plan
