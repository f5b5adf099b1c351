// The steps in their order. A step that is done is told by the store and skipped; one that was broken off does what is missing.
#include "align/pipeline.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <new>

#include "align/clusters.h"
#include "align/export.h"
#include "align/pipeline_run.h"
#include "align/synthesis.h"
#include "core/error.h"
#include "core/file_lock.h"
#include "core/json.h"
#include "core/log.h"
#include "core/model_cache.h"
#include "core/text_file.h"
#include "tune/run_recipe.h"

namespace tessera::align {

namespace {
double now() { return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count(); }

/// What a run must have been begun with to go on: all but where it is, and how many rounds.
Json fixed_part(AlignRecipe recipe) {
  recipe.out.clear();
  recipe.rounds = 0;
  return to_json(recipe);
}

/// What a fault says, on one line, in the words of the program.
std::string fault_words(const std::exception& fault) {
  const std::string what = fault.what();
  if (dynamic_cast<const Error*>(&fault) != nullptr) return what;
  if (dynamic_cast<const std::bad_alloc*>(&fault) != nullptr) return "[memory] not enough memory";
  return "[internal] " + what.substr(0, what.find('\n'));  // LibTorch appends its stack
}
}  // namespace

Pipeline::Pipeline(const AlignRecipe& recipe, at::Device device)
    : recipe_(recipe), out_(recipe.out), base_(find_model(recipe.base)), device_(device), store_(store_of(out_)),
      writer_(device) {}

AlignResult Pipeline::run() {
  AlignResult result;
  try {
    run_steps(result);
    write_state(out_, step_, "done");
  } catch (const Interrupted&) {
    result.interrupted = true;
    write_state(out_, step_, "stopped");
  } catch (const std::exception& fault) {
    try {
      write_state(out_, step_, "failed", {{"error", fault_words(fault)}});
    } catch (const std::exception&) {
      // the same: the first fault is told
    }
    throw;
  }
  return result;
}

/// Whatever can be known to be wrong is said before anything is computed.
void Pipeline::run_steps(AlignResult& result) {
  require_same_recipe();
  require_trainable();
  if (!is_done("seeds")) {
    const Inputs inputs = read_inputs(recipe_);
    require_room_for_judge();
    step("seeds", [&](Json& detail) { keep_inputs(inputs, detail); });
  }
  write_file_atomically(out_ / "recipe.toml", to_toml(to_json(recipe_)));
  write_metrics(out_, store_);
  step("prompts", [&](Json& detail) { make_pool(detail); });
  require_pool();
  step("clusters", [&](Json& detail) { make_clusters(detail); });
  for (int64_t i = 0; i < recipe_.answers.sft_models; ++i)
    step(sft_name(i), [&](Json& detail) { train_sft(sft_name(i), data_file("seeds"), recipe_.seed + i, detail); });
  make_judge();
  result.model = model_dir(sft_name(0));
  for (int64_t round = 1; round <= recipe_.rounds; ++round) {
    run_round(round);
    result.model = model_dir(round_name(round));
    result.rounds = round;
  }
}

void Pipeline::require_same_recipe() {
  const std::string stored = store_.note("recipe");
  if (stored.empty()) return;
  const Json before = fixed_part(recipe_of(store_)), now = fixed_part(recipe_);
  for (const auto& [key, value] : now.items()) {
    if (before[key] != value)
      throw UserError("[align] {} was begun with another recipe: '{}' was {}, is {}; choose another --out",
                      out_.string(), key, before[key].dump(), value.dump());
  }
}

/// The base's kind is trained, and the tables say nothing that its objectives do not know.
void Pipeline::require_trainable() const {
  const std::string objective = models::conversation_objective(base_);
  const auto check = [](const char* name, const std::string& trained_by, const TrainingTable& table) {
    models::check_tables(trained_by, table.model, table.loss, fmt::format("[{}] of the recipe", name));
  };
  check("sft", objective, recipe_.sft);
  if (trains_judge(recipe_)) check("judge.training", objective, recipe_.judge.training);
  if (recipe_.method == "dpo") check("dpo", "preference", recipe_.dpo);
}

/// A judge that cannot read a long answer to the end would end the run in the middle of a round.
void Pipeline::require_room_for_judge() {
  if (!trains_judge(recipe_)) return;
  constexpr int64_t template_tokens = 16;
  const Writes& base = writer_.get(base_);
  const auto tokens = [&](const std::string& text) { return std::ssize(base.tokenizer().encode(text)); };
  const Scale& scale = recipe_.judge.scale;
  const int64_t question = tokens(judge_question("", "", scale)) + template_tokens;
  const int64_t score = std::max(tokens(judge_answer(scale.low)), tokens(judge_answer(scale.high)));
  const int64_t wanted = question + recipe_.prompts.max_tokens + recipe_.answers.max_tokens + score;
  if (wanted > base.context())
    throw UserError(
        "[align] the judge reads {} tokens at most (its question {}, prompts.max_tokens {}, answers.max_tokens {}, its "
        "score {}), the context of {} is {}; lower one of the two",
        wanted, question, recipe_.prompts.max_tokens, recipe_.answers.max_tokens, score, recipe_.base, base.context());
}

/// The model may have written fewer prompts than were asked for.
void Pipeline::require_pool() const {
  const int64_t pool = store_.count_prompts("synthetic"), wanted = prompts_wanted(recipe_);
  if (pool < wanted)
    throw UserError(
        "[align] the pool has {} prompts; {} rounds of {} and {} for the judge's distillation want {}: ask for fewer "
        "rounds, or begin another run with more prompts.attempts or a higher prompts.near",
        pool, recipe_.rounds, recipe_.answers.prompts, judge_prompts(recipe_), wanted);
}

bool Pipeline::is_done(const std::string& name) const {
  const auto entry = store_.step(name);
  return entry && entry->state == "done";
}

void Pipeline::step(const std::string& name, const std::function<void(Json& detail)>& work) {
  StoredStep entry = store_.step(name).value_or(StoredStep{.name = name, .started = now()});
  if (entry.state == "done") return;
  const double begun = now(), before = entry.seconds;
  const auto put = [&](const char* state, const Json& detail) {
    entry.state = state;
    entry.seconds = before + now() - begun;
    entry.detail = detail.dump();
    store_.put_step(entry);
  };
  step_ = name;
  log_info("{}", name);
  Json detail = Json::object();
  put("running", detail);
  try {
    write_state(out_, name, "running");
    if (InterruptGuard::raised()) throw Interrupted();
    work(detail);
  } catch (...) {
    try {
      put("running", Json::object());  // the time that it took so far is kept
    } catch (const FaultError&) {
      // a disk that takes nothing does not take this; what failed first is what is told
    }
    throw;
  }
  put("done", detail);
  write_metrics(out_, store_);
}

/// The recipe is noted together with the seeds: a run that was refused has noted nothing and may begin with another recipe.
void Pipeline::keep_inputs(const Inputs& inputs, Json& detail) {
  write_file_atomically(data_file("seeds"), inputs.seed_rows);
  if (trains_judge(recipe_))
    write_file_atomically(data_file("ratings"), lessons_of(inputs.ratings, recipe_.judge.scale));
  const int64_t added = store_.add_prompts(inputs.prompts, {{"recipe", fixed_part(recipe_).dump()}});
  if (added < std::ssize(inputs.prompts))
    log_warning("[align] {} of {} seed prompts are there twice; each is shown as an example once",
                std::ssize(inputs.prompts) - added, inputs.prompts.size());
  detail = {{"prompts", added}, {"ratings", inputs.ratings.size()}};
}

/// Trains `name` from `from` by a recipe of the one training loop, or goes on with a training that was broken off.
void Pipeline::train_on(const std::string& name, const Path& from, const Path& data, const TrainingTable& table,
                        const std::string& objective, int64_t seed, Json& detail) {
  writer_.unload();
  const Path run = out_ / "models" / name;
  const int64_t rows = std::ssize(read_text_lines(data, "align"));
  train::Recipe recipe;
  const bool resume = std::filesystem::exists(run / "metrics.jsonl");
  if (resume) recipe = train::read_recipe(run / "recipe.toml");
  else {
    recipe.objective = objective;
    recipe.data.kind = "chat";
    recipe.data.chat.path = data.string();
    recipe.data.chat.seed = seed;
    recipe.model = table.model;
    recipe.model["from"] = from.string();
    recipe.loss = table.loss;
    from_json(table.train, recipe.train, "the recipe", "train");
    recipe.train.seed = seed;
    if (!table.train.contains("steps")) {
      const auto batch = static_cast<double>(recipe.train.batch * recipe.train.accumulate);
      recipe.train.steps =
          std::max<int64_t>(1, std::llround(std::ceil(table.epochs * static_cast<double>(rows) / batch)));
    }
  }
  recipe.out = run.string();
  write_state(out_, step_, "running", {{"run", "models/" + name}});
  const tune::RecipeResult result = tune::run_recipe(recipe, {.resume = resume, .device = device_});
  if (result.training.interrupted) throw Interrupted();
  detail["rows"] = rows;
  detail["steps"] = result.training.steps;
  for (const auto& [key, value] : result.training.metrics) detail[key] = value;
}

void Pipeline::make_pool(Json& detail) {
  StepProgress bar = progress("prompts", recipe_.prompts.pool, "prompts", store_.count_prompts("synthetic"));
  const Synthesis made = synthesize(writer_.get(base_), store_, recipe_.prompts, static_cast<uint64_t>(recipe_.seed),
                                    recipe_.answers.at_once, [&](int64_t kept) { bar.update(kept); });
  bar.finish();
  if (InterruptGuard::raised()) throw Interrupted();
  detail = {{"prompts", made.kept}, {"written", made.written}, {"near", made.near}, {"empty", made.empty}};
}

/// The base's features of the pool, prompt by prompt in the order of their ids.
void Pipeline::make_features(const Path& file, int64_t prompts) {
  constexpr size_t at_once = 64;
  const Writes& base = writer_.get(base_);
  std::unique_ptr<FeatureWriter> features;
  std::vector<std::string> texts;
  int64_t done = 0;
  StepProgress bar = progress("features", prompts, "prompts");
  const auto represent = [&] {
    if (texts.empty()) return;
    const Tensor rows = base.represent(texts);
    if (!features) features = std::make_unique<FeatureWriter>(file, rows.size(1));
    features->add(rows);
    bar.update(done += std::ssize(texts));
    texts.clear();
  };
  store_.each_prompt([&](const StoredPrompt& prompt) {
    if (prompt.origin != "synthetic") return true;
    texts.push_back(prompt.text);
    if (texts.size() == at_once) represent();
    return !InterruptGuard::raised();
  });
  if (InterruptGuard::raised()) throw Interrupted();
  represent();
  bar.finish();
  features->finish();
}

void Pipeline::make_clusters(Json& detail) {
  if (!recipe_.prompts.diversified) return;
  const Path file = out_ / "data/features.f32";
  const int64_t pool = store_.count_prompts("synthetic");
  make_features(file, pool);
  KMeansOptions options{.clusters = std::min(recipe_.answers.prompts, pool),
                        .seed = static_cast<uint64_t>(recipe_.seed)};
  StepProgress bar = progress("k-means", options.iterations, "passes");
  options.on_iteration = [&](int64_t iteration, double) {
    bar.update(iteration);
    if (InterruptGuard::raised()) throw Interrupted();
  };
  const Clusters found = k_means(FeatureFile(file), options);
  bar.finish();
  std::vector<std::pair<int64_t, int64_t>> assigned;
  size_t row = 0;
  store_.each_prompt([&](const StoredPrompt& prompt) {
    if (prompt.origin == "synthetic") assigned.emplace_back(prompt.id, found.cluster[row++]);
    return true;
  });
  store_.set_clusters(assigned);
  detail = {{"clusters", options.clusters}, {"distance", found.distance}, {"iterations", found.iterations}};
}

AlignResult run_align(const AlignRecipe& recipe, at::Device device) {
  if (recipe.out.empty()) throw UserError("[align] no run directory; give --out DIR or 'out' in the recipe");
  check(recipe);
  const Path out = recipe.out;
  std::filesystem::create_directories(out / "data");
  require_writable(out / "recipe.toml", "align");
  const FileLock lock(out / "running", "align", out.string());
  const InterruptGuard guard;
  return Pipeline(recipe, device).run();
}

}  // namespace tessera::align
