// `tessera eval` on pictures: questions about Emoji World, and the Fréchet distance.
#include "apps/eval_tasks.h"
#include "apps/text_request.h"
#include "core/error.h"
#include "core/files.h"
#include "core/json_rows.h"
#include "core/progress.h"
#include "data/source.h"
#include "eval/emoji_qa.h"
#include "eval/frechet.h"
#include "media/compose.h"
#include "media/read_media.h"
#include "tensor/device.h"
#include "train/recipe.h"

namespace tessera::apps {

namespace {
/// Every table of Emoji World that a recipe's data is made of.
std::vector<data::EmojiOptions> worlds_of(const data::DataConfig& config) {
  std::vector<data::EmojiOptions> worlds;
  const auto add = [&](const std::string& kind, const data::EmojiOptions& emoji, const data::TalkOptions& talk) {
    if (kind == "emoji") worlds.push_back(emoji);
    if (kind == "talk") worlds.push_back(talk.emoji);
  };
  add(config.kind, config.emoji, config.talk);
  for (const data::MixturePart& part : config.mixture) add(part.kind, part.emoji, part.talk);
  return worlds;
}

/// One world as the model knows it from its recipe, asked by another seed and, for scenes and clips, on held-out pairings.
data::EmojiOptions asked_world(const EvalOptions& options, const std::string& kind,
                               const std::vector<data::EmojiOptions>& known) {
  data::EmojiOptions world;
  world.kind = kind, world.size = kind == "scene" ? 128 : 64;
  for (auto each = known.rbegin(); each != known.rend(); ++each) {
    if (each->kind == kind) world = *each;
  }
  world.kinds = {};
  world.keywords = world.reworded = world.foreign = 0;  // answers are names, whatever captions were trained on
  constexpr int64_t beyond_recipes = 1'000'000;
  world.seed = beyond_recipes + static_cast<int64_t>(options.compute.seed);
  world.split = !options.split.empty() ? options.split : kind == "sprite" ? "train" : "heldout";
  if (options.world.size > 0) world.size = options.world.size;
  if (!options.atlas.empty()) world.atlas = options.atlas;
  check(world);
  return world;
}

eval::QaTask qa_task(const EvalOptions& options) {
  std::vector<data::EmojiOptions> known;
  const Path recipe = options.model / "recipe.toml";
  if (std::filesystem::exists(recipe)) known = worlds_of(train::read_recipe(recipe).data);
  eval::QaTask task{.sources = {},
                    .count = count_or(options, 4000),
                    .seed = options.compute.seed,
                    .kinds = options.world.kinds,
                    .frames = options.world.frames,
                    .batch = options.batch};
  if (task.count == 0) throw UserError("[eval] questions about Emoji World are endless; give --count N");
  for (const std::string& kind : options.world.worlds) task.sources.push_back(asked_world(options, kind, known));
  return task;
}

std::string answers_text(const eval::QaResult& result) {
  std::string text;
  for (const eval::QaOutcome& each : result.outcomes) {
    const Json line = {{"source", each.source},     {"index", each.index},   {"kind", each.kind},
                       {"question", each.question}, {"answer", each.answer}, {"said", each.said},
                       {"right", each.right}};
    text += json_row(line);
  }
  return text;
}

Json print_share(const std::string& name, const eval::QaShare& share) {
  const eval::Interval interval = share.interval();
  fmt::print("{:18} {:6} questions  {:.4f}  [{:.4f}, {:.4f}]\n", name, share.count, share.accuracy(), interval.low,
             interval.high);
  return {{"count", share.count}, {"accuracy", share.accuracy()}, {"interval", {interval.low, interval.high}}};
}

/// Pictures that the model drew, and those that the captions belong to.
struct DrawnAndReal {
  std::vector<Image> drawn, real;
};

/// Captions to draw, and the pictures that they belong to, once the drawn ones' size is known.
struct DrawnCaptions {
  std::vector<std::string> captions;
  std::function<Image(size_t i, int64_t size)> real;
  size_t real_ones = 0;  // of the captions, those with a picture of their own
};

/// Those of the folder that the model was trained on.
DrawnCaptions folder_captions(const EvalOptions& options) {
  constexpr int64_t read_at = 256;  // pixels, before it is known how large the model draws
  auto samples = std::make_shared<std::vector<Sample>>(own_samples(options, read_at));
  DrawnCaptions all{
      .captions = {},
      .real = [samples](size_t i, int64_t size) { return media::centre_square((*samples)[i].picture, size); },
      .real_ones = samples->size()};
  for (const Sample& sample : *samples) all.captions.push_back(sample.caption);
  return all;
}

/// Names of emoji, again from the first where more are asked for than there are.
DrawnCaptions emoji_captions(const EvalOptions& options) {
  const data::EmojiOptions emoji = emoji_of(options);
  const std::shared_ptr<const data::EmojiWorld> world = data::open_world(emoji);
  const std::vector<size_t> ids = data::chosen_ids(*world, emoji);
  const int64_t asked = count_or(options, 200), count = asked == 0 ? std::ssize(ids) : asked;
  DrawnCaptions all{
      .captions = {},
      .real = [world, ids](size_t i, int64_t size) { return data::sprite_on_white(*world, ids[i], size); },
      .real_ones = std::min(static_cast<size_t>(count), ids.size())};
  for (int64_t i = 0; i < count; ++i)
    all.captions.push_back(world->emoji()[ids[static_cast<size_t>(i) % ids.size()]].name);
  fmt::print("{} names of Emoji World, split {}\n", count, emoji.split);
  return all;
}

DrawnAndReal draw_captions(const EvalOptions& options) {
  const auto model =
      load_model(options.model, parse_device(options.compute.device), {.adapters = adapter_paths(options.adapter)});
  const Draws& draws = drawing_model(*model, options);
  DrawnCaptions what = folder_captions(options);
  if (what.captions.empty()) what = emoji_captions(options);
  DrawRequest request{.prompts = what.captions,
                      .seed = options.compute.seed,
                      .cfg = options.cfg,
                      .tau = options.tau,
                      .top_p = options.top_p,
                      .fast = fast_drawing(options.fast),
                      .batch = options.batch};
  Progress progress("draw", std::ssize(request.prompts), "pictures");
  request.on_pictures = [&](size_t first, const std::vector<Image>& drawn) {
    progress.update(static_cast<int64_t>(first) + std::ssize(drawn));
    return true;
  };
  DrawnAndReal pictures{.drawn = draws.draw(request)};
  progress.finish();
  for (size_t i = 0; i < what.real_ones; ++i) pictures.real.push_back(what.real(i, pictures.drawn.front().width));
  return pictures;
}

eval::Gaussian gaussian_of_pictures(const char* label, int64_t count, const std::function<Image(int64_t)>& picture,
                                    const eval::Features& features, int64_t batch) {
  Progress progress(label, count, "pictures");
  return eval::gaussian_of(
      eval::features_of(count, picture, features, batch, [&](int64_t done) { progress.update(done); }));
}

eval::Gaussian gaussian_of_folder(const char* label, const Path& folder, const eval::Features& features,
                                  int64_t batch) {
  const std::vector<Path> files = eval::pictures_in(folder);
  return gaussian_of_pictures(
      label, std::ssize(files), [&](int64_t i) { return media::read_image(files[static_cast<size_t>(i)]); }, features,
      batch);
}

eval::Gaussian gaussian_of_images(const char* label, const std::vector<Image>& images, const eval::Features& features,
                                  int64_t batch) {
  return gaussian_of_pictures(
      label, std::ssize(images), [&](int64_t i) { return images[static_cast<size_t>(i)]; }, features, batch);
}
}  // namespace

Json measure_emoji_qa(const EvalOptions& options) {
  warn_of_other_pictures(options);
  eval::QaTask task = qa_task(options);
  if (!options.world.answers.empty()) require_writable(options.world.answers, "eval");
  const auto model =
      load_model(options.model, parse_device(options.compute.device), {.adapters = adapter_paths(options.adapter)});
  if (model->sees() == nullptr)
    throw UserError("[eval] {} ({}) does not see; task emoji-qa wants a model that does", options.model.string(),
                    model->model_type());
  Progress progress("ask", task.count, "questions");
  task.on_progress = [&](int64_t done) { progress.update(done); };
  const eval::QaResult result = eval::measure_emoji_qa(*model->sees(), task);
  progress.finish();
  if (!options.world.answers.empty()) write_file_atomically(options.world.answers, answers_text(result));
  Json kinds = Json::object();
  for (const auto& [name, share] : result.kinds) kinds[name] = print_share(name, share);
  Json line = print_share("all", result.all);
  line["kinds"] = kinds;
  return line;
}

Json measure_fid(const EvalOptions& options) {
  if (options.model.empty() == options.text.data.empty())
    throw UserError("[eval] fid wants either --data, a folder of pictures, or -m, a model that draws them");
  if (options.model.empty() && options.reference.empty())
    throw UserError("[eval] fid of a folder wants --reference, another one");
  const Path tower = options.tower.empty() ? Path("models/emoji-nvila") : Path(options.tower);
  if (options.tower.empty() && !std::filesystem::exists(tower))
    throw UserError("[eval] {} is not here; fid wants --tower, the directory of an NVILA model whose tower looks",
                    tower.string());
  const eval::Features features = eval::model_features(tower, parse_device(options.compute.device));
  const DrawnAndReal pictures = options.model.empty() ? DrawnAndReal{} : draw_captions(options);
  const eval::Gaussian ours =
      options.model.empty()
          ? gaussian_of_folder("look", data_of(options, "a folder of pictures"), features, options.batch)
          : gaussian_of_images("look", pictures.drawn, features, options.batch);
  const eval::Gaussian theirs = options.reference.empty()
                                    ? gaussian_of_images("compare", pictures.real, features, options.batch)
                                    : gaussian_of_folder("compare", options.reference, features, options.batch);
  const double distance = eval::frechet_distance(ours, theirs);
  const int64_t width = ours.mean.numel();
  fmt::print("{} pictures against {}: Fréchet distance {:.4f} on the {} features of {}'s tower, not Inception's\n",
             ours.count, theirs.count, distance, width, tower.string());
  if (std::min(ours.count, theirs.count) <= width)
    fmt::print(
        "fewer pictures than features: the distance is too large by chance; compare runs of the same counts only\n");
  return {{"count", ours.count},
          {"reference_count", theirs.count},
          {"fid", distance},
          {"features", width},
          {"tower", tower.string()}};
}

}  // namespace tessera::apps
