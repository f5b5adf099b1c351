// `tessera eval --task olmes`: every task is read before the model is loaded, and a task's row is written when it is
// done.
#include "apps/eval_tasks.h"
#include "apps/text_request.h"
#include "core/error.h"
#include "core/files.h"
#include "core/json_rows.h"
#include "core/progress.h"
#include "eval/olmes.h"
#include "tensor/device.h"

namespace tessera::apps {

namespace {
std::string olmes_answers(const eval::OlmesTask& task, const eval::OlmesResult& result) {
  std::string text;
  for (size_t i = 0; i < result.outcomes.size(); ++i) {
    const eval::OlmesOutcome& outcome = result.outcomes[i];
    Json line = {{"task", task.name}, {"place", task.documents[i].where}, {"nats", outcome.nats}};
    if (!outcome.unconditional.empty()) line["unconditional"] = outcome.unconditional;
    if (task.documents[i].answer) line["answer"] = *task.documents[i].answer;
    for (const auto& [metric, right] : outcome.right) line[metric] = right;
    line["bpb"] = outcome.bpb;
    text += json_row(line);
  }
  return text;
}

/// A line of the table.
void print_olmes_task(const eval::OlmesTask& task, const eval::OlmesResult& result) {
  const auto share = [&](const char* metric) {
    const auto found = result.accuracies.find(metric);
    return found == result.accuracies.end() ? std::string("-") : fmt::format("{:.4f}", found->second.share);
  };
  const auto primary = result.accuracies.find(task.primary_metric);
  const bool ranked = primary != result.accuracies.end();
  const double value = ranked ? primary->second.share : result.bpb.mean;
  const eval::Interval interval = ranked ? primary->second.interval : result.bpb.interval;
  fmt::print("{:28} {:16} {:6} {:13} {:.4f} [{:.4f}, {:.4f}] {:>7} {:>7} {:>7} {:>7} {:>7} {:8.4f} {:10} {:10}\n",
             task.name, task.variant, result.count, ranked ? task.primary_metric : "bits_per_byte", value, interval.low,
             interval.high, share("acc_raw"), share("acc_per_char"), share("acc_per_byte"), share("acc_per_token"),
             share("acc_uncond"), result.bpb.mean, result.positions, result.naive_positions);
}

void print_olmes_header() {
  fmt::print("{:28} {:16} {:>6} {:13} {:24} {:>7} {:>7} {:>7} {:>7} {:>7} {:>8} {:>10} {:>10}\n", "task", "variant",
             "count", "primary", "value, 95% interval", "raw", "char", "byte", "token", "uncond", "bpb", "positions",
             "unshared");
}

Json olmes_json(const eval::OlmesTask& task, const eval::OlmesResult& result) {
  Json line = {{"task", task.name},
               {"variant", task.variant},
               {"count", result.count},
               {"bits_per_byte", result.ladder_bpb.mean},  // of `plan density`: as the ladder's
               {"bpb", result.bpb.mean},
               {"bpb_interval", both(result.bpb.interval)},
               {"positions", result.positions},
               {"naive_positions", result.naive_positions},
               {"truncated", result.truncated}};
  if (result.accuracies.empty()) return line;
  line["primary_metric"] = task.primary_metric;
  line["accuracy"] = result.ladder_acc.share;  // of `plan density`, likewise
  for (const auto& [metric, share] : result.accuracies) {
    line[metric] = share.share;
    line[metric + "_interval"] = both(share.interval);
  }
  line["ladder_ce"] = result.ladder_ce.mean;
  double groups = 0;
  for (const auto& [group, share] : result.groups) groups += share.share / static_cast<double>(result.groups.size());
  if (!result.groups.empty()) line["mean_of_subjects"] = groups;
  return line;
}

std::map<std::string, double> olmes_cells(const eval::OlmesTask& task, const eval::OlmesResult& result) {
  std::map<std::string, double> cells{{task.name + "_bpb", result.ladder_bpb.mean}};
  if (result.accuracies.empty()) return cells;
  cells[task.name + "_acc"] = result.ladder_acc.share;
  cells[task.name + "_ce"] = result.ladder_ce.mean;
  return cells;
}

/// A row has one cell for a task: which variant's should it be?
void require_one_variant(const std::vector<eval::OlmesTask>& tasks) {
  std::map<std::string, std::string> variants;
  for (const eval::OlmesTask& task : tasks) {
    if (const auto [found, fresh] = variants.emplace(task.name, task.variant); !fresh)
      throw UserError("[eval] --append has one row for task {}, data have {} and {}; choose one with --variant",
                      task.name, found->second, task.variant);
  }
}
}  // namespace

Json measure_olmes(const EvalOptions& options) {
  if (options.text.data.empty()) throw UserError("[eval] task olmes wants --data, request files or folders of them");
  if (options.olmes.limit < 0) throw UserError("[eval] limit is {}, want 0 (all) or more", options.olmes.limit);
  check_row(options);
  const Path& answers = options.world.answers;
  if (!answers.empty()) require_writable(answers, "eval");
  const std::vector<eval::OlmesTask> tasks =
      eval::read_olmes_tasks({options.text.data, options.olmes.variant, options.olmes.limit});
  if (!options.row.append.empty()) require_one_variant(tasks);
  const auto model =
      load_model(options.model, parse_device(options.compute.device), {.adapters = adapter_paths(options.adapter)});
  const Writes& writes = writing_model(*model, options);
  Json results = Json::array();
  std::string said;
  int64_t positions = 0, naive = 0;
  print_olmes_header();
  for (const eval::OlmesTask& task : tasks) {
    Progress progress(task.name, std::ssize(task.documents), "questions");
    const eval::OlmesResult result = eval::measure_olmes(writes, task, [&](int64_t done) { progress.update(done); });
    progress.finish();
    print_olmes_task(task, result);
    std::fflush(stdout);
    append_row(options, olmes_cells(task, result));
    if (!answers.empty()) write_file_atomically(answers, said += olmes_answers(task, result));
    results.push_back(olmes_json(task, result));
    positions += result.positions;
    naive += result.naive_positions;
  }
  fmt::print("{} positions went through the model, {} without what requests share ({:.1f} times as many)\n", positions,
             naive, static_cast<double>(naive) / static_cast<double>(std::max<int64_t>(1, positions)));
  Json line = model_facts(options);
  line.update({{"measure", "olmes"}, {"positions", positions}, {"naive_positions", naive}, {"results", results}});
  return line;
}

}  // namespace tessera::apps
