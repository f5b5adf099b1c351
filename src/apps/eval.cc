// `tessera eval`: one function per task; the model's recipe.toml has the names that it was trained on.
#include "apps/eval.h"

#include <map>

#include <fmt/ranges.h>

#include "apps/eval_tasks.h"
#include "codec/objective.h"
#include "core/error.h"
#include "core/files.h"
#include "core/progress.h"
#include "data/source.h"
#include "eval/drawing.h"
#include "tensor/device.h"
#include "train/recipe.h"

namespace tessera::apps {

/// The names that the model was trained on, from the recipe in its directory; without one, all of Emoji World.
data::EmojiOptions emoji_of(const EvalOptions& options) {
  data::EmojiOptions emoji;
  const Path recipe = options.model / "recipe.toml";
  if (std::filesystem::exists(recipe)) emoji = train::read_recipe(recipe).data.emoji;
  emoji.kind = "sprite";
  emoji.split = options.split.empty() ? "train" : options.split;
  if (!options.atlas.empty()) emoji.atlas = options.atlas;
  return emoji;
}

int64_t count_or(const EvalOptions& options, int64_t otherwise) {
  return options.count < 0 ? otherwise : options.count;
}

namespace {
constexpr int64_t kPictures = 200;

Json measure_codec(const EvalOptions& options) {
  const Path inside = options.model / "codec";
  const at::Device device = parse_device(options.compute.device);
  const codec::Codec model = codec::load_codec(std::filesystem::is_directory(inside) ? inside : options.model, device);
  data::EmojiOptions emoji = emoji_of(options);
  emoji.size = model.config.picture_size;
  if (emoji.split == "train") emoji.names = 0;  // the codec was trained on every sprite
  const auto world = data::open_world(emoji);
  std::vector<size_t> ids = data::chosen_ids(*world, emoji);
  std::vector<Image> pictures;
  const auto count = static_cast<size_t>(count_or(options, kPictures));
  for (size_t i = 0; i < ids.size() && (count == 0 || pictures.size() < count); ++i) {
    pictures.push_back(data::sprite_on_white(*world, ids[i], emoji.size));
  }
  const std::vector<double> per_scale = codec::psnr_per_scale(model, pictures, device);
  for (size_t k = 0; k < per_scale.size(); ++k)
    fmt::print("scales 1 to {} ({} x {})  {:6.2f} dB\n", k + 1, model.config.scales[k], model.config.scales[k],
               per_scale[k]);
  return {{"count", pictures.size()},
          {"psnr", per_scale.back()},
          {"psnr_per_scale", per_scale},
          {"codec", model.config.fingerprint()}};
}

/// A task with the model's drawing; `progress` outlives the task.
eval::DrawingTask drawing_task(const EvalOptions& options, Progress& progress) {
  return {.emoji = emoji_of(options),
          .count = count_or(options, kPictures),
          .seed = options.compute.seed,
          .request = {.cfg = options.cfg, .tau = options.tau, .top_p = options.top_p, .batch = options.batch},
          .on_progress = [&progress](int64_t done, int64_t) { progress.update(done); }};
}

}  // namespace

const Draws& drawing_model(const LoadedModel& model, const EvalOptions& options) {
  if (model.draws() == nullptr)
    throw UserError("[eval] {} ({}) does not draw; task {} wants a model that does", options.model.string(),
                    model.model_type(), options.task);
  return *model.draws();
}

namespace {
Json measure_retrieval(const EvalOptions& options) {
  const auto model = load_model(options.model, parse_device(options.compute.device));
  if (!options.missed.empty()) require_writable(options.missed, "eval");
  Progress progress("draw", count_or(options, kPictures), "pictures");
  const eval::RetrievalResult result =
      eval::measure_retrieval(drawing_model(*model, options), drawing_task(options, progress));
  progress.finish();
  if (!options.missed.empty())
    write_file_atomically(options.missed, fmt::format("{}\n", fmt::join(result.missed, "\n")));
  fmt::print(
      "{} names: nearest of all base sprites {:.3f}, among the nearest five {:.3f}; {:.3f} different ones  ({:.1f} "
      "pictures/s)\n",
      result.count, result.top1, result.top5, result.variety, result.pictures_per_second);
  return {{"count", result.count},
          {"top1", result.top1},
          {"top5", result.top5},
          {"variety", result.variety},
          {"pictures_per_second", result.pictures_per_second}};
}

Json measure_scenes(const EvalOptions& options) {
  const auto model = load_model(options.model, parse_device(options.compute.device));
  Progress progress("draw", count_or(options, kPictures), "pictures");
  const eval::SceneResult result =
      eval::measure_scenes(drawing_model(*model, options), drawing_task(options, progress));
  progress.finish();
  Json line = {{"count", result.count}, {"score", result.score}, {"pictures_per_second", result.pictures_per_second}};
  for (const auto& [kind, share] : result.kinds) {
    fmt::print("{:10} {:.3f}\n", kind, share);
    line[kind] = share;
  }
  fmt::print("{:10} {:.3f}\n", "mean", result.score);
  return line;
}
}  // namespace

int run_eval(const EvalOptions& options) {
  static const std::map<std::string, Json (*)(const EvalOptions&)> tasks{
      {"choice", measure_choice},         {"codec", measure_codec},   {"diversity", measure_diversity},
      {"emoji-qa", measure_emoji_qa},     {"fid", measure_fid},       {"olmes", measure_olmes},
      {"perplexity", measure_perplexity}, {"scenes", measure_scenes}, {"sprite-retrieval", measure_retrieval}};
  const auto task = tasks.find(options.task);
  if (task == tasks.end()) {
    std::vector<std::string> names;
    for (const auto& [name, measure] : tasks) names.push_back(name);
    throw UserError("[eval] unknown task '{}'; did you mean '{}'?", options.task, nearest_word(options.task, names));
  }
  if (options.model.empty() && options.task != "fid")
    throw UserError("[eval] task {} wants a model; give -m DIR", options.task);
  if (options.count < -1) throw UserError("[eval] count is {}, want 0 (all there are) or more", options.count);
  if (options.batch < 1) throw UserError("[eval] batch is {}, want 1 or more", options.batch);
  if (options.task == "scenes" && options.count == 0) throw UserError("[eval] scenes are endless; give --count N");
  Json line = {{"task", options.task}, {"model", options.model.string()}, {"seed", options.compute.seed}};
  line.update(task->second(options));
  if (line.contains("results"))
    line.erase("task");  // `tessera plan density` takes an object with a task for one result
  if (options.output.json) print_json(line);
  return 0;
}

}  // namespace tessera::apps
