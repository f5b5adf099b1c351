// Columns are found by name, each row is checked as it is read, then rows are gathered by run and sorted by tokens.
#include "plan/ladder/ladder_table.h"

#include <algorithm>
#include <array>
#include <iterator>
#include <map>
#include <numeric>
#include <set>
#include <tuple>
#include <utility>

#include <fmt/ranges.h>

#include "core/error.h"
#include "core/fields.h"
#include "plan/csv.h"

namespace tessera::plan {

namespace {

constexpr std::array<std::string_view, 3> kSuffixes = {"_bpb", "_acc", "_ce"};
constexpr std::string_view kScore = "_score";  // any score in [0, 1] stands for an accuracy
constexpr size_t kAccuracy = 1, kLongestName = 100;
constexpr double kMostFlopsPerToken = 1e18;  // beyond are slips, and numbers that overflow
constexpr std::array<std::string_view, 2> kNoisyTasks = {"boolq", "winogrande"};

/// FLOPs per token of the sizes that the ladder paper trained, attention and embeddings included (released with its
/// runs); tables of those runs carry no such column.
constexpr std::array<std::pair<double, double>, 8> kPublishedFlops = {{{190354176, 1903391232},
                                                                       {371262464, 3443922944},
                                                                       {597382464, 5180751744},
                                                                       {758220288, 6373843968},
                                                                       {1279395840, 10109071360},
                                                                       {3169537280, 22970355200},
                                                                       {6887575552, 49412071424},
                                                                       {13202396160, 91335915520}}};

/// Task name and kind of measure of a column, if it is a task's.
std::optional<std::pair<std::string, size_t>> task_column(std::string_view column) {
  for (size_t kind = 0; kind < kSuffixes.size(); ++kind) {
    const std::string_view suffix = kSuffixes[kind];
    if (column.size() > suffix.size() && column.substr(column.size() - suffix.size()) == suffix) {
      return std::pair{std::string(column.substr(0, column.size() - suffix.size())), kind};
    }
  }
  if (column.size() > kScore.size() && column.substr(column.size() - kScore.size()) == kScore) {
    return std::pair{std::string(column.substr(0, column.size() - kScore.size())), kAccuracy};
  }
  return std::nullopt;
}

/// Column of each measure in the file.
struct Columns {
  size_t run, role, params, tokens;
  std::optional<size_t> size, loss, flops_per_token;
  std::vector<std::array<std::optional<size_t>, 3>> tasks;
};

/// "mmlu_accuracy" where no column is "mmlu_acc".
void refuse_spelt_out(const CsvReader& csv, const std::string& name) {
  constexpr std::string_view ending = "_accuracy";
  if (name.size() <= ending.size() || !name.ends_with(ending)) return;
  const std::string task = name.substr(0, name.size() - ending.size());
  const std::string want = task + std::string(kSuffixes[kAccuracy]);
  if (csv.find(want) || csv.find(task + std::string(kScore))) return;
  throw UserError("[plan] {} has no column '{}' but one named '{}'; is it misspelt?", csv.source(), want, name);
}

/// A column that is nearly what a task still lacks is a slip of the pen, not a note of the user's.
void refuse_misspelt(const CsvReader& csv, const std::vector<std::string>& tasks, const Columns& columns) {
  static const std::set<std::string_view> known = {"run", "role",   "size", "xC",      "n_params",
                                                   "row", "tokens", "lr",   "c4_loss", "flops_per_token"};
  const auto differ = [](const std::string& a, const std::string& b) {  // lengths first: they cost nothing
    return std::max(a.size(), b.size()) - std::min(a.size(), b.size()) > 2 || edit_distance(a, b) > 2;
  };
  const auto is_complete = [&](const std::string& task) {  // nothing that it is called by is a slip
    const auto& measured =
        columns.tasks[static_cast<size_t>(std::find(tasks.begin(), tasks.end(), task) - tasks.begin())];
    return measured[0] && measured[kAccuracy];
  };
  std::vector<std::string> lacking;
  for (size_t t = 0; t < tasks.size(); ++t) {
    for (const size_t kind : {size_t{0}, kAccuracy}) {
      if (!columns.tasks[t][kind]) lacking.push_back(tasks[t] + std::string(kSuffixes[kind]));
    }
  }
  for (const char* name : {"c4_loss", "flops_per_token"}) {
    if (!csv.find(name)) lacking.emplace_back(name);
  }
  for (const std::string& name : csv.columns()) {
    if (known.count(name)) continue;
    refuse_spelt_out(csv, name);
    const auto task = task_column(name);
    if (task && is_complete(task->first)) continue;
    for (const std::string& want : lacking) {
      const auto wanted = task_column(want);
      if (task && (!wanted || wanted->second != task->second)) continue;  // a right suffix is not a slip
      const bool same_start = !task && wanted && name.rfind(want.substr(0, wanted->first.size() + 3), 0) == 0;
      if (!same_start && differ(name, want)) continue;
      throw UserError("[plan] {} has no column '{}' but one named '{}'; is it misspelt?", csv.source(), want, name);
    }
  }
}

Columns find_columns(const CsvReader& csv, std::vector<std::string>& tasks) {
  Columns columns{.run = csv.require("run"),
                  .role = csv.require("role"),
                  .params = csv.require("n_params"),
                  .tokens = csv.require("tokens"),
                  .size = csv.find("size"),
                  .loss = csv.find("c4_loss"),
                  .flops_per_token = csv.find("flops_per_token")};
  for (size_t at = 0; at < csv.columns().size(); ++at) {
    const auto found = task_column(csv.columns()[at]);
    if (!found) continue;
    const auto known = std::find(tasks.begin(), tasks.end(), found->first);
    const auto t = static_cast<size_t>(known - tasks.begin());
    if (known == tasks.end()) {
      tasks.push_back(found->first);
      columns.tasks.emplace_back();
    }
    if (columns.tasks[t][found->second]) {
      throw UserError("[plan] {} has two columns for the {} of {}; keep one", csv.source(),
                      found->second == kAccuracy ? "accuracy or score" : "loss", found->first);
    }
    columns.tasks[t][found->second] = at;
  }
  refuse_misspelt(csv, tasks, columns);
  if (tasks.empty()) {
    throw UserError("[plan] {} has no task: want columns such as mmlu_bpb and mmlu_acc, got '{}'", csv.source(),
                    shown(fmt::format("{}", fmt::join(csv.columns(), ", ")), 200));
  }
  return columns;
}

/// FLOPs per token, where the row says so.
std::optional<double> flops_in(const CsvReader& csv, const std::optional<size_t>& column) {
  const auto value = column ? csv.number(*column) : std::nullopt;
  if (value && !(*value > 0)) csv.fail(*column, fmt::format("got {}, want a number above 0", *value));
  if (value && *value > kMostFlopsPerToken) {
    csv.fail(*column, fmt::format("got {}, want at most {:g}", *value, kMostFlopsPerToken));
  }
  return value;
}

/// Rows of the file by run, before they are sorted.
struct Gathered {
  LadderRun run;
  std::vector<size_t> lines;
  std::optional<double> flops_per_token;  // where the table says so
};

void add_row(const CsvReader& csv, const Columns& columns, Gathered& to) {
  LadderRun& run = to.run;
  const double params = csv.count(columns.params);
  if (run.tokens.empty()) {
    run.params = params;
    run.name = shown(csv.cell(columns.run), kLongestName);
    if (columns.size) run.size = shown(csv.cell(*columns.size), kLongestName);
    run.tasks.resize(columns.tasks.size());
    run.flops_per_token = flops_per_token_of(params);
  } else if (params != run.params) {
    csv.fail(columns.params,
             fmt::format("got {}, but run '{}' has {} in line {}", params, run.name, run.params, to.lines.front()));
  }
  if (const auto flops = flops_in(csv, columns.flops_per_token)) {
    if (*flops != to.flops_per_token.value_or(*flops)) {
      csv.fail(*columns.flops_per_token,
               fmt::format("got {}, but run '{}' has {}", *flops, run.name, run.flops_per_token));
    }
    to.flops_per_token = run.flops_per_token = *flops;
  }
  run.tokens.push_back(csv.count(columns.tokens));
  to.lines.push_back(csv.line());
  if (columns.loss) run.loss.push_back(csv.loss(*columns.loss).value_or(kMissing));
  for (size_t t = 0; t < columns.tasks.size(); ++t) {
    std::vector<double>* series[3] = {&run.tasks[t].bpb, &run.tasks[t].acc, &run.tasks[t].ce};
    for (size_t kind = 0; kind < 3; ++kind) {
      const auto column = columns.tasks[t][kind];
      std::optional<double> value;
      if (column) value = kind == kAccuracy ? csv.score(*column) : csv.loss(*column);
      series[kind]->push_back(value.value_or(kMissing));
    }
  }
}

/// Puts the checkpoints in the order of their tokens; two with the same tokens are an error.
void sort_rows(Gathered& rows, const std::string& source) {
  LadderRun& run = rows.run;
  std::vector<size_t> order(run.tokens.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return run.tokens[a] < run.tokens[b]; });
  for (size_t i = 1; i < order.size(); ++i) {
    if (run.tokens[order[i]] != run.tokens[order[i - 1]]) continue;
    throw UserError("[plan] {} lines {} and {} are the same checkpoint: run '{}' at {} tokens", source,
                    rows.lines[order[i - 1]], rows.lines[order[i]], run.name, run.tokens[order[i]]);
  }
  const auto sort = [&](std::vector<double>& values) {
    if (values.empty()) return;
    std::vector<double> sorted(values.size());
    for (size_t i = 0; i < order.size(); ++i) sorted[i] = values[order[i]];
    values = std::move(sorted);
  };
  for (TaskSeries& task : run.tasks) {
    sort(task.bpb);
    sort(task.acc);
    sort(task.ce);
  }
  sort(run.loss);
  sort(run.tokens);
}

/// From small to large, so that the order of the file's rows says nothing.
void sort_runs(std::vector<LadderRun>& runs) {
  std::sort(runs.begin(), runs.end(), [](const LadderRun& a, const LadderRun& b) {
    return std::forward_as_tuple(a.params, a.final_tokens(), a.name) <
           std::forward_as_tuple(b.params, b.final_tokens(), b.name);
  });
}

/// The first few by name, the others in one line.
void note_other_roles(const std::map<std::string, size_t, std::less<>>& roles, std::vector<std::string>& notes) {
  constexpr size_t named = 3;
  size_t at = 0, others = 0;
  for (const auto& [role, count] : roles) {
    if (at++ >= named) {
      others += count;
      continue;
    }
    notes.push_back(fmt::format("{} rows with role '{}' were skipped (train and target are used)", count, shown(role)));
  }
  if (others > 0) notes.push_back(fmt::format("{} rows with {} other roles were skipped", others, at - named));
}

}  // namespace

