// `tessera data prune`: conversations -> scores of two models -> the rows that are kept.
#include "apps/data_prune.h"

#include "core/error.h"
#include "core/files.h"
#include "core/log.h"
#include "core/progress.h"
#include "core/rng.h"
#include "data/chat_jsonl.h"
#include "eval/delta_loss.h"
#include "models/objectives.h"
#include "tensor/device.h"
#include "tensor/model_dir.h"
#include "train/recipe.h"

namespace tessera::apps {

namespace {
/// The model of a directory with the loss that it was trained by; one that says nothing of its training is a language model.
std::unique_ptr<train::Objective> scorer_model(const Path& directory, const SampleSource& source, at::Device device) {
  read_model_directory(directory);  // says what is missing
  train::Recipe recipe;
  const Path own = directory / "recipe.toml";
  recipe.objective = std::filesystem::exists(own) ? train::read_recipe(own).objective : "lm";
  recipe.model = {{"from", directory.string()}};
  return models::make_objective(recipe, source, device);
}

/// A model's weights as far as a file's name and size tell them apart.
std::string identity(const Path& directory) {
  const ModelDirectory model = read_model_directory(directory);
  std::string all = model.config.dump(-1, ' ', false, Json::error_handler_t::replace);
  for (const Path& file : model.weight_files)
    all += fmt::format("|{} {}", file.filename().string(), std::filesystem::file_size(file));
  return fmt::format("{} {:016x}", std::filesystem::weakly_canonical(directory).string(), hash_text(all));
}

std::string source_of(std::string_view line) {
  const Json row = parse_json(line, "row");  // read once already: it is sound
  const auto source = row.find("source");
  return source != row.end() && source->is_string() ? source->get<std::string>() : "";
}

void print_sources(const std::map<std::string, eval::PrunedSource>& sources) {
  for (const auto& [name, source] : sources) {
    fmt::print("{:<24} {:>8} rows  {:>8} kept  mean log(p_large / p_small) {:8.3f}, of the kept {:8.3f}\n",
               name.empty() ? "(no source)" : name, source.rows, source.kept, source.mean_delta,
               source.mean_delta_kept);
  }
}
}  // namespace

int run_data_prune(const DataPruneOptions& options) {
  set_threads(options.threads);
  const at::Device device = parse_device(options.device);
  if (!(options.keep > 0 && options.keep <= 1))
    throw UserError("[prune] keep is {}, want a share above 0 and at most 1", options.keep);
  require_writable(options.out, "prune");
  const Path scores_path = options.scores.empty() ? Path(options.out.string() + ".scores") : options.scores;
  require_writable(scores_path, "prune");
  const data::ChatSource source({.path = options.data.string()});
  const auto large = scorer_model(options.large, source, device), small = scorer_model(options.small, source, device);
  eval::ScoreFile scores(
      scores_path,
      {{"data", source.edition()}, {"large", identity(options.large)}, {"small", identity(options.small)}});

  const auto rows = static_cast<size_t>(source.rows());
  if (!scores.scores().empty()) log_info("{} of {} rows are scored already", scores.scores().size(), rows);
  Progress progress("prune", static_cast<int64_t>(rows), "rows", static_cast<int64_t>(scores.scores().size()));
  eval::score_rows(
      scores, rows, [&](size_t i) { return std::pair(source.row(i), source_of(source.line(i))); },
      eval::scorer_of(*large), eval::scorer_of(*small),
      [&](size_t done) { progress.update(static_cast<int64_t>(done)); });
  progress.finish();

  const std::vector<size_t> kept = eval::kept_rows(scores.scores(), options.keep, options.per_token);
  std::string text;
  for (const size_t i : kept) text += std::string(source.line(i)) + "\n";
  write_file_atomically(options.out, text);
  const auto sources = eval::pruned_sources(scores.scores(), kept, options.per_token);
  print_sources(sources);
  fmt::print("{} of {} rows in {}\n", kept.size(), rows, options.out.string());
  if (options.output.json) {
    Json by_source = Json::object();
    for (const auto& [name, one] : sources)
      by_source[name] = {{"rows", one.rows}, {"kept", one.kept}, {"mean_delta", one.mean_delta}};
    print_json({{"rows", rows}, {"kept", kept.size()}, {"out", options.out.string()}, {"sources", by_source}});
  }
  return 0;
}

}  // namespace tessera::apps
