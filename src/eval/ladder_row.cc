// Read by the reader that the ladder itself uses, written with what needs quotes quoted.
#include "eval/ladder_row.h"

#include <algorithm>
#include <vector>

#include "core/error.h"
#include "core/text_file.h"
#include "plan/csv.h"

namespace tessera::eval {

namespace {
struct Table {
  std::vector<std::string> columns;
  std::vector<std::vector<std::string>> rows;

  size_t column(const std::string& name) {
    const auto found = std::find(columns.begin(), columns.end(), name);
    if (found != columns.end()) return static_cast<size_t>(found - columns.begin());
    columns.push_back(name);
    for (auto& row : rows) row.emplace_back();
    return columns.size() - 1;
  }
};

Table read_table(std::string_view csv, const std::string& source) {
  Table table;
  if (is_blank(csv)) return table;
  plan::CsvReader reader(csv, source);
  table.columns = reader.columns();
  while (reader.next()) {
    auto& row = table.rows.emplace_back();
    for (size_t c = 0; c < table.columns.size(); ++c) row.emplace_back(reader.cell(c));
    const bool blank = std::all_of(row.begin(), row.end(), [](const std::string& cell) { return cell.empty(); });
    if (blank) table.rows.pop_back();
  }
  return table;
}

std::string quoted(const std::string& cell) {
  if (cell.find_first_of(",\"\r\n") == std::string::npos) return cell;
  std::string text = "\"";
  for (const char c : cell) text += c == '"' ? "\"\"" : std::string(1, c);
  return text + "\"";
}

std::string line_of(const std::vector<std::string>& cells) {
  std::string line;
  for (size_t c = 0; c < cells.size(); ++c) line += (c > 0 ? "," : "") + quoted(cells[c]);
  return line + "\n";
}

bool same_number(const std::string& cell, double value) {
  char* end = nullptr;
  const double read = std::strtod(cell.c_str(), &end);
  return !cell.empty() && *end == '\0' && read == value;
}
}  // namespace

std::string with_ladder_row(std::string_view csv, const std::string& source, const LadderRow& row) {
  if (row.run.empty() || !(row.params > 0) || !(row.tokens > 0)) {
    throw UserError("[eval] a row of {} wants a run's name, parameters and tokens above 0; got '{}', {} and {}", source,
                    row.run, row.params, row.tokens);
  }
  Table table = read_table(csv, source);
  const size_t run = table.column("run"), role = table.column("role"), params = table.column("n_params"),
               tokens = table.column("tokens");
  auto found = std::find_if(table.rows.begin(), table.rows.end(), [&](const auto& each) {
    return each[run] == row.run && same_number(each[tokens], row.tokens);
  });
  if (found == table.rows.end()) found = table.rows.insert(found, std::vector<std::string>(table.columns.size()));
  const auto at = static_cast<size_t>(found - table.rows.begin());
  const auto set = [&](size_t column, const std::string& text) { table.rows[at][column] = text; };
  set(run, row.run);
  set(role, row.role);
  set(params, plan::csv_number(row.params));
  set(tokens, plan::csv_number(row.tokens));
  for (const auto& [name, value] : row.cells) set(table.column(name), plan::csv_number(value));
  std::string text = line_of(table.columns);
  for (const auto& each : table.rows) text += line_of(each);
  return text;
}

void append_ladder_row(const Path& file, const LadderRow& row, FileSystem& files) {
  const std::string before = std::filesystem::exists(file) ? read_file(file) : "";
  write_file_atomically(file, with_ladder_row(before, file.string(), row), files);
}

}  // namespace tessera::eval
