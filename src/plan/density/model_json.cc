// Models from JSON: written by hand, or as `tessera eval --json` prints them, one object a task.
#include <algorithm>

#include "core/json.h"
#include "core/text_file.h"
#include "plan/density/model_table.h"

namespace tessera::plan {

namespace {

/// One object and its position in the file.
struct Entry {
  const Json& object;
  std::string where;

  [[noreturn]] void fail(const std::string& key, const std::string& what) const {
    throw UserError("[plan] {}, '{}': {}", where, key, what);
  }
  std::optional<double> number(const std::string& key) const {
    const auto found = object.find(key);
    if (found == object.end() || found->is_null()) return std::nullopt;
    if (!found->is_number()) fail(key, fmt::format("got {}, want a number", found->dump().substr(0, 40)));
    return found->get<double>();
  }
  std::optional<std::string> text(const std::string& key) const {
    const auto found = object.find(key);
    if (found == object.end() || found->is_null()) return std::nullopt;
    if (!found->is_string()) fail(key, fmt::format("got {}, want a text", found->dump().substr(0, 40)));
    return found->get<std::string>();
  }
};

std::string task_name(const std::string& written) {
  std::string name = detail::lower(written);
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
}

void add_score(const Entry& entry, ModelRow& row, const std::string& task, const std::string& key) {
  const auto score = entry.number(key);
  if (!score) return;
  const std::string fault = score_fault(*score);
  if (!fault.empty()) entry.fail(key, fault);
  if (!row.scores.emplace(task, *score).second) entry.fail(key, fmt::format("'{}' is scored a second time", task));
}

void add_loss(const Entry& entry, ModelRow& row, const std::string& task, const std::string& key) {
  const auto loss = entry.number(key);
  if (!loss) return;
  if (!(*loss > 0)) entry.fail(key, fmt::format("got {}, want a loss above 0", *loss));
  row.losses[task] = *loss;
}

/// {"task": "mmlu", "accuracy": 0.51, "bits_per_byte": 0.75, ...}
void add_result(const Entry& entry, ModelRow& row) {
  const auto task = entry.text("task");
  if (!task) entry.fail("task", "is missing, want the task's name");
  add_score(entry, row, task_name(*task), "accuracy");
  add_loss(entry, row, task_name(*task), "bits_per_byte");
}

void add_scores_by_name(const Entry& entry, ModelRow& row) {
  for (const std::string& task : detail::known_tasks()) {
    for (const char* suffix : {"", "_acc"}) add_score(entry, row, task, task + suffix);
    for (const char* suffix : {"_loss", "_bpb"}) add_loss(entry, row, task, task + suffix);
  }
}

double checked_count(const Entry& entry, const std::string& key, double value) {
  const std::string fault = count_fault(value, key);
  if (!fault.empty()) entry.fail(key, fault);
  return value;
}

/// The row that an object belongs to: a result joins the row of its model, anything else opens a new one.
ModelRow& row_for(const Entry& entry, ModelTable& table) {
  auto name = entry.text("name");
  if (!name) name = entry.text("model");
  if (!name || name->empty()) entry.fail("name", "is missing, want the model's name");
  if (const auto fault = detail::name_fault(*name); !fault.empty()) entry.fail("name", fault);
  const auto known = std::find_if(table.models.begin(), table.models.end(),
                                  [&](const ModelRow& row) { return detail::lower(row.name) == detail::lower(*name); });
  if (known == table.models.end() || !entry.object.contains("task")) {
    table.models.push_back({.name = *name, .where = entry.where});
    return table.models.back();
  }
  return *known;
}

void add_object(const Entry& entry, ModelTable& table) {
  if (!entry.object.is_object()) {
    throw UserError(
        "[plan] {}: got {}, want an object such as {{\"name\": \"mine\", \"n_params\": 1.2e9, \"mmlu\": 0.41}}",
        entry.where, entry.object.dump().substr(0, 40));
  }
  ModelRow& row = row_for(entry, table);
  if (const auto n = entry.number("n_params")) row.n = checked_count(entry, "n_params", *n);
  if (const auto tokens = entry.number("tokens")) row.tokens = checked_count(entry, "tokens", *tokens);
  if (const auto family = entry.text("family")) {
    if (const auto fault = detail::name_fault(*family); !fault.empty()) entry.fail("family", fault);
    row.family = *family;
  }
  if (const auto released = entry.text("released")) {
    row.released = parse_date(*released);
    if (!row.released) {
      entry.fail("released",
                 fmt::format("got '{}', want a date such as 2023-02-24 or 2023-02", released->substr(0, 40)));
    }
  }
  if (entry.object.contains("task")) return add_result(entry, row);
  add_scores_by_name(entry, row);
  const auto results = entry.object.find("results");
  if (results == entry.object.end()) return;
  if (!results->is_array()) entry.fail("results", "want a list of {task, accuracy, bits_per_byte}");
  for (const Json& result : *results) add_result({result, entry.where + " results"}, row);
}

std::vector<Json> lines_of(std::string_view text, const std::string& source) {
  std::vector<Json> values;
  for (size_t number = 1; !text.empty(); ++number) {
    const size_t end = std::min(text.find('\n'), text.size());
    const std::string_view line = text.substr(0, end);
    if (!is_blank(line)) {
      values.push_back(parse_json(line, fmt::format("{} line {}", source, number)));
    }
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return values;
}

/// The whole text as one value or a list of them; when its first line is a complete object, each line as one.
std::vector<Json> values_of(std::string_view text, const std::string& source) {
  const std::string_view first = text.substr(0, text.find('\n'));
  const bool lines = text.size() > first.size() + 1 && Json::accept(first);
  if (lines && first[0] == '{') return lines_of(text, source);
  Json whole = parse_json(text, source);
  if (whole.is_array()) return whole;
  return {std::move(whole)};
}

}  // namespace

namespace detail {

ModelTable parse_json_models(std::string_view text, const std::string& source) {
  ModelTable table;
  table.source = source;
  const std::vector<Json> values = values_of(text, source);
  for (size_t i = 0; i < values.size(); ++i) add_object({values[i], fmt::format("{} object {}", source, i + 1)}, table);
  if (table.models.empty()) throw UserError("[plan] {} holds no model; want an object or a list of them", source);
  for (const ModelRow& row : table.models) {
    if (row.n == 0)
      throw UserError("[plan] {}, '{}' has no n_params; want its number of parameters", row.where, row.name);
    if (row.scores.empty()) {
      throw UserError("[plan] {}, '{}' has no score; want a key such as mmlu or a list of results", row.where,
                      row.name);
    }
  }
  return table;
}

}  // namespace detail

}  // namespace tessera::plan
