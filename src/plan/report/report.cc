// The page is a string that grows downwards; html() puts head, style and scripts around it.
#include "plan/report/report.h"

#include <algorithm>

#include "core/error.h"
#include "plan/report/assets.h"
#include "plan/report/figure_data.h"

namespace tessera::plan {

namespace {

std::string escaped(std::string_view text) {
  std::string safe;
  safe.reserve(text.size());
  for (const char c : text) {
    if (c == '&') safe += "&amp;";
    else if (c == '<') safe += "&lt;";
    else if (c == '>') safe += "&gt;";
    else if (c == '"') safe += "&quot;";
    else if (c == '\'') safe += "&#39;";
    else safe += c;
  }
  return safe;
}

/// JSON inside <script> ends at the first "</script" even inside quotes, so that every '<' is escaped.
std::string script_safe(const Json& json) {
  const std::string text = json.dump(-1, ' ', false, Json::error_handler_t::replace);
  std::string safe;
  safe.reserve(text.size());
  for (const char c : text) c == '<' ? safe += "\\u003c" : safe += c;
  return safe;
}

std::string table_html(const Table& table) {
  const auto cell = [&](std::string_view tag, size_t column, std::string_view text) {
    const bool numeric = column < table.numeric.size() && table.numeric[column];
    return fmt::format("<{}{}>{}</{}>", tag, numeric ? " class=\"number\"" : "", escaped(text), tag.substr(0, 2));
  };
  std::string out =
      fmt::format("<div class=\"scroll\" tabindex=\"0\"><table{}>\n", table.wrapped ? " class=\"wrapped\"" : "");
  if (!table.caption.empty()) out += fmt::format("<caption><span>{}</span></caption>\n", escaped(table.caption));
  out += "<thead><tr>";
  for (size_t i = 0; i < table.header.size(); ++i) out += cell("th", i, table.header[i]);
  out += "</tr></thead>\n<tbody>\n";
  for (const auto& row : table.rows) {
    out += "<tr>";
    for (size_t i = 0; i < row.size(); ++i) out += cell("td", i, row[i]);
    out += "</tr>\n";
  }
  return out + "</tbody></table></div>\n";
}

/// The title, the place of the plot with its data, the caption, and the data as a table: folded away where there is a
/// plot, in its place where there is none.
std::string figure_html(const Figure& figure, bool plots) {
  std::string out = fmt::format("<figure>\n<h3>{}</h3>\n", escaped(figure.title));
  if (plots)
    out += fmt::format("<div class=\"plot\"></div>\n<script type=\"application/json\">{}</script>\n",
                       script_safe(figure_json(figure)));
  const std::string table = table_html(figure_table(figure));
  if (!plots) out += table;
  if (!figure.caption.empty()) out += fmt::format("<figcaption>{}</figcaption>\n", escaped(figure.caption));
  if (plots) out += fmt::format("<details><summary>Data</summary>\n{}</details>\n", table);
  return out + "</figure>\n";
}

/// Nothing may be loaded from anywhere: the policy makes the browser refuse it even if a text slipped through.
constexpr std::string_view kHead = R"(<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; )"
                                   R"(script-src 'unsafe-inline'; img-src data:">
<link rel="icon" href="data:,">
)";

}  // namespace

std::string percent(double fraction, int decimals) { return fmt::format("{:.{}f}%", 100 * fraction, decimals); }

Report::Report(std::string title, std::string subtitle, std::string maker)
    : title_(std::move(title)), subtitle_(std::move(subtitle)), maker_(std::move(maker)) {}

void Report::section(std::string_view title) { body_ += fmt::format("<h2>{}</h2>\n", escaped(title)); }

void Report::paragraph(std::string_view text) { body_ += fmt::format("<p>{}</p>\n", escaped(text)); }

void Report::note(std::string_view text) { body_ += fmt::format("<p class=\"note\">{}</p>\n", escaped(text)); }

void Report::facts(const std::vector<std::pair<std::string, std::string>>& facts) {
  body_ += "<dl class=\"facts\">\n";
  for (const auto& [label, value] : facts)
    body_ += fmt::format("<div><dt>{}</dt><dd>{}</dd></div>\n", escaped(label), escaped(value));
  body_ += "</dl>\n";
}

void Report::figures(const std::vector<Figure>& figures) {
  if (figures.empty()) return;
  for (const auto& figure : figures) check_figure(figure);
  const bool plots = !plot_scripts().empty();
  const size_t count = figures.size();
  const char* columns = count == 1 || !plots ? "one" : count == 2 || count == 4 ? "two" : "three";
  body_ += fmt::format("<div class=\"figures {}\">\n", columns);
  for (const auto& figure : figures) body_ += figure_html(figure, plots);
  body_ += "</div>\n";
  figure_count_ += count;
}

void Report::table(const Table& table) {
  for (const auto& row : table.rows) {
    if (row.size() != table.header.size())
      throw UserError("[plan] table '{}': a row does not fit; got {} cells, want {}", table.caption, row.size(),
                      table.header.size());
  }
  body_ += table_html(table);
}

std::string Report::html() const {
  const std::string_view scripts = plot_scripts();
  std::string page(kHead);
  page += fmt::format(
      "<meta name=\"generator\" content=\"{}\">\n<title>{}</title>\n<style>\n{}</style>\n</head>\n<body>\n<main>\n",
      escaped(maker_), escaped(title_), page_style());
  page += fmt::format("<header>\n<h1>{}</h1>\n", escaped(title_));
  if (!subtitle_.empty()) page += fmt::format("<p>{}</p>\n", escaped(subtitle_));
  page += "</header>\n";
  if (figure_count_ > 0) {
    page += scripts.empty() ? "<p class=\"note\">This build of Tessera draws no plots (TESSERA_PLOTS=OFF): the data of "
                              "each figure is given as a table.</p>\n"
                            : "<noscript><p class=\"note\">The plots are drawn with JavaScript, which is off here; the "
                              "data of each figure can be unfolded below it.</p></noscript>\n";
  }
  page += body_;
  page += fmt::format("</main>\n<footer>made by {}</footer>\n", escaped(maker_));
  if (figure_count_ > 0 && !scripts.empty()) page += fmt::format("<script>\n{}</script>\n", scripts);
  return page + "</body>\n</html>\n";
}

void write_report(const Report& report, const Path& path) { write_file_atomically(path, report.html()); }

}  // namespace tessera::plan
