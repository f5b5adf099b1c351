// `tessera align`: runs the rounds; and what a run's store says, for people and machines.
#include "apps/align.h"

#include "align/export.h"
#include "align/pipeline.h"
#include "align/report.h"
#include "align/run_state.h"
#include "core/counted.h"
#include "core/error.h"
#include "core/interrupt.h"
#include "core/json.h"
#include "core/log.h"
#include "core/progress.h"
#include "tensor/device.h"

namespace tessera::apps {

namespace {
Path store_file(const Path& run) {
  const Path file = align::store_of(run);
  if (!std::filesystem::exists(file))
    throw UserError("[align] {} holds no alignment run; want a directory with store.sqlite", run.string());
  return file;
}
}  // namespace

int run_align_verb(const AlignOptions& options) {
  set_threads(options.threads);
  if (options.recipe.empty()) throw UserError("[align] want a recipe, as in 'tessera align recipes/align-lm.toml'");
  align::AlignRecipe recipe = align::read_align_recipe(options.recipe, options.set);
  if (!options.out.empty()) recipe.out = options.out.string();
  const align::AlignResult result = align::run_align(recipe, parse_device(options.device));
  if (result.interrupted) log_info("stopped in round {}; go on with the same command", result.rounds + 1);
  else log_info("{} done; the model is in {}", counted(result.rounds, "round"), result.model.string());
  if (options.output.json)
    print_json({{"rounds", result.rounds}, {"interrupted", result.interrupted}, {"model", result.model.string()}});
  return result.interrupted ? interrupted_status : 0;
}

int run_align_status(const AlignStatusOptions& options) {
  const align::Store store(store_file(options.run), /*writable=*/false);
  Json steps = Json::array();
  for (const align::StoredStep& step : store.steps()) {
    const Json detail = parse_json(step.detail, step.name);
    steps.push_back({{"step", step.name}, {"state", step.state}, {"seconds", step.seconds}, {"detail", detail}});
    fmt::print("{:<22} {:<8} {:>8}  {}\n", step.name, step.state, format_duration(step.seconds), align::words_of(step));
  }
  const Json state = align::read_state(options.run);
  if (const std::string words = align::words_of_state(state); !words.empty()) fmt::print("{}\n", words);
  if (options.output.json) {
    print_json({{"steps", steps},
                {"state", state},
                {"seed_prompts", store.count_prompts("seed")},
                {"synthetic_prompts", store.count_prompts("synthetic")}});
  }
  return 0;
}

int run_align_report(const AlignReportOptions& options) {
  const align::Store store(store_file(options.run), /*writable=*/false);
  require_writable(options.out, "align");
  if (options.examples < 0) throw UserError("[align] --examples is {}, want 0 or more", options.examples);
  const Path run = std::filesystem::absolute(options.run).lexically_normal();
  align::write_align_report(
      store, options.out,
      {.examples = options.examples, .name = (run.has_filename() ? run : run.parent_path()).filename().string()});
  fmt::print("{}\n", options.out.string());
  if (options.output.json) print_json({{"out", options.out.string()}});
  return 0;
}

int run_align_export(const AlignExportOptions& options) {
  const align::Store store(store_file(options.run), /*writable=*/false);
  require_writable(options.out, "align");
  if (!options.best.empty() && options.best != "sft" && options.best != "pairs")
    throw UserError("[align] --best is '{}', want sft or pairs", options.best);
  const int64_t rows =
      options.best.empty()
          ? align::export_all(store, options.out)
          : align::export_best(store, options.best == "pairs" ? align::BestForm::pairs : align::BestForm::conversations,
                               options.out);
  fmt::print("{} in {}\n", counted(rows, "row"), options.out.string());
  if (options.output.json) print_json({{"rows", rows}, {"out", options.out.string()}});
  return 0;
}

}  // namespace tessera::apps
