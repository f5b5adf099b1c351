// See plan_common.h.
#include "apps/plan_common.h"

#include "core/error.h"
#include "core/log.h"

namespace tessera::apps {

std::vector<std::string> split_names(const std::string& text) {
  std::vector<std::string> names;
  for (size_t begin = 0; !text.empty() && begin <= text.size();) {
    const size_t end = std::min(text.find(',', begin), text.size());
    const size_t first = text.find_first_not_of(' ', begin), last = text.find_last_not_of(' ', end - 1);
    if (first >= end || last < first) throw UserError("[plan] a name is missing in '{}'; want names as in a,b", text);
    names.push_back(text.substr(first, last - first + 1));
    begin = end + 1;
  }
  return names;
}

plan::LadderMethod parse_method(const std::string& word) {
  if (word == "best") return plan::LadderMethod::best;
  if (word == "paper") return plan::LadderMethod::paper;
  throw UserError("[plan] method '{}'; want best or paper", word);
}

std::string points(const std::optional<double>& fraction) {
  return fraction ? fmt::format("{:.1f}", 100 * *fraction) : "";
}

std::string columns(const std::vector<std::string>& header, const std::vector<std::vector<std::string>>& rows) {
  std::vector<size_t> widths(header.size(), 0);
  for (size_t c = 0; c < header.size(); ++c) {
    for (const auto& row : rows) widths[c] = std::max(widths[c], row[c].size());
    if (widths[c] > 0) widths[c] = std::max(widths[c], header[c].size());
  }
  const auto add = [&](const std::vector<std::string>& row) {
    std::string line = fmt::format("  {:<{}}", row[0], widths[0]);
    for (size_t c = 1; c < row.size(); ++c) {
      if (widths[c] > 0) line += fmt::format("  {:>{}}", row[c], widths[c]);
    }
    line.erase(line.find_last_not_of(' ') + 1);
    return line + '\n';
  };
  std::string text = add(header);
  for (const auto& row : rows) text += add(row);
  return text;
}

void print_warnings(const std::vector<std::string>& warnings) {
  for (const std::string& warning : warnings) log_warning("{}", warning);
}

}  // namespace tessera::apps