double flops_per_token_of(double params) {
  for (const auto& [published, flops] : kPublishedFlops) {
    if (params == published) return flops;
  }
  return 6 * params;
}

std::optional<size_t> LadderTable::find_task(std::string_view name) const {
  const auto found = std::find(tasks.begin(), tasks.end(), name);
  if (found == tasks.end()) return std::nullopt;
  return static_cast<size_t>(found - tasks.begin());
}

const LadderRun* LadderTable::find_target(double params, double tokens) const {
  const auto within = [](double a, double b) { return std::abs(a - b) <= 0.01 * b; };
  for (const LadderRun& run : targets) {
    if (within(run.params, params) && within(run.final_tokens(), tokens)) return &run;
  }
  return nullptr;
}

LadderTable parse_ladder_table(std::string_view text, const std::string& source) {
  CsvReader csv(text, source);
  LadderTable table;
  table.source = source;
  const Columns columns = find_columns(csv, table.tasks);
  table.has_loss = columns.loss.has_value();
  std::vector<std::pair<bool, Gathered>> gathered;  // is a target, rows; in the order of first appearance
  std::map<std::string, size_t, std::less<>> by_name;
  std::map<std::string, size_t, std::less<>> other_roles;
  while (csv.next()) {
    const std::string_view role = csv.cell(columns.role), name = csv.cell(columns.run);
    if (role != "train" && role != "target") {
      ++other_roles[std::string(role)];
      continue;
    }
    if (name.empty()) csv.fail(columns.run, "is empty, want the run's name");
    if (name.size() > kLongestName)
      csv.fail(columns.run,
               fmt::format("'{}' is {} bytes long, want a name of at most {}", shown(name), name.size(), kLongestName));
    const auto [at, fresh] = by_name.try_emplace(std::string(role) + '\n' + shown(name, kLongestName), gathered.size());
    if (fresh) gathered.push_back({role == "target", {}});
    add_row(csv, columns, gathered[at->second].second);
  }
  for (auto& [is_target, rows] : gathered) {
    sort_rows(rows, source);
    (is_target ? table.targets : table.runs).push_back(std::move(rows.run));
  }
  sort_runs(table.runs);
  sort_runs(table.targets);
  note_other_roles(other_roles, table.notes);
  if (table.runs.empty()) {
    throw UserError("[plan] {} has no row with role 'train': there is no ladder to learn from", source);
  }
  return table;
}

