// `tessera data prune`: conversations -> scores of two models -> the rows that are kept.
#include "apps/data_prune.h"

#include "core/error.h"
#include "core/files.h"
#include "core/log.h"
#include "core/progress.h"
#include "core/rng.h"
#include "data/chat_jsonl.h"
#include "data/numbers_file.h"
#include "data/source.h"
#include "eval/delta_loss.h"
#include "models/registry.h"
#include "tensor/device.h"
#include "tensor/model_dir.h"
#include "train/recipe.h"

namespace tessera::apps {

namespace {
/// The model of a directory with the loss that it was trained by; where it has no recipe, with that of its type.
std::unique_ptr<train::Objective> scorer_model(const Path& directory, const DataPruneOptions& options,
                                               const SampleSource& source, at::Device device) {
  const ModelDirectory found = read_model_directory(directory);
  train::Recipe recipe;
  if (!options.data.empty()) recipe.data.kind = "chat";
  recipe.model = {{"from", directory.string()}};
  const Path own = directory / "recipe.toml";
  if (!std::filesystem::exists(own)) {
    recipe.objective = models::objective_of(found);
  } else {
    const train::Recipe made_by = train::read_recipe(own);
    recipe.objective = made_by.objective;
    if (made_by.model.contains("chat_template")) recipe.model["chat_template"] = made_by.model["chat_template"];
  }
  return models::make_objective(recipe, source, device);
}

/// Tells a model's weights apart from others, by their bytes.
std::string identity(const Path& directory) {
  const ModelDirectory model = read_model_directory(directory);
  std::string all = model.config.dump(-1, ' ', false, Json::error_handler_t::replace);
  for (const Path& file : model.weight_files)
    all += fmt::format("|{} {:016x}", file.filename().string(), data::quick_hash(MappedFile(file).bytes()));
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

void report(const DataPruneOptions& options, const std::vector<eval::DeltaScore>& scores,
            const std::vector<size_t>& kept) {
  const auto sources = eval::pruned_sources(scores, kept, options.per_token);
  print_sources(sources);
  fmt::print("{} of {} rows in {}\n", kept.size(), scores.size(), options.out.string());
  if (!options.output.json) return;
  Json by_source = Json::object();
  for (const auto& [name, one] : sources)
    by_source[name] = {{"rows", one.rows}, {"kept", one.kept}, {"mean_delta", one.mean_delta}};
  print_json({{"rows", scores.size()}, {"kept", kept.size()}, {"out", options.out.string()}, {"sources", by_source}});
}

/// What is pruned: rows of a file, or samples of a recipe's data.
struct Material {
  std::shared_ptr<const SampleSource> source;
  size_t count = 0;
  std::function<std::pair<Sample, std::string>(size_t)> sample;  // with the name of its sub-dataset
  std::function<std::string(size_t)> line;                       // as it is written when it is kept
};

Material material_of(const DataPruneOptions& options) {
  if (options.data.empty() == options.recipe.empty())
    throw UserError("[prune] want --data FILE or --recipe FILE (and not both)");
  if (options.samples < 0) throw UserError("[prune] samples is {}, want 0 or more", options.samples);
  if (!options.data.empty()) {
    if (!std::filesystem::is_regular_file(options.data))
      throw UserError("[prune] --data is {}, which is no file", options.data.string());
    const auto rows = std::make_shared<const data::ChatSource>(data::ChatOptions{.path = options.data.string()});
    return {rows, static_cast<size_t>(rows->rows()),
            [rows](size_t i) { return std::pair(rows->row(i), source_of(rows->line(i))); },
            [rows](size_t i) { return std::string(rows->line(i)); }};
  }
  const std::shared_ptr<const SampleSource> source = data::make_source(train::read_recipe(options.recipe).data);
  const auto count = options.samples > 0 ? static_cast<size_t>(options.samples)
                                         : static_cast<size_t>(source->pass_length().value_or(0));
  if (count == 0) throw UserError("[prune] {}'s data have no end; want --samples N", options.recipe.string());
  return {source, count,
          [source](size_t i) {
            Sample sample = source->at(i);
            std::string part = sample.part;
            return std::pair(std::move(sample), std::move(part));
          },
          [](size_t i) { return std::to_string(i); }};
}
}  // namespace

int run_data_prune(const DataPruneOptions& options) {
  set_threads(options.threads);
  const at::Device device = parse_device(options.device);
  if (!(options.keep > 0 && options.keep <= 1))
    throw UserError("[prune] keep is {}, want a share above 0 and at most 1", options.keep);
  std::error_code none;  // where one of them is not there
  if (!options.data.empty() && std::filesystem::equivalent(options.data, options.out, none))
    throw UserError("[prune] --out {} is the file that is read; want another one", options.out.string());
  require_writable(options.out, "prune");
  const Path scores_path = options.scores.empty() ? Path(options.out.string() + ".scores") : options.scores;
  require_writable(scores_path, "prune");
  const Material material = material_of(options);
  const auto large = scorer_model(options.large, options, *material.source, device),
             small = scorer_model(options.small, options, *material.source, device);
  eval::ScoreFile scores(
      scores_path,
      {{"data", material.source->edition()},
       {"recipe", options.recipe.empty() ? "" : fmt::format("{:016x}", hash_text(read_file(options.recipe)))},
       {"large", identity(options.large)},
       {"small", identity(options.small)}});
  const auto scored = static_cast<int64_t>(scores.scores().size());
  if (scored > 0) log_info("{} of {} rows are scored already", scored, material.count);
  Progress progress("prune", static_cast<int64_t>(material.count), "rows", scored);
  eval::score_rows(scores, material.count, material.sample, eval::scorer_of(*large), eval::scorer_of(*small),
                   [&](size_t done) { progress.update(static_cast<int64_t>(done)); });
  progress.finish();

  const std::vector<size_t> kept = eval::kept_rows(scores.scores(), options.keep, options.per_token);
  std::string text;
  for (const size_t i : kept) text += material.line(i) + "\n";
  write_file_atomically(options.out, text);
  report(options, scores.scores(), kept);
  return 0;
}

}  // namespace tessera::apps
