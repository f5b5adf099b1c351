// The reader moves a view along the text; a cell is a view into it except where doubled quotes had to be undone.
#include "plan/csv.h"

#include <algorithm>
#include <charconv>
#include <cmath>

#include "core/error.h"
#include "core/fields.h"

namespace tessera::plan {

namespace {

std::string_view trimmed(std::string_view text) {
  const auto blank = [](char c) { return c == ' ' || c == '\t'; };
  while (!text.empty() && blank(text.front())) text.remove_prefix(1);
  while (!text.empty() && blank(text.back())) text.remove_suffix(1);
  return text;
}

/// What is shown of a cell in an error: one line, not endless.
std::string shown(std::string_view cell) {
  std::string text(cell.substr(0, 40));
  for (char& c : text) {
    if (static_cast<unsigned char>(c) < 32 || c == 127) c = '?';
  }
  return cell.size() > 40 ? text + "..." : text;
}

bool stands_for_nothing(std::string_view cell) {
  static constexpr std::string_view words[] = {"", "nan", "NaN", "NAN", "na", "NA", "N/A", "null", "None", "-"};
  return std::find(std::begin(words), std::end(words), cell) != std::end(words);
}

}  // namespace

CsvReader::CsvReader(std::string_view text, std::string source) : rest_(text), source_(std::move(source)) {
  constexpr std::string_view byte_order_mark = "\xEF\xBB\xBF";
  if (rest_.substr(0, 3) == byte_order_mark) rest_.remove_prefix(3);
  if (rest_.find('\0') != std::string_view::npos) {
    throw UserError("[plan] {} is not a CSV file: it holds zero bytes (UTF-16 and spreadsheets: save as CSV, UTF-8)",
                    source_);
  }
  do {
    if (rest_.empty()) throw UserError("[plan] {} is empty; want a CSV table with a header line", source_);
    read_row();
  } while (cells_.size() == 1 && cells_[0].empty());
  for (const std::string_view cell : cells_) {
    if (std::find(columns_.begin(), columns_.end(), cell) != columns_.end()) {
      throw UserError("[plan] {} names column '{}' twice", source_, shown(cell));
    }
    columns_.emplace_back(cell);
  }
}

bool CsvReader::next() {
  while (!rest_.empty()) {
    read_row();
    if (cells_.size() == 1 && cells_[0].empty() && columns_.size() > 1) continue;
    if (cells_.size() == columns_.size()) return true;
    throw UserError("[plan] {} line {} has {} cells, the header has {}{}", source_, line_, cells_.size(),
                    columns_.size(), columns_.size() == 1 ? "; is the table comma-separated?" : "");
  }
  return false;
}

void CsvReader::read_row() {
  line_ = next_line_++;
  cells_.clear();
  unquoted_.clear();
  while (true) {
    const size_t start = rest_.find_first_not_of(" \t");
    if (start != std::string_view::npos && rest_[start] == '"') {
      rest_.remove_prefix(start);
      cells_.push_back(read_quoted());
    } else {
      const size_t end = std::min(rest_.find_first_of(",\r\n"), rest_.size());
      cells_.push_back(trimmed(rest_.substr(0, end)));
      rest_.remove_prefix(end);
    }
    if (rest_.empty()) return;
    const char stop = rest_[0];
    rest_.remove_prefix(1);
    if (stop == ',') continue;
    if (stop == '\r' && !rest_.empty() && rest_[0] == '\n') rest_.remove_prefix(1);
    return;
  }
}

std::string_view CsvReader::read_quoted() {
  std::string& text = unquoted_.emplace_back();
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
  next_line_ += static_cast<size_t>(std::count(text.begin(), text.end(), '\n'));
  const size_t end = std::min(rest_.find_first_of(",\r\n"), rest_.size());
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
  throw UserError("[plan] {} has no column '{}'; the nearest is '{}'", source_, column,
                  shown(nearest_word(column, columns_)));
}

std::optional<double> CsvReader::number(size_t column) const {
  const std::string_view text = cell(column);
  if (stands_for_nothing(text)) return std::nullopt;
  double value = 0;
  const char* begin = text.data() + (text[0] == '+' ? 1 : 0);
  const auto [end, error] = std::from_chars(begin, text.data() + text.size(), value);
  if (error == std::errc::result_out_of_range) fail(column, fmt::format("'{}' is out of range", shown(text)));
  if (error != std::errc() || end != text.data() + text.size()) {
    fail(column, fmt::format("got '{}', want a number", shown(text)));
  }
  if (!std::isfinite(value)) fail(column, fmt::format("got '{}', want a finite number", shown(text)));
  return value;
}

double CsvReader::required_number(size_t column) const {
  const auto value = number(column);
  if (!value) fail(column, "is empty, want a number");
  return *value;
}

void CsvReader::fail(size_t column, std::string_view what) const {
  throw UserError("[plan] {} line {}, column '{}': {}", source_, line_, shown(columns_[column]), what);
}

std::string csv_number(double value) { return std::isnan(value) ? "" : fmt::format("{}", value); }

}  // namespace tessera::plan
