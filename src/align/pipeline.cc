// The steps in their order. A step that is done is told by the store and skipped; one that was broken off does what is missing.
#include "align/pipeline.h"

#include <algorithm>
#include <chrono>
#include <cmath>

#include "align/clusters.h"
#include "align/pipeline_run.h"
#include "align/synthesis.h"
#include "core/error.h"
#include "core/file_lock.h"
#include "core/json.h"
#include "core/json_rows.h"
#include "core/log.h"
#include "core/progress.h"
#include "core/text_file.h"
#include "data/chat_row.h"
#include "tune/run_recipe.h"

namespace tessera::align {

namespace {
double now() { return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count(); }
}  // namespace

std::string row_of(std::string_view prompt, std::string_view answer) {
  Json turns =
      Json::array({Json{{"role", "user"}, {"content", prompt}}, Json{{"role", "assistant"}, {"content", answer}}});
  const Json row = {{"messages", std::move(turns)}};
  return row.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
}

AlignResult Pipeline::run() {
  require_same_recipe();
  AlignResult result;
  try {
    step("seeds", [&](Json& detail) { detail["prompts"] = read_seeds(); });
    for (int64_t i = 0; i < recipe_.answers.sft_models; ++i)
      step(sft_name(i), [&](Json& detail) { train_sft(sft_name(i), data_file("seeds"), recipe_.seed + i, detail); });
    step("prompts", [&](Json& detail) { make_pool(detail); });
    step("clusters", [&](Json& detail) { make_clusters(detail); });
    step("judge", [&](Json& detail) { train_judge(detail); });
    if (recipe_.judge.distil > 0) step("judge, distilled", [&](Json& detail) { distil_judge(detail); });
    result.model = model_dir(sft_name(0));
    for (int64_t round = 1; round <= recipe_.rounds; ++round) {
      run_round(round);
      result.model = model_dir(round_name(round));
      result.rounds = round;
    }
  } catch (const Interrupted&) {
    result.interrupted = true;
  }
  return result;
}

void Pipeline::require_same_recipe() {
  AlignRecipe told = recipe_;
  told.out.clear();
  told.rounds = 0;  // more rounds go on from what is there
  const std::string text = to_json(told).dump(), stored = store_.note("recipe");
  if (stored.empty()) {
    store_.set_note("recipe", text);
    write_file_atomically(out_ / "recipe.toml", to_toml(to_json(recipe_)));
    return;
  }
  if (stored == text) return;
  const Json before = Json::parse(stored), now = Json::parse(text);
  for (const auto& [key, value] : now.items()) {
    if (before.value(key, Json()) != value)
      throw UserError("[align] {} was begun with another recipe: '{}' was {}, is {}; choose another --out",
                      out_.string(), key, before.value(key, Json()).dump(), value.dump());
  }
  throw UserError("[align] {} was begun with another recipe; choose another --out", out_.string());
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
  log_info("{}", name);
  put("running", Json::object());
  Json detail = Json::object();
  try {
    if (InterruptGuard::raised()) throw Interrupted();
    work(detail);
  } catch (...) {
    put("running", Json::object());  // the time that it took so far is kept
    throw;
  }
  put("done", detail);
}

/// Seeds go into the store as prompts and into data/seeds.jsonl as rows to learn.
int64_t Pipeline::read_seeds() {
  std::vector<StoredPrompt> prompts;
  std::string rows;
  int64_t number = 0;
  RowRepairs repairs;
  for (const std::string& line : read_text_lines(recipe_.seeds, "align")) {
    const std::string where = fmt::format("{} row {}", recipe_.seeds, ++number);
    const data::ChatRow row = data::parse_chat_row(line, where, &repairs);
    if (!row.media.empty()) throw UserError("[align] {} has pictures, want text alone", where);
    const auto user = std::ranges::find(row.messages, "user", &text::Message::role);
    if (user == row.messages.end() || user->content.find_first_not_of(" \t\r\n") == std::string::npos)
      throw UserError("[align] {} asks nothing", where);
    prompts.push_back({.text = user->content, .origin = "seed"});
    rows += line + "\n";
  }
  repairs.warn("align");
  if (prompts.empty()) throw UserError("[align] {} holds no conversation", recipe_.seeds);
  const int64_t added = store_.add_prompts(prompts);
  if (added < std::ssize(prompts))
    log_warning("[align] {} of {} seed prompts are there twice; each is shown as an example once",
                std::ssize(prompts) - added, prompts.size());
  write_file_atomically(data_file("seeds"), rows);
  return added;
}

/// Trains `name` from `from` by a recipe of the one training loop, or goes on with a training that was broken off.
void Pipeline::train_on(const std::string& name, const Path& from, const Path& data, const Json& tables,
                        std::string_view objective, int64_t seed, Json& detail) {
  writer_.unload();
  const Path run = out_ / "models" / name;
  const int64_t rows = std::ssize(read_text_lines(data, "align"));
  detail["rows"] = rows;
  train::Recipe recipe;
  const bool resume = std::filesystem::exists(run / "metrics.jsonl");
  if (resume) recipe = train::read_recipe(run / "recipe.toml");
  else {
    Json tree = tables;
    const double epochs = tree.value("epochs", 1.0);
    tree.erase("epochs");
    tree["objective"] = objective;
    tree["out"] = run.string();
    tree["data"] = {{"kind", "chat"}, {"chat", {{"path", data.string()}, {"seed", seed}}}};
    tree["model"]["from"] = from.string();
    tree["train"]["seed"] = seed;
    from_json(tree, recipe, "the recipe's training tables");
    if (!tables.contains("train") || !tables["train"].contains("steps")) {
      const int64_t batch = recipe.train.batch * recipe.train.accumulate;
      recipe.train.steps = std::max<int64_t>(
          1, std::llround(std::ceil(epochs * static_cast<double>(rows) / static_cast<double>(batch))));
    }
  }
  recipe.out = run.string();
  const tune::RecipeResult result = tune::run_recipe(recipe, {.resume = resume, .device = device_});
  detail["steps"] = result.training.steps;
  for (const auto& [key, value] : result.training.metrics) detail[key] = value;
  if (result.training.interrupted) throw Interrupted();
}

void Pipeline::make_pool(Json& detail) {
  const Synthesis made = synthesize(writer_.get(recipe_.base), store_, store_.prompts("seed"), recipe_.prompts,
                                    static_cast<uint64_t>(recipe_.seed), recipe_.answers.at_once);
  if (InterruptGuard::raised()) throw Interrupted();
  detail = {{"prompts", made.kept}, {"written", made.written}, {"near", made.near}, {"empty", made.empty}};
}

void Pipeline::make_clusters(Json& detail) {
  if (!recipe_.prompts.diversified) return;
  const Writes& base = writer_.get(recipe_.base);
  const std::vector<StoredPrompt> pool = store_.prompts("synthetic");
  const Path file = out_ / "data/features.f32";
  constexpr size_t at_once = 64;
  std::unique_ptr<FeatureWriter> features;
  Progress progress("features", std::ssize(pool), "prompts");
  for (size_t begin = 0; begin < pool.size(); begin += at_once) {
    std::vector<std::string> texts;
    for (size_t i = begin; i < std::min(begin + at_once, pool.size()); ++i) texts.push_back(pool[i].text);
    const Tensor rows = base.represent(texts);
    if (!features) features = std::make_unique<FeatureWriter>(file, rows.size(1));
    features->add(rows);
    progress.update(static_cast<int64_t>(begin + texts.size()));
    if (InterruptGuard::raised()) throw Interrupted();
  }
  progress.finish();
  features->finish();
  const int64_t clusters = std::min<int64_t>(recipe_.answers.prompts, std::ssize(pool));
  const Clusters found =
      k_means(FeatureFile(file), {.clusters = clusters, .seed = static_cast<uint64_t>(recipe_.seed)});
  std::vector<std::pair<int64_t, int64_t>> assigned;
  for (size_t i = 0; i < pool.size(); ++i) assigned.emplace_back(pool[i].id, found.cluster[i]);
  store_.set_clusters(assigned);
  detail = {{"clusters", clusters}, {"distance", found.distance}, {"iterations", found.iterations}};
}

void Pipeline::train_judge(Json& detail) {
  std::string rows;
  for (const RatedAnswer& rated : read_ratings(recipe_.ratings, recipe_.judge.scale)) {
    const std::vector<text::Message> lesson = judge_lesson(rated, recipe_.judge.scale);
    rows += row_of(lesson[0].content, lesson[1].content);
  }
  write_file_atomically(data_file("ratings"), rows);
  train_on("judge", recipe_.base, data_file("ratings"), recipe_.judge.training,
           models::conversation_objective(recipe_.base), recipe_.seed, detail);
}

/// The judge rates answers of its own side of the pool and learns from its ratings, going on from itself (ALMA 3.3). They count as round 0.
void Pipeline::distil_judge(Json& detail) {
  const int64_t samples = 2, prompts = (recipe_.judge.distil + samples - 1) / samples;
  if (store_.prompts_of_round(-1).empty())
    store_.use_prompts(
        choose_prompts(store_, -1, prompts, recipe_.prompts.diversified, static_cast<uint64_t>(recipe_.seed)), -1);
  write_answers(-1, samples, {sft_name(0)}, detail);
  score_answers(-1, "judge", detail);
  std::string rows;
  for (const StoredPrompt& prompt : store_.prompts_of_round(-1)) {
    const auto scored = store_.scored(-1, "judge");
    const auto found = scored.find(prompt.id);
    if (found == scored.end()) continue;
    for (const ScoredAnswer& each : found->second)
      rows += row_of(judge_question(prompt.text, each.answer.text, recipe_.judge.scale),
                     judge_answer(std::llround(each.score)));
  }
  write_file_atomically(data_file("distilled"), rows);
  train_on("judge-distilled", model_dir("judge"), data_file("distilled"), recipe_.judge.training,
           models::conversation_objective(recipe_.base), recipe_.seed, detail);
}

void Pipeline::run_round(int64_t round) {
  const std::string name = fmt::format("round {}", round);
  step(name + ": prompts", [&](Json& detail) {
    if (store_.prompts_of_round(round).empty())
      store_.use_prompts(choose_prompts(store_, round, recipe_.answers.prompts, recipe_.prompts.diversified,
                                        static_cast<uint64_t>(recipe_.seed)),
                         round);
    detail["prompts"] = recipe_.answers.prompts;
  });
  step(name + ": answers",
       [&](Json& detail) { write_answers(round, recipe_.answers.samples, models_of(round), detail); });
  step(name + ": scores", [&](Json& detail) { score_answers(round, judge_name(), detail); });
  step(name + ": data", [&](Json& detail) { write_round_data(round, detail); });
  step(name + ": training", [&](Json& detail) {
    if (recipe_.method == "dpo")
      train_on(round_name(round), model_dir(sft_name(0)), data_file(round_name(round)), recipe_.dpo, "preference",
               recipe_.seed, detail);
    else train_sft(round_name(round), data_file(round_name(round)), recipe_.seed, detail);
  });
}

/// Two models tuned on the seeds, and from the second round on the model of the round before.
std::vector<std::string> Pipeline::models_of(int64_t round) const {
  std::vector<std::string> models;
  for (int64_t i = 0; i < recipe_.answers.sft_models; ++i) models.push_back(sft_name(i));
  if (recipe_.answers.latest && round > 1) models.push_back(round_name(round - 1));
  if (!recipe_.answers.endpoints.empty()) models.push_back(elsewhere);
  return models;
}

AlignResult run_align(const AlignRecipe& recipe, at::Device device) {
  if (recipe.out.empty()) throw UserError("[align] no run directory; give --out DIR or 'out' in the recipe");
  const Path out = recipe.out;
  std::filesystem::create_directories(out / "data");
  require_writable(out / "recipe.toml", "align");
  const FileLock lock(out / "running", "align", out.string());
  const InterruptGuard guard;
  return Pipeline(recipe, device).run();
}

}  // namespace tessera::align
