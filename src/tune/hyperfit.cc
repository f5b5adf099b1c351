// Settings in, refusals out; all training is the loop's.
#include "tune/hyperfit.h"

#include <cmath>
#include <sstream>

#include "core/error.h"
#include "core/json.h"
#include "core/text_file.h"
#include "data/citation_index.h"
#include "data/text_files.h"
#include "models/registry.h"
#include "text/tokenizer.h"
#include "train/loop.h"

namespace tessera::tune {

namespace {
HyperfitConfig config_of(const train::Recipe& recipe) {
  HyperfitConfig config;
  from_json(recipe.tune, config, "recipe", "tune");
  return config;
}

void check(const HyperfitConfig& config, int64_t batch) {
  if (config.length < 1 || !(config.epochs > 0) || !(config.stop_loss >= 0))
    throw UserError("[hyperfit] length and epochs want numbers above 0, stop_loss 0 or more; got {}, {} and {}",
                    config.length, config.epochs, config.stop_loss);
  if (config.samples < batch)
    throw UserError(
        "[hyperfit] {} samples are fewer than a step's {}; want tune.samples to be at least train.batch x accumulate",
        config.samples, batch);
}

/// Words of a text's files, each with the name it is called by.
std::vector<std::pair<std::string, std::string>> texts_in(const Path& path) {
  std::vector<std::pair<std::string, std::string>> texts;
  for (const data::TextFile& file : data::find_text_files(path))
    texts.emplace_back(file.name, read_text(file.path, "hyperfit"));
  return texts;
}

void refuse_shared_texts(const HyperfitConfig& config, const text::Tokenizer& tokenizer, const SampleSource& source) {
  const auto read = data::CitationIndex::of_samples(source);
  for (const std::string& path : config.unseen) {
    for (const auto& [name, words] : texts_in(path)) {
      const std::vector<int32_t> ids = tokenizer.encode(words, {.add_special = false, .parse_special = false});
      for (size_t at = 0; at < ids.size(); ++at) {
        const int64_t shared = read.match(std::span(ids).subspan(at));
        if (shared <= longest_shared) continue;
        const std::vector<int32_t> quote(ids.begin() + static_cast<int64_t>(at),
                                         ids.begin() + static_cast<int64_t>(at) + 12);
        throw UserError(
            "[hyperfit] {} is to be measured on, but {} of its tokens in a row are trained on (from '{}'); take it out "
            "of the "
            "training texts (data.text.heldout)",
            name, shared, tokenizer.decode(quote));
      }
    }
  }
}

/// Mean training loss of the first and of the last tenth of the logged steps.
std::pair<double, double> first_and_last(const Path& metrics) {
  std::vector<double> losses;
  std::istringstream lines(read_file(metrics));
  for (std::string line; std::getline(lines, line);) {
    const Json entry = Json::parse(line, nullptr, /*allow_exceptions=*/false);
    if (entry.is_object() && entry.contains("loss")) losses.push_back(entry["loss"].get<double>());
  }
  if (losses.empty()) return {0, 0};
  const size_t share = std::max<size_t>(1, losses.size() / 10);
  double first = 0, last = 0;
  for (size_t i = 0; i < share; ++i) {
    first += losses[i];
    last += losses[losses.size() - 1 - i];
  }
  return {first / static_cast<double>(share), last / static_cast<double>(share)};
}
}  // namespace

void apply_hyperfit(train::Recipe& recipe) {
  const HyperfitConfig config = config_of(recipe);
  train::TrainConfig& loop = recipe.train;
  const int64_t batch = loop.batch * loop.accumulate;
  check(config, batch);
  recipe.tune = to_json(config);
  if (recipe.data.kind == "text") {
    recipe.data.text.samples = config.samples;
    recipe.data.text.length = config.length;
    if (recipe.data.text.tokenizer.empty()) recipe.data.text.tokenizer = train::starting_model(recipe);
  } else {
    recipe.data.samples = config.samples;
  }
  for (const auto& [key, value] : models::objective(recipe.objective).whole_samples.items()) recipe.loss[key] = value;
  if (train::starting_model(recipe).empty())
    throw UserError("[hyperfit] model.from is missing; want the directory of a pretrained model");
  const double steps_per_epoch = static_cast<double>(config.samples) / static_cast<double>(batch);
  loop.steps = static_cast<int64_t>(std::ceil(steps_per_epoch * config.epochs));
  loop.stop_loss = config.stop_loss;
  loop.stop_window = static_cast<int64_t>(std::ceil(steps_per_epoch));
  loop.schedule.kind = "constant";
  loop.optimizer.weight_decay = 0;
}

void check_hyperfit(const train::Recipe& recipe, const SampleSource& source) {
  const HyperfitConfig config = config_of(recipe);
  const auto there = source.pass_length();
  if (there && static_cast<int64_t>(*there) < config.samples)
    throw UserError(
        "[hyperfit] the data have {} samples, want {}; lower tune.samples or tune.length, or give more data", *there,
        config.samples);
  if (recipe.data.kind != "text") return;
  const auto tokenizer = text::load_tokenizer(recipe.data.text.tokenizer);
  const std::string from = recipe.model.at("from").get<std::string>();
  if (text::fingerprint(*tokenizer) != text::fingerprint(*text::load_tokenizer(from)))
    throw UserError("[hyperfit] the tokenizer in {} is not that of the model in {}; leave data.text.tokenizer out",
                    recipe.data.text.tokenizer, from);
  refuse_shared_texts(config, *tokenizer, source);
}

std::string hyperfit_verdict(const train::Recipe& recipe, const Path& run_directory) {
  const auto [first, last] = first_and_last(run_directory / "metrics.jsonl");
  if (last < first / 2) return "";
  return fmt::format(
      "[hyperfit] the training loss went from {:.3f} to {:.3f}, which is no hyperfitting; raise "
      "train.schedule.learning_rate (now {}) "
      "or tune.epochs (now {}), or take fewer samples (now {})",
      first, last, recipe.train.schedule.learning_rate, config_of(recipe).epochs, config_of(recipe).samples);
}

}  // namespace tessera::tune