LadderTable read_ladder_table(const Path& path) {
  const MappedFile file(path);
  return parse_ladder_table(file.bytes(), path.string());
}

std::vector<size_t> default_tasks(const LadderTable& table, std::vector<std::string>& notes) {
  std::vector<size_t> chosen;
  std::vector<std::string> constant;
  for (size_t t = 0; t < table.tasks.size(); ++t) {
    const std::string& name = table.tasks[t];
    std::set<double> seen;
    size_t measured = 0;
    for (const LadderRun& run : table.runs) {
      for (const double value : run.tasks[t].acc) {
        if (std::isnan(value)) continue;
        ++measured;
        if (seen.size() < 2) seen.insert(value);
      }
    }
    if (seen.empty()) {
      notes.push_back(fmt::format("{}: left out, it lacks accuracy", name));
    } else if (std::find(kNoisyTasks.begin(), kNoisyTasks.end(), name) != kNoisyTasks.end()) {
      notes.push_back(fmt::format("{}: left out as noisy; name it in --tasks to have it", name));
    } else if (seen.size() < 2 && measured > 1) {
      constant.push_back(name);
    } else {
      chosen.push_back(t);
    }
  }
  if (!constant.empty()) {
    notes.push_back(fmt::format("left out, all rungs have one and the same accuracy: {}", fmt::join(constant, ", ")));
  }
  return chosen;
}

