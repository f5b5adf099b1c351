// See plan_common.h.
#include "apps/plan_common.h"

#include <charconv>
#include <cmath>

#include "core/error.h"
#include "core/log.h"
#include "plan/quantity.h"

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

namespace {

/// All of `text` as a number; nothing otherwise.
std::optional<double> whole_number(std::string_view text) {
  double value = 0;
  const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || stop != text.data() + text.size()) return std::nullopt;
  return value;
}

}  // namespace

WeightedNames split_weights(const std::string& text) {
  WeightedNames result;
  for (const std::string& each : split_names(text)) {
    const size_t colon = each.rfind(':');
    const auto weight = colon == std::string::npos ? 1 : whole_number(std::string_view(each).substr(colon + 1));
    if (!weight || !(*weight > 0) || !std::isfinite(*weight) || colon == 0) {
      throw UserError("[plan] '{}' among the tasks; want a name, or a name and a weight above 0 as in mmlu:2", each);
    }
    result.names.push_back(each.substr(0, colon));
    result.weights.push_back(*weight);
  }
  return result;
}

std::map<std::string, double> split_fractions(const std::string& text, std::string_view option) {
  std::map<std::string, double> result;
  for (const std::string& each : split_names(text)) {
    const size_t equals = each.rfind('=');
    const auto value =
        equals == std::string::npos ? std::nullopt : whole_number(std::string_view(each).substr(equals + 1));
    if (!value || !(*value >= 0 && *value <= 1) || equals == 0) {
      throw UserError("[plan] --{}: got '{}', want TASK=FRACTION with a fraction from 0 to 1, as in mmlu=.25", option,
                      each);
    }
    result[each.substr(0, equals)] = *value;
  }
  return result;
}

plan::LadderMethod parse_method(const std::string& word) {
  if (word == "best") return plan::LadderMethod::best;
  if (word == "paper") return plan::LadderMethod::paper;
  throw UserError("[plan] method '{}'; want best or paper", word);
}

std::string points(const std::optional<double>& fraction) {
  return fraction ? fmt::format("{:.1f}", 100 * *fraction) : "";
}

std::string interval_header(double coverage) { return plan::level_text(coverage) + " interval"; }

std::string columns(const std::vector<std::string>& header, const std::vector<std::vector<std::string>>& rows,
                    LastColumn last) {
  std::vector<size_t> widths(header.size(), 0);
  for (size_t c = 0; c < header.size(); ++c) {
    for (const auto& row : rows) widths[c] = std::max(widths[c], row[c].size());
    if (widths[c] > 0) widths[c] = std::max(widths[c], header[c].size());
  }
  const auto add = [&](const std::vector<std::string>& row) {
    std::string line = fmt::format("  {:<{}}", row[0], widths[0]);
    for (size_t c = 1; c < row.size(); ++c) {
      if (widths[c] == 0) continue;
      const bool is_text = last == LastColumn::text && c + 1 == row.size();
      line += is_text ? "  " + row[c] : fmt::format("  {:>{}}", row[c], widths[c]);
    }
    line.erase(line.find_last_not_of(' ') + 1);
    return line + '\n';
  };
  std::string text = add(header);
  for (const auto& row : rows) text += add(row);
  return text;
}

int checked_threads(int threads) {
  if (threads >= 0 && threads <= 1024) return threads;
  throw UserError("[plan] --threads is {}, want 0 to 1024", threads);
}

void print_warnings(const std::vector<std::string>& warnings) {
  for (const std::string& warning : warnings) log_warning("{}", warning);
}

}  // namespace tessera::apps
