// From a recipe's tables to a model, its codec and what is measured.
#include "models/infinity/recipe.h"

#include "core/error.h"
#include "core/json.h"
#include "data/heldout.h"
#include "models/infinity/released.h"
#include "tensor/build.h"

namespace tessera::infinity {

namespace {

/// The model to begin with; its matrices may stay as they are stored where nothing is written into them.
Bundle started(const Path& from, const train::TuneConfig& tune, at::Device device) {
  const bool writes = tune.what == "full" || tune.what == "norms" || !tune.also.empty();
  const LoadBundleOptions options{.device = device, .dtype = writes ? "fp32" : "auto", .writable = writes};
  if (std::filesystem::is_directory(from) && !std::filesystem::exists(from / "config.json") && released_folder(from))
    return load_released_folder(from, options);
  return load_model(read_model_directory(from), options);
}

/// The shape of a new model, as the codec and the text encoder have it where the recipe says nothing.
void complete_shape(InfinityConfig& shape, const train::Recipe& recipe, const codec::CodecConfig& codec) {
  if (!recipe.model.contains("bits")) shape.bits = codec.bits;
  if (!recipe.model.contains("scales")) {
    shape.scales = codec.scales;
    for (int64_t& edge : shape.scales) edge /= shape.patchify ? 2 : 1;
  }
  if (!recipe.model.contains("text_width")) shape.text_width = shape.text_encoder->width;
}

void require_captions_that_fit(const SampleSource& source, const InfinityConfig& shape, bool given) {
  const auto longest = static_cast<int64_t>(source.longest_caption());
  if (longest < shape.text_length) return;
  throw UserError(
      "[infinity] the longest caption has {} bytes, and the model reads {}, in training as in drawing; want shorter "
      "ones, {}",
      longest, shape.text_length - 1,
      given ? "since the model to begin with is given" : fmt::format("or model.text_length = {}", longest + 1));
}

/// 0 where nothing grows. A resumed run's recipe says what the grown model has, and begins with the small one again.
int64_t growth(std::string_view key, int64_t wanted, int64_t has, const ModelTable& table) {
  if (wanted == 0 || wanted == has) return 0;
  if (wanted < has)
    throw UserError("[infinity] model.{} is {}, but {} has {}; want more, or 0", key, wanted, table.from, has);
  if (table.tune.what != "full")
    throw UserError("[infinity] model.{} adds what has to learn; want tune.what = 'full', got '{}'", key,
                    table.tune.what);
  return wanted;
}

void grow(Infinity& model, const ModelTable& table, uint64_t seed) {
  const InfinityConfig& shape = model.config;
  if (const int64_t depth = growth("grow_to", table.grow_to, shape.depth, table)) add_blocks(model, depth, seed);
  if (const int64_t length = growth("grow_text_to", table.grow_text_to, shape.text_length, table)) {
    if (!model.text_encoder)
      throw UserError("[infinity] model.grow_text_to wants a text encoder inside the model; {} reads another's states",
                      table.from);
    lengthen_text(model, length, seed);
  }
}

}  // namespace

void add_blocks(Infinity& model, int64_t depth, uint64_t seed, const InitialScales& scales) {
  InfinityConfig shape = model.config;
  shape.depth = depth;
  Infinity deeper(shape);
  initialise(deeper, seed, scales);
  const at::NoGradGuard no_grad;
  for (int64_t i = model.config.depth; i < depth; ++i) {
    InfinityBlock& block = deeper.blocks[static_cast<size_t>(i)];
    for (const Tensor& last : {block.sa.proj.weight, block.ca.proj.weight, block.ffn.fc2.weight}) last.zero_();
    model.blocks.push_back(std::move(block));
  }
  model.config = shape;
}

void lengthen_text(Infinity& model, int64_t length, uint64_t seed) {
  InfinityConfig shape = model.config;
  shape.text_length = length;
  shape.depth = 1;
  Infinity longer(shape);
  initialise(longer, seed);
  const at::NoGradGuard no_grad;
  const auto take = [](Tensor& had, Tensor& fresh) {
    fresh.slice(0, 0, had.size(0)).copy_(had);
    had = fresh;
  };
  take(model.cfg_uncond, longer.cfg_uncond);
  take(model.text_encoder->position, longer.text_encoder->position);
  model.config.text_length = length;
}

Beginning begin(train::Recipe& recipe, const SampleSource& source, at::Device device, const InitialScales& initial) {
  ModelTable table;
  from_json(recipe.model, table, "recipe", "model");
  train::validate(table.tune);
  std::optional<Bundle> given;
  if (!table.from.empty()) {
    given = started(table.from, table.tune, device);
    const BuildDevice on(device);
    grow(given->model, table, static_cast<uint64_t>(recipe.train.seed));
    table.shape = given->model.config;
    if (std::filesystem::exists(Path(table.from) / "codec"))
      table.codec_directory = (Path(table.from) / "codec").string();
  }
  if (table.codec_directory.empty() && !given)
    throw UserError("[recipe] model.codec_directory is missing; want the directory of a trained codec");
  if (!table.shape.text_encoder && !(given && given->text))
    throw UserError("[recipe] model.text_encoder is missing; want at least [model.text_encoder] width = 128");

  codec::Codec codec = given ? given->codec : codec::load_codec(table.codec_directory, device);
  InfinityConfig& shape = table.shape;
  if (!given) {
    if (table.grow_to != 0 || table.grow_text_to != 0)
      throw UserError("[infinity] model.grow_to and model.grow_text_to want a model to start from; want model.from");
    complete_shape(shape, recipe, codec.config);
  }
  shape.codec = fingerprint(codec);
  recipe.model = to_json(table);
  if (shape.text_encoder) require_captions_that_fit(source, shape, given.has_value());

  const BuildDevice on(device);
  Infinity model = given ? std::move(given->model) : Infinity(shape);
  if (!given) initialise(model, static_cast<uint64_t>(recipe.train.seed), initial);
  std::vector<Sample> fixed = data::samples_to_measure(source, 64);
  const Image& first = fixed.front().picture;
  const Schedule schedule = schedule_for(shape, 1, table.pixels);
  const int64_t edge = schedule.latent_scales(shape.patchify).back().height * codec.config.spatial_factor();
  if (first.width != edge || first.height != edge) {
    throw UserError("[infinity] pictures are {} x {}, but the model is trained on {} x {}", first.width, first.height,
                    edge, edge);
  }
  InfinityStart start{.text = given ? given->text : nullptr,
                      .pixels = table.pixels,
                      .base = table.from,
                      .tune = table.tune,
                      .seed = static_cast<uint64_t>(recipe.train.seed)};
  if (given) start.defaults = given->defaults;
  return {std::move(model), std::move(codec), std::move(start), std::move(fixed)};
}

std::unique_ptr<train::Objective> make_infinity_objective(train::Recipe& recipe, const SampleSource& source,
                                                          at::Device device) {
  InfinityTraining training;
  from_json(recipe.loss, training, "recipe", "loss");
  Beginning with = begin(recipe, source, device, training.initial);
  with.start.defaults.reset();  // the recipe's own settings
  recipe.loss = to_json(training);
  return std::make_unique<InfinityObjective>(std::move(with.model), std::move(with.codec), training,
                                             std::move(with.fixed), device, std::move(with.start));
}

}  // namespace tessera::infinity