double mean_at_end(const std::vector<double>& tokens, const std::vector<double>& values, size_t count) {
  double sum = 0, end = tokens.empty() ? 0 : tokens.back();
  size_t found = 0;
  for (size_t i = values.size(); i-- > 0 && found < count && tokens[i] > (1 - kReach) * end;) {
    if (!std::isnan(values[i])) {
      sum += values[i];
      ++found;
    }
  }
  return found ? sum / static_cast<double>(found) : kMissing;
}

std::optional<double> chance_of(std::string_view task) {
  static constexpr std::pair<std::string_view, double> known[] = {
      {"mmlu", .25},       {"hellaswag", .25},    {"arc_challenge", .25}, {"arc_easy", .25},
      {"openbookqa", .25}, {"piqa", .5},          {"boolq", .5},          {"winogrande", .5},
      {"csqa", .2},        {"socialiqa", 1. / 3}, {"siqa", 1. / 3},       {"commonsenseqa", .2},
      {"math", 0},         {"gsm8k", 0},          {"humaneval", 0},       {"mbpp", 0},
      {"mmlu_pro", .1},    {"gpqa", .25},         {"triviaqa", 0},        {"nq", 0},
      {"drop", 0},         {"agieval", .25},      {"truthfulqa", .25},    {"c_eval", .25},
      {"cmmlu", .25},
  };
  const auto* found = std::find_if(std::begin(known), std::end(known), [&](const auto& k) { return k.first == task; });
  return found == std::end(known) ? std::nullopt : std::optional(found->second);
}

}  // namespace tessera::plan
