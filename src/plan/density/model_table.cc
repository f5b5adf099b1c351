// Columns are found by name; one that is nearly a name that is missing is taken for a slip of the pen.
#include "plan/density/model_table.h"

#include <algorithm>
#include <array>
#include <set>

#include "core/error.h"
#include "core/fields.h"
#include "plan/csv.h"

namespace tessera::plan {

namespace {

enum class Kind { score, loss };

struct TaskColumn {
  std::string task;
  Kind kind;
  size_t at;
};

bool contains(const std::vector<std::string>& list, std::string_view item) {
  return std::find(list.begin(), list.end(), item) != list.end();
}

bool is_remark(std::string_view column) {
  for (const std::string_view word :
       {"note", "source", "url", "link", "license", "licence", "comment", "lr", "batch"}) {
    if (column.find(word) != std::string_view::npos) return true;
  }
  return false;
}

std::optional<std::string_view> without(std::string_view name, std::string_view suffix) {
  if (name.size() <= suffix.size() || name.substr(name.size() - suffix.size()) != suffix) return std::nullopt;
  return name.substr(0, name.size() - suffix.size());
}

/// Columns whose every cell is a number or empty.
std::vector<bool> numeric_columns(std::string_view text, const std::string& source) {
  CsvReader csv(text, source);
  std::vector<bool> numeric(csv.columns().size(), true);
  while (csv.next()) {
    for (size_t at = 0; at < numeric.size(); ++at) {
      try {
        if (numeric[at]) csv.number(at);
      } catch (const UserError&) {
        numeric[at] = false;
      }
    }
  }
  return numeric;
}

/// A slip is within two letters of a known name that the table lacks; short names leave less room.
void refuse_misspelt(const CsvReader& csv, const std::string& column) {
  std::vector<std::string> lacking;
  for (const auto* names : {&detail::known_fields(), &detail::known_tasks()}) {
    for (const auto& name : *names) {
      if (!csv.find(name) && !csv.find(name + "_acc")) lacking.push_back(name);
    }
  }
  const std::string nearest = nearest_word(column, lacking);
  if (nearest.empty() || edit_distance(column, nearest) > std::min<size_t>(2, (nearest.size() + 1) / 2)) return;
  throw UserError("[plan] {} has no column '{}' but one named '{}'; is it misspelt?", csv.source(), nearest, column);
}

std::vector<TaskColumn> task_columns(const CsvReader& csv, const std::vector<bool>& numeric, ModelTable& table) {
  std::vector<TaskColumn> found;
  std::set<std::pair<std::string, Kind>> seen;
  for (size_t at = 0; at < csv.columns().size(); ++at) {
    const std::string& column = csv.columns()[at];
    if (contains(detail::known_fields(), column) || is_remark(column) || without(column, "_ce")) continue;
    std::string_view task = column;
    Kind kind = Kind::score;
    for (const std::string_view suffix : {"_loss", "_bpb"}) {
      if (const auto base = without(column, suffix)) {
        task = *base;
        kind = Kind::loss;
      }
    }
    if (const auto base = without(column, "_acc")) task = *base;
    const bool known = contains(detail::known_tasks(), task);
    if (!known) refuse_misspelt(csv, column);
    if (!known && !numeric[at]) {
      table.notes.push_back(fmt::format("column '{}' holds text and was skipped", column));
      continue;
    }
    if (!seen.insert({std::string(task), kind}).second) {
      throw UserError("[plan] {} gives the {} of '{}' in two columns; the second is '{}'", csv.source(),
                      kind == Kind::loss ? "loss" : "score", task, column);
    }
    found.push_back({std::string(task), kind, at});
  }
  return found;
}

struct FieldColumns {
  size_t name, params;
  std::optional<size_t> family, tokens, released;
};

ModelRow read_row(const CsvReader& csv, const FieldColumns& columns, const std::vector<TaskColumn>& tasks) {
  ModelRow row;
  row.where = fmt::format("{} line {}", csv.source(), csv.line());
  row.name = csv.cell(columns.name);
  if (row.name.empty()) csv.fail(columns.name, "is empty, want the model's name");
  if (const auto fault = detail::name_fault(row.name); !fault.empty()) csv.fail(columns.name, fault);
  row.n = csv.count(columns.params);
  if (columns.family) row.family = csv.cell(*columns.family);
  if (const auto fault = detail::name_fault(row.family); !fault.empty()) csv.fail(*columns.family, fault);
  if (columns.tokens && csv.number(*columns.tokens)) row.tokens = csv.count(*columns.tokens);
  if (columns.released && !csv.cell(*columns.released).empty()) {
    row.released = parse_date(csv.cell(*columns.released));
    if (!row.released) {
      csv.fail(*columns.released, fmt::format("got '{}', want a date such as 2023-02-24 or 2023-02",
                                              csv.cell(*columns.released).substr(0, 40)));
    }
  }
  for (const TaskColumn& column : tasks) {
    const bool is_loss = column.kind == Kind::loss;
    const auto value = is_loss ? csv.loss(column.at) : csv.score(column.at);
    if (value) (is_loss ? row.losses : row.scores)[column.task] = *value;
  }
  return row;
}

ModelTable parse_csv_models(std::string_view text, const std::string& source) {
  CsvReader csv(text, source);
  for (const auto& column : csv.columns()) {
    const std::string fault = detail::name_fault(column);
    if (!fault.empty()) throw UserError("[plan] {}: a column's name {}", source, fault);
  }
  ModelTable table;
  table.source = source;
  const FieldColumns columns{.name = csv.require("name"),
                             .params = csv.require("n_params"),
                             .family = csv.find("family"),
                             .tokens = csv.find("tokens"),
                             .released = csv.find("released")};
  const auto tasks = task_columns(csv, numeric_columns(text, source), table);
  const bool has_score = std::any_of(tasks.begin(), tasks.end(), [](const auto& t) { return t.kind == Kind::score; });
  if (!has_score) {
    throw UserError("[plan] {} has no score: want columns such as mmlu or bbh, got '{}'", source,
                    fmt::join(csv.columns(), ", "));
  }
  while (csv.next()) table.models.push_back(read_row(csv, columns, tasks));
  if (table.models.empty()) throw UserError("[plan] {} has a header and no rows; want a model per row", source);
  return table;
}

/// Names are printed, and JSON must be able to hold them.
void require_printable(std::string_view text, const std::string& source) {
  require_utf8(text, source);
  const auto control = [](unsigned char c) { return (c < 32 && c != '\t' && c != '\n' && c != '\r') || c == 127; };
  const auto at = std::find_if(text.begin(), text.end(), control);
  if (at == text.end()) return;
  throw UserError("[plan] {} line {} holds a control character, want plain UTF-8 text", source,
                  count_lines(text.substr(0, static_cast<size_t>(at - text.begin()))) + 1);
}

bool is_ladder(std::string_view text, const std::string& source) {
  const CsvReader csv(text, source);
  return csv.find("run") && csv.find("role");
}

/// The same model at the same tokens is one row too many; at other tokens it is another reference point.
void refuse_twice(const ModelTable& table) {
  std::map<std::pair<std::string, double>, const ModelRow*> seen;
  for (const ModelRow& row : table.models) {
    const double tokens = std::isnan(row.tokens) ? 0 : row.tokens;
    const auto [at, fresh] = seen.try_emplace({detail::lower(row.name), tokens}, &row);
    if (fresh) continue;
    throw UserError("[plan] {} and {} are the same model, '{}'; keep one", at->second->where, row.where, row.name);
  }
}

}  // namespace

namespace detail {

const std::vector<std::string>& known_fields() {
  static const std::vector<std::string> names = {"name", "family", "n_params", "tokens", "released", "notes"};
  return names;
}

const std::vector<std::string>& known_tasks() {
  static const std::vector<std::string> names = {
      "mmlu",     "bbh",  "math",     "humaneval",  "mbpp",    "gsm8k",      "hellaswag",  "arc_challenge",
      "arc_easy", "piqa", "csqa",     "socialiqa",  "boolq",   "winogrande", "openbookqa", "mmlu_pro",
      "mmmu",     "gpqa", "triviaqa", "truthfulqa", "agieval", "c_eval",     "cmmlu"};
  return names;
}

std::string name_fault(std::string_view name) {
  const bool plain = std::none_of(name.begin(), name.end(), [](unsigned char c) { return c < 32 || c == 127; });
  return plain ? "" : "holds a line end or another control character, want one line of text";
}

std::string lower(std::string_view text) {
  std::string result(text);
  for (char& c : result) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  return result;
}

void note_tasks(ModelTable& table) {
  for (const ModelRow& row : table.models) {
    for (const auto& [task, score] : row.scores) {
      if (!contains(table.tasks, task)) table.tasks.push_back(task);
    }
  }
}

}  // namespace detail

std::vector<ModelRow> ladder_models(const LadderTable& table) {
  std::vector<ModelRow> models;
  for (const auto* runs : {&table.runs, &table.targets}) {
    for (const LadderRun& run : *runs) {
      ModelRow row{.name = run.name, .family = "ladder", .n = run.params, .tokens = run.final_tokens()};
      if (runs == &table.targets) row.family = "target";
      row.where = fmt::format("{} run '{}'", table.source, run.name);
      for (size_t t = 0; t < table.tasks.size(); ++t) {
        const double score = mean_at_end(run.tokens, run.tasks[t].acc),
                     loss = mean_at_end(run.tokens, run.tasks[t].bpb);
        if (!std::isnan(score)) row.scores[table.tasks[t]] = score;
        if (!std::isnan(loss)) row.losses[table.tasks[t]] = loss;
      }
      models.push_back(std::move(row));
    }
  }
  return models;
}

void add_models(std::vector<ModelRow>& models, const std::vector<ModelRow>& more) {
  for (const ModelRow& row : more) {
    for (const ModelRow& other : models) {
      if (detail::lower(other.name) != detail::lower(row.name)) continue;
      throw UserError("[plan] {} and {} are the same model, '{}'; keep one", other.where, row.where, row.name);
    }
    models.push_back(row);
  }
}

ModelTable parse_models(std::string_view text, const std::string& source) {
  require_printable(text, source);
  const size_t start = text.find_first_not_of(" \t\r\n\xEF\xBB\xBF");
  ModelTable table;
  if (start != std::string_view::npos && (text[start] == '{' || text[start] == '[')) {
    table = detail::parse_json_models(text.substr(start), source);
  } else if (is_ladder(text, source)) {
    LadderTable ladder = parse_ladder_table(text, source);
    table.source = source;
    table.models = ladder_models(ladder);
    table.notes = ladder.notes;
    table.ladder = std::move(ladder);
  } else {
    table = parse_csv_models(text, source);
  }
  refuse_twice(table);
  detail::note_tasks(table);
  return table;
}

ModelTable read_models(const Path& path) {
  const MappedFile file(path);
  return parse_models(file.bytes(), path.string());
}

}  // namespace tessera::plan
