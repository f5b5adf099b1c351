// `tessera eval` on words: choice and perplexity, and their rows for `tessera plan`.
#include <optional>

#include "apps/eval_tasks.h"
#include "apps/text_request.h"
#include "core/counted.h"
#include "core/error.h"
#include "core/files.h"
#include "core/json_rows.h"
#include "core/log.h"
#include "core/progress.h"
#include "eval/choice.h"
#include "eval/ladder_row.h"
#include "eval/perplexity.h"
#include "tensor/device.h"

namespace tessera::apps {

Json model_facts(const EvalOptions& options) {
  Json facts = Json::object();
  if (options.row.params > 0) facts["n_params"] = options.row.params;
  else if (const auto counted = eval::non_embedding_parameters(options.model)) facts["n_params"] = *counted;
  if (options.row.tokens > 0) facts["tokens"] = options.row.tokens;
  return facts;
}

Json both(const eval::Interval& interval) { return {interval.low, interval.high}; }

const Writes& writing_model(const LoadedModel& model, const EvalOptions& options) {
  if (model.writes() == nullptr)
    throw UserError("[eval] {} ({}) does not write; task {} wants a model that does", options.model.string(),
                    model.model_type(), options.task);
  return *model.writes();
}

const Path& data_of(const EvalOptions& options, const char* what) {
  if (options.text.data.size() != 1)
    throw UserError("[eval] task {} wants one --data, {}; got {}", options.task, what, options.text.data.size());
  return options.text.data.front();
}

void check_row(const EvalOptions& options) {
  const EvalRowOptions& row = options.row;
  if (row.append.empty()) return;
  if (!(row.tokens > 0))
    throw UserError("[eval] --append wants --tokens, how many the model was trained on; got {}", row.tokens);
  if (row.role != "train" && row.role != "target")
    throw UserError("[eval] role is '{}', want train or target", row.role);
  require_writable(row.append, "eval");
}

void append_row(const EvalOptions& options, const std::map<std::string, double>& cells) {
  const EvalRowOptions& row = options.row;
  if (row.append.empty()) return;
  const Path directory = std::filesystem::weakly_canonical(options.model);
  double params = row.params;
  if (params == 0) {
    const auto counted = eval::non_embedding_parameters(options.model);
    if (!counted)
      throw UserError("[eval] {} holds packed weights, whose number does not show; give --params",
                      options.model.string());
    params = static_cast<double>(*counted);
  }
  eval::append_ladder_row(row.append, {.run = row.run.empty() ? directory.filename().string() : row.run,
                                       .role = row.role,
                                       .params = params,
                                       .tokens = row.tokens,
                                       .cells = cells});
  log_info("row of {} tokens in {}", row.tokens, row.append.string());
}

namespace {
std::string answers_text(const std::vector<eval::ChoiceRow>& rows, const eval::ChoiceResult& result) {
  std::string text;
  for (size_t i = 0; i < rows.size(); ++i) {
    const eval::ChoiceOutcome& outcome = result.outcomes[i];
    const Json line = {{"place", rows[i].where}, {"answer", rows[i].answer},         {"nats", outcome.nats},
                       {"right", outcome.right}, {"right_norm", outcome.right_norm}, {"bpb", outcome.bpb}};
    text += json_row(line);
  }
  return text;
}
}  // namespace

Json measure_choice(const EvalOptions& options) {
  const Path& data = data_of(options, "a JSONL file of questions");
  check_row(options);
  if (!options.world.answers.empty()) require_writable(options.world.answers, "eval");
  eval::ChoiceTask task{.rows = eval::read_choice_rows(data), .shots = options.text.shots};
  if (const int64_t count = count_or(options, 0); count > 0 && count < std::ssize(task.rows))
    task.rows.resize(static_cast<size_t>(count));
  if (!options.text.examples.empty()) task.examples = eval::read_choice_rows(options.text.examples);
  const auto model =
      load_model(options.model, parse_device(options.compute.device), {.adapters = adapter_paths(options.adapter)});
  Progress progress("score", std::ssize(task.rows), "questions");
  task.on_progress = [&](int64_t done) { progress.update(done); };
  const eval::ChoiceResult result = eval::measure_choice(writing_model(*model, options), task);
  progress.finish();
  if (!options.world.answers.empty()) write_file_atomically(options.world.answers, answers_text(task.rows, result));
  fmt::print("{}\naccuracy                      {:.4f}  [{:.4f}, {:.4f}]\n", counted(result.count, "question"),
             result.acc, result.acc_interval.low, result.acc_interval.high);
  fmt::print("accuracy, length-normalised   {:.4f}  [{:.4f}, {:.4f}]\n", result.acc_norm, result.acc_norm_interval.low,
             result.acc_norm_interval.high);
  fmt::print("bits per byte of the answer   {:.4f}  [{:.4f}, {:.4f}]\n", result.bpb.mean, result.bpb.interval.low,
             result.bpb.interval.high);
  const std::string name = options.row.name.empty() ? data.stem().string() : options.row.name;
  append_row(options,
             {{name + "_bpb", result.bpb.mean}, {name + "_acc", result.acc_norm}, {name + "_ce", result.ce.mean}});
  Json line = model_facts(options);
  line.update({{"task", name},  // of the table, so that the line is a result for `tessera plan density`
               {"measure", "choice"},
               {"positions", result.positions},  // that went through the model
               {"accuracy", result.acc_norm},
               {"bits_per_byte", result.bpb.mean},
               {"data", data.string()},
               {"count", result.count},
               {"shots", task.shots},
               {"acc", result.acc},
               {"acc_interval", both(result.acc_interval)},
               {"acc_norm", result.acc_norm},
               {"acc_norm_interval", both(result.acc_norm_interval)},
               {"bpb", result.bpb.mean},
               {"bpb_interval", both(result.bpb.interval)},
               {"ce", result.ce.mean}});
  return line;
}

Json measure_perplexity(const EvalOptions& options) {
  const Path& data = data_of(options, "a text file or a folder of them");
  check_row(options);
  eval::PerplexityTask task{
      .documents = eval::read_documents(data), .window = options.text.window, .stride = options.text.stride};
  const auto model =
      load_model(options.model, parse_device(options.compute.device), {.adapters = adapter_paths(options.adapter)});
  std::optional<Progress> progress;
  task.on_progress = [&](int64_t done, int64_t total) {
    if (!progress) progress.emplace("score", total, "windows");
    progress->update(done);
  };
  const eval::PerplexityResult result = eval::measure_perplexity(writing_model(*model, options), task);
  progress.reset();
  fmt::print("{}, {} in {}\n", counted(result.tokens, "token"), counted(result.bytes, "byte"),
             counted(result.documents, "document"));
  const auto [low, high] = result.nats_interval;
  const std::string interval = low < high ? fmt::format("  [{:.4f}, {:.4f}]", low, high) : "";  // one window has none
  fmt::print("nats per token  {:.4f}{}\nperplexity      {:.4f}\nbits per byte   {:.4f}\n", result.nats_per_token,
             interval, result.perplexity, result.bits_per_byte);
  append_row(options, {{"c4_loss", result.nats_per_token}});
  Json line = model_facts(options);
  line.update({{"data", data.string()},
               {"documents", result.documents},
               {"scored_tokens", result.tokens},
               {"scored_bytes", result.bytes},
               {"nats_per_token", result.nats_per_token},
               {"perplexity", result.perplexity},
               {"bits_per_byte", result.bits_per_byte}});
  if (low < high) line["nats_interval"] = both(result.nats_interval);
  return line;
}

}  // namespace tessera::apps
