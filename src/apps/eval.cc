// `tessera eval`: one function per task; the model's recipe.toml has the names that it was trained on.
#include "apps/eval.h"

#include <map>
#include <optional>

#include <fmt/ranges.h>

#include "apps/eval_tasks.h"
#include "apps/text_request.h"
#include "codec/objective.h"
#include "codec/vq/objective.h"
#include "core/error.h"
#include "core/files.h"
#include "core/log.h"
#include "core/progress.h"
#include "data/heldout.h"
#include "data/source.h"
#include "eval/drawing.h"
#include "eval/frechet.h"
#include "media/compose.h"
#include "media/read_media.h"
#include "tensor/device.h"
#include "train/recipe.h"

namespace tessera::apps {

namespace {
/// What the recipe in the model's directory draws pictures from: all of its data, or the first such part of a mixture.
data::EmojiOptions trained_on(const Path& model) {
  const Path recipe = model / "recipe.toml";
  if (!std::filesystem::exists(recipe)) return {};
  const data::DataConfig data = train::read_recipe(recipe).data;
  if (data.kind != "mixture") return data.emoji;
  const auto part = std::ranges::find(data.mixture, "emoji", &data::MixturePart::kind);
  return part == data.mixture.end() ? data::EmojiOptions{} : part->emoji;
}
}  // namespace

/// The names that the model was trained on, from the recipe in its directory; without one, all of Emoji World.
data::EmojiOptions emoji_of(const EvalOptions& options) {
  data::EmojiOptions emoji = trained_on(options.model);
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

/// The recipe's data, where they are a folder of people's own pictures.
std::optional<data::DataConfig> own_folder(const EvalOptions& options) {
  const Path recipe = options.model / "recipe.toml";
  if (!std::filesystem::exists(recipe)) return std::nullopt;
  const data::DataConfig data = train::read_recipe(recipe).data;
  return data.kind == "folder" ? std::optional(data) : std::nullopt;
}
}  // namespace

std::vector<Sample> own_samples(const EvalOptions& options, int64_t size) {
  std::optional<data::DataConfig> own = own_folder(options);
  if (!own) return {};
  own->folder.size = size;
  const auto source = data::make_source(*own);
  const int64_t count = count_or(options, kPictures);
  const uint64_t most = count > 0 ? static_cast<uint64_t>(count) : source->pass_length().value_or(0);
  std::vector<Sample> samples = data::samples_to_measure(*source, most);
  fmt::print("{} pictures of {}, which the model was {}trained on\n", samples.size(), own->folder.path,
             source->heldout(1).empty() ? "" : "not ");
  return samples;
}

void warn_of_other_pictures(const EvalOptions& options) {
  if (const auto own = own_folder(options))
    log_warning("[eval] {} was trained on the pictures of {}; task {} asks about Emoji World", options.model.string(),
                own->folder.path, options.task);
}

namespace {
/// Pictures for the codec: those of --data, of the folder that it was trained on, or sprites of Emoji World.
std::vector<Image> codec_pictures(const EvalOptions& options, int64_t size) {
  std::vector<Image> pictures;
  const auto most = static_cast<size_t>(count_or(options, kPictures));
  const auto full = [&] { return most > 0 && pictures.size() >= most; };
  if (!options.text.data.empty()) {
    const Path& folder = data_of(options, "a folder of pictures");
    for (const Path& file : eval::pictures_in(folder)) {
      if (full()) break;
      pictures.push_back(media::centre_square(media::over(media::read_image(file), media::white), size));
    }
    fmt::print("{} pictures of {}\n", pictures.size(), folder.string());
    return pictures;
  }
  for (Sample& sample : own_samples(options, size)) pictures.push_back(std::move(sample.picture));
  if (!pictures.empty()) return pictures;
  data::EmojiOptions emoji = emoji_of(options);
  emoji.size = size;
  if (emoji.split == "train") emoji.names = 0;  // the codec was trained on every sprite
  const auto world = data::open_world(emoji);
  for (const size_t id : data::chosen_ids(*world, emoji)) {
    if (full()) break;
    pictures.push_back(data::sprite_on_white(*world, id, size));
  }
  fmt::print("{} sprites of Emoji World, split {}\n", pictures.size(), emoji.split);
  return pictures;
}

Json measure_vq_codec(const EvalOptions& options, const vq::VqCodec& codec, at::Device device) {
  const std::vector<Image> pictures = codec_pictures(options, codec.config.picture_size);
  const vq::VqQuality quality = vq::quality_of(codec, pictures, device);
  fmt::print("{} x {} codes  {:6.2f} dB, {:.1f}% of {} codes used, perplexity {:.0f}\n", codec.config.edge(),
             codec.config.edge(), quality.psnr, 100 * quality.usage.share, codec.config.codes,
             quality.usage.perplexity);
  return {{"count", pictures.size()},
          {"psnr", quality.psnr},
          {"code_usage", quality.usage.share},
          {"code_perplexity", quality.usage.perplexity},
          {"codec", codec.config.fingerprint()}};
}

Json measure_codec(const EvalOptions& options) {
  const Path inside = options.model / "codec";
  const at::Device device = parse_device(options.compute.device);
  const Path where = std::filesystem::is_directory(inside) ? inside : options.model;
  if (vq::holds_vq(where)) return measure_vq_codec(options, vq::load_vq(where, device), device);
  const codec::Codec model = codec::load_codec(where, device);
  const std::vector<Image> pictures = codec_pictures(options, model.config.picture_size);
  const std::vector<double> per_scale = codec::psnr_per_scale(model, pictures, device);
  for (size_t k = 0; k < per_scale.size(); ++k)
    fmt::print("scales 1 to {} ({} x {})  {:6.2f} dB\n", k + 1, model.config.scales[k], model.config.scales[k],
               per_scale[k]);
  return {{"count", pictures.size()},
          {"psnr", per_scale.back()},
          {"psnr_per_scale", per_scale},
          {"codec", model.config.fingerprint()}};
}

/// A task with the model's drawing; `progress` outlives the task, and begins when it is known how many there are (--count 0: all).
eval::DrawingTask drawing_task(const EvalOptions& options, std::optional<Progress>& progress) {
  if (options.words != "names" && options.words != "reworded" && options.words != "keywords")
    throw UserError("[command line] --words is '{}', want one of: names, reworded, keywords", options.words);
  return {.emoji = emoji_of(options),
          .count = count_or(options, kPictures),
          .seed = options.compute.seed,
          .words = options.words,
          .request = {.cfg = options.cfg,
                      .tau = options.tau,
                      .top_p = options.top_p,
                      .fast = fast_drawing(options.fast),
                      .batch = options.batch},
          .on_progress = [&progress](int64_t done, int64_t total) {
            if (!progress) progress.emplace("draw", total, "pictures");
            progress->update(done);
          }};
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
  const auto model =
      load_model(options.model, parse_device(options.compute.device), {.adapters = adapter_paths(options.adapter)});
  if (!options.missed.empty()) require_writable(options.missed, "eval");
  warn_of_other_pictures(options);
  std::optional<Progress> progress;
  const eval::RetrievalResult result =
      eval::measure_retrieval(drawing_model(*model, options), drawing_task(options, progress));
  progress.reset();
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
  if (options.words == "keywords") throw UserError("[eval] scenes have no keywords; want --words names or reworded");
  warn_of_other_pictures(options);
  const auto model =
      load_model(options.model, parse_device(options.compute.device), {.adapters = adapter_paths(options.adapter)});
  std::optional<Progress> progress;
  const eval::SceneResult result =
      eval::measure_scenes(drawing_model(*model, options), drawing_task(options, progress));
  progress.reset();
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
  if (!options.split.empty() && options.split != "train" && options.split != "heldout")
    throw UserError("[command line] --split is '{}', want one of: train, heldout", options.split);
  if (options.task == "scenes" && options.count == 0) throw UserError("[eval] scenes are endless; give --count N");
  Json line = {{"task", options.task}, {"model", options.model.string()}, {"seed", options.compute.seed}};
  line.update(task->second(options));
  if (line.contains("results"))
    line.erase("task");  // `tessera plan density` takes an object with a task for one result
  if (options.output.json) print_json(line);
  return 0;
}

}  // namespace tessera::apps
