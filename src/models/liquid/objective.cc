// Samples become sequences, sequences rows, rows a loss.
#include "models/liquid/objective.h"

#include <ATen/ops/cross_entropy_loss.h>
#include <ATen/ops/tensor.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "core/error.h"
#include "core/json.h"
#include "core/log.h"
#include "core/text_file.h"
#include "media/compose.h"
#include "media/png.h"
#include "models/liquid/loaded.h"
#include "models/liquid/vocabulary.h"
#include "models/lm/architecture/token_rows.h"
#include "models/lm/training/training_files.h"
#include "nn/layers/token_loss.h"
#include "train/grading.h"

namespace tessera::liquid {

namespace {

constexpr size_t measured_at_once = 16, most_kept = 100'000, shown = 16, looks_per_draft = 4;
constexpr int64_t most_drafts = 65'536;
constexpr double wrong_codes = 1.0 / 30;  // of a drawing

void check(const LiquidTraining& t, const lm::LmConfig& model, const PictureTokens& pictures) {
  const auto share = [](double x) { return x >= 0 && x <= 1; };
  if (!share(t.drawing) || !share(t.without_prompt) || !share(t.redrawn))
    throw UserError("[liquid] loss.drawing, without_prompt and redrawn are {}, {} and {}, want shares from 0 to 1",
                    t.drawing, t.without_prompt, t.redrawn);
  if (!(t.max_z >= 0) || !std::isfinite(t.max_z)) throw UserError("[liquid] loss.max_z is {}, want 0 or more", t.max_z);
  if (t.drafts < 0 || t.drafts > most_drafts)
    throw UserError("[liquid] loss.drafts is {}, want 0 to {}", t.drafts, most_drafts);
  if (t.heldout < 1) throw UserError("[liquid] loss.heldout is {}, want at least 1", t.heldout);
  if (t.length < 0 || t.length > model.context)
    throw UserError("[liquid] loss.length is {}, want 0 to the model's context, {}", t.length, model.context);
  const int64_t room = t.length > 0 ? t.length : model.context;
  if (pictures.count() + 8 > room)
    throw UserError("[liquid] a picture has {} codes, a row {} tokens: no room for a picture and its words",
                    pictures.count(), room);
  validate(t.sampling);
  lm::stored_as(t.stored);
}

/// The model with its adapters added into weights of its own; `model` keeps both.
lm::DecoderLm with_adapters_merged(const lm::DecoderLm& model) {
  lm::DecoderLm copy = model;
  const std::vector<nn::NamedLinear> linears = nn::named_linears(copy);
  for (const nn::NamedLinear& each : linears) {
    if (each.linear->lora && present(each.linear->weight)) each.linear->weight = each.linear->weight.detach().clone();
  }
  nn::merge_adapters(linears);
  return copy;
}

std::string card(const Bundle& bundle, const std::string& base) {
  lm::DecoderLm model = bundle.model;
  const PictureTokens& p = bundle.config.pictures;
  return fmt::format(
      "# A Liquid model trained by Tessera\n\n{}| | |\n|---|---|\n| parameters | {} |\n| language model | {}, width "
      "{}, {} "
      "blocks |\n| vocabulary | {}, of which {} are picture codes |\n| pictures | {} x {} pixels, {} x {} codes of "
      "codec "
      "'{}' |\n| longest sequence | {} tokens |\n\nHow it was made is in recipe.toml; `tessera train recipe.toml` "
      "makes it "
      "again.\n",
      base.empty() ? "" : "It was tuned from " + Path(base).lexically_normal().string() + ".\n\n",
      count_parameters(model), model.config.family, model.config.width, model.config.depth, model.config.vocabulary,
      p.codes, bundle.codec.config.picture_size, bundle.codec.config.picture_size, p.edge, p.edge,
      bundle.codec.config.name, model.config.context);
}

bool is_picture(const Sample& sample) { return sample.messages.empty() && !sample.picture.pixels.empty(); }

/// The first captioned pictures that train.
std::vector<Sample> first_pictures(const SampleSource& source) {
  std::vector<Sample> pictures;
  for (uint64_t i = 0; i < 8 * shown && pictures.size() < 2 * shown; ++i) {
    if (Sample sample = source.at(i); is_picture(sample)) pictures.push_back(std::move(sample));
  }
  return pictures;
}

train::Sequence cut(const Prompter::Lesson& lesson, int64_t room) {
  return train::graded_sequence(lesson.ids, lesson.learned, room);
}

}  // namespace

LiquidObjective::LiquidObjective(Parts parts)
    : parts_(std::move(parts)), prompter_(parts_.bundle.config.pictures, *parts_.tokenizer) {
  check(parts_.training, parts_.bundle.model.config, parts_.bundle.config.pictures);
  train::validate(parts_.tune);
  parts_.bundle.config.drawing = parts_.training.sampling;
}

int64_t LiquidObjective::room() const {
  return parts_.training.length > 0 ? parts_.training.length : parts_.bundle.model.config.context;
}

std::vector<train::Parameter> LiquidObjective::parameters() {
  std::vector<train::Parameter> all = train::tuned_parameters(parts_.bundle.model, parts_.tune, parts_.seed);
  if (parts_.first_row == 0) return all;
  for (train::Parameter& p : all) {
    if (p.tensor.size(0) != parts_.bundle.model.config.vocabulary) continue;
    p.first_row = parts_.first_row;
    p.lr_scale = parts_.rows_rate;
  }
  return all;
}

std::vector<int64_t> LiquidObjective::codes_of_picture(const Image& picture) const {
  const uint64_t key = hash_text({reinterpret_cast<const char*>(picture.pixels.data()), picture.pixels.size()}) +
                       static_cast<uint64_t>(picture.width);
  {
    const std::lock_guard lock(encoding_);
    if (const auto kept = codes_.find(key); kept != codes_.end()) return kept->second;
  }
  const int64_t edge = parts_.bundle.codec.config.picture_size;
  std::vector<int64_t> codes = codes_of(parts_.bundle.codec, {fitted(picture, edge)}).front();
  const std::lock_guard lock(encoding_);
  if (codes_.size() < most_kept) codes_.emplace(key, codes);
  return codes;
}

std::unique_ptr<train::Prepared> LiquidObjective::prepare(Sample sample) const {
  auto row = std::make_unique<Row>();
  if (!sample.tokens.empty()) {
    row->text = {.ids = sample.tokens, .learned = std::vector<uint8_t>(sample.tokens.size(), 1)};
    lm::require_rows(parts_.bundle.model.config, *parts_.tokenizer, sample.tokens, "a sample");
    return row;
  }
  if (!sample.messages.empty()) {
    row->kind = Kind::talk;
    row->messages = std::move(sample.messages);
    for (const Media& each : sample.media) {
      if (each.clip || each.frames.size() != 1)
        throw UserError("[liquid] a sample has a clip; this model sees pictures");
      row->codes.push_back(codes_of_picture(each.frames.front()));
    }
    prompter_.talk_lesson(row->messages, row->codes);  // throws for what cannot be taught
    return row;
  }
  if (sample.picture.pixels.empty() || is_blank(sample.caption))
    throw UserError("[liquid] a sample {} has no picture with words, no conversation and no text", sample.where);
  row->kind = Kind::picture;
  row->caption = sample.caption;
  row->codes = {codes_of_picture(sample.picture)};
  return row;
}

/// What a drawing's file is seen as: its pixels encoded again, after the mistakes that drawings have.
std::vector<int64_t> LiquidObjective::redrawn(std::vector<int64_t> codes, Rng rng) const {
  const vq::VqCodec& codec = parts_.bundle.codec;
  for (int64_t& code : codes) {
    if (rng.chance(wrong_codes)) code = static_cast<int64_t>(rng.below(static_cast<uint64_t>(codec.config.codes)));
  }
  return codes_of(codec, pictures_of(codec, {codes}, parts_.bundle.config.pictures.edge)).front();
}

Prompter::Lesson LiquidObjective::lesson_of(const Row& row, Rng rng) const {
  if (row.kind == Kind::text) return row.text;
  const LiquidTraining& t = parts_.training;
  if (row.kind == Kind::talk || !rng.chance(t.drawing)) {
    std::vector<std::vector<int64_t>> seen = row.codes;
    for (size_t i = 0; t.redrawn > 0 && i < seen.size(); ++i) {
      if (rng.chance(t.redrawn)) seen[i] = redrawn(std::move(seen[i]), rng.split(i));
    }
    return row.kind == Kind::talk ? prompter_.talk_lesson(row.messages, seen)
                                  : prompter_.caption_lesson(row.caption, seen.front());
  }
  const bool bare = rng.chance(t.without_prompt);
  const auto& suffixes = drawing_suffixes();
  const std::string& suffix = t.suffixes ? suffixes[rng.below(suffixes.size())] : suffixes.front();
  return prompter_.drawing_lesson(row.caption, suffix, row.codes.front(), bare);
}

LiquidObjective::Graded LiquidObjective::grade(const std::vector<Prompter::Lesson>& lessons, bool recompute) const {
  const lm::DecoderLm& model = parts_.bundle.model;
  std::vector<train::Sequence> sequences;
  for (const Prompter::Lesson& lesson : lessons) sequences.push_back(cut(lesson, room()));
  const train::PackedRows rows = train::packed_rows(sequences, room(), parts_.training.pack);
  lm::Positions positions = lm::packed_positions(model, rows.segments.to(parts_.device));
  positions.recompute = recompute;
  const Tensor hidden = model.forward(model.embed(rows.ids.to(parts_.device)), positions);
  const Tensor targets = rows.targets.flatten().to(parts_.device), learned = (targets >= 0).nonzero().squeeze(1);
  const Tensor states = hidden.flatten(0, 1).index_select(0, learned), wanted = targets.index_select(0, learned);
  Graded graded{.learned = static_cast<double>(learned.size(0)), .padding = rows.padding};
  if (parts_.training.max_z == 0) {
    graded.loss = nn::token_loss(states, model.head(), wanted, model.config.logit_cap);
    graded.nats = graded.loss.item<double>();
    return graded;
  }
  const Tensor logits = model.logits(states);
  graded.loss = at::cross_entropy_loss(logits, wanted, {}, at::Reduction::Sum);
  graded.nats = graded.loss.item<double>();
  graded.loss = graded.loss + parts_.training.max_z * logits.amax(1).square().sum();
  return graded;
}

train::Loss LiquidObjective::prepared_loss(const train::PreparedBatch& batch, const train::StepContext& context) {
  std::vector<Prompter::Lesson> lessons;
  uint64_t number = 0;
  for (const Row* row : train::prepared_as<Row>(batch)) lessons.push_back(lesson_of(*row, context.rng.split(number++)));
  const Graded graded = grade(lessons, parts_.training.recompute);
  train::Loss result{.value = graded.loss / std::max(1.0, graded.learned), .weight = graded.learned};
  result.metrics["learned_tokens"] = graded.learned;
  result.metrics["padding"] = graded.padding;
  result.metrics["nats"] = graded.nats / std::max(1.0, graded.learned);
  return result;
}

void LiquidObjective::measure(const std::vector<Sample>& samples, const std::string& prefix,
                              std::map<std::string, double>& metrics) {
  std::map<std::string, std::vector<Prompter::Lesson>> kinds;
  for (const Sample& sample : samples) {
    const auto prepared = prepare(sample);
    const Row& row = static_cast<const Row&>(*prepared);
    if (row.kind == Kind::text) kinds["text"].push_back(row.text);
    if (row.kind == Kind::talk) kinds["talk"].push_back(prompter_.talk_lesson(row.messages, row.codes));
    if (row.kind != Kind::picture) continue;
    kinds["drawing"].push_back(prompter_.drawing_lesson(row.caption, drawing_suffix, row.codes.front(), false));
    kinds["caption"].push_back(prompter_.caption_lesson(row.caption, row.codes.front()));
  }
  double all_nats = 0, all_learned = 0;
  for (const auto& [kind, lessons] : kinds) {
    double nats = 0, learned = 0;
    for (size_t begin = 0; begin < lessons.size(); begin += measured_at_once) {
      const size_t end = std::min(lessons.size(), begin + measured_at_once);
      const Graded graded = grade(
          {lessons.begin() + static_cast<ptrdiff_t>(begin), lessons.begin() + static_cast<ptrdiff_t>(end)}, false);
      nats += graded.nats;
      learned += graded.learned;
    }
    if (learned > 0) metrics[prefix + kind] = nats / learned;
    all_nats += nats;
    all_learned += learned;
  }
  if (all_learned > 0) metrics[prefix + "loss"] = all_nats / all_learned;
}

std::map<std::string, double> LiquidObjective::evaluate() {
  const at::NoGradGuard no_grad;
  std::map<std::string, double> metrics;
  measure(parts_.measured, "heldout_", metrics);
  measure(parts_.seen, "trained_", metrics);
  return metrics;
}

void LiquidObjective::save_samples(const Path& directory, const std::string& stem) {
  std::vector<std::string> prompts = parts_.training.sample_prompts;
  std::vector<Sample> samples = parts_.measured;
  samples.insert(samples.end(), parts_.seen.begin(), parts_.seen.end());
  for (const Sample& sample : samples) {
    const bool fresh = std::ranges::find(prompts, sample.caption) == prompts.end();
    if (parts_.training.sample_prompts.empty() && prompts.size() < shown && !sample.caption.empty() && fresh)
      prompts.push_back(sample.caption);
  }
  if (prompts.empty()) return;
  std::vector<std::vector<int32_t>> ids;
  std::string page;
  for (const std::string& prompt : prompts) {
    ids.push_back(prompter_.drawing(prompt));
    page += prompt + "\n";
  }
  const DrawDefaults& d = parts_.training.sampling;
  const CodePlan plan{
      .cfg = d.cfg,
      .sampling = {.temperature = d.temperature, .top_k = d.top_k, .top_p = d.top_p, .seed = parts_.seed}};
  const DrawnCodes drawn = draw_codes(parts_.bundle.model, prompter_, ids, plan);
  media::write_png(directory / (stem + ".png"), media::contact_sheet(pictures_of(parts_.bundle.codec, drawn.codes,
                                                                                 parts_.bundle.config.pictures.edge),
                                                                     {.columns = 8}));
  write_file_atomically(directory / (stem + ".txt"), page);
}

/// Of the first pictures with words that the data give, each once: a function of the data alone, so that a resumed run saves the same.
std::shared_ptr<const PictureDrafts> LiquidObjective::drafts() const {
  const auto wanted = static_cast<size_t>(parts_.training.drafts);
  if (wanted == 0 || parts_.source == nullptr) return nullptr;
  std::set<std::vector<int32_t>> found;
  for (uint64_t i = 0; i < looks_per_draft * wanted && found.size() < wanted; ++i) {
    const Sample sample = parts_.source->at(i);
    if (!is_picture(sample)) continue;
    const std::vector<int64_t> codes = codes_of_picture(sample.picture);
    found.emplace(codes.begin(), codes.end());
  }
  return found.empty() ? nullptr : std::make_shared<const PictureDrafts>(std::vector(found.begin(), found.end()));
}

void LiquidObjective::save_model(const Path& directory, FileSystem& files) {
  Bundle whole = parts_.bundle;
  whole.model = with_adapters_merged(parts_.bundle.model);
  Json generation = Json::object();
  const auto name = [&](const char* key, std::optional<int32_t> id) {
    if (!id) return;
    generation[key] = *id;
    whole.text_config[key] = *id;
  };
  name("bos_token_id", parts_.tokenizer->begin_token());
  name("eos_token_id", parts_.tokenizer->end_token());
  name("pad_token_id", parts_.tokenizer->pad_token());
  if (!drafts_) drafts_ = drafts();
  whole.drafts = drafts_;
  files.create_directories(directory);
  write_file_atomically(directory / "README.md", card(whole, parts_.base), files);
  save_bundle(whole, lm::stored_as(parts_.training.stored), generation, directory, files);
}

namespace {

struct Start {
  Bundle bundle;
  int64_t first_row = 0;  // that is new in the vocabulary; 0: none is
};

/// The Liquid model, or the language model with a larger vocabulary, that training starts from.
Start start_of(LiquidModelTable& table, const text::Tokenizer& tokenizer, uint64_t seed, at::Device device) {
  lm::LmModelTable& language = table.language;
  if (!language.from.empty()) {
    ModelDirectory found = read_model_directory(language.from);
    if (found.model_type != model_type && released_codec(language.from)) found.model_type = released_type;
    if (found.model_type == model_type || found.model_type == released_type) {
      Bundle bundle = load_bundle(found, tokenizer, {.device = device, .dtype = "fp32", .writable = true});
      if (!table.codec.empty()) {
        vq::VqCodec codec = vq::load_vq(table.codec, device);
        if (vq::fingerprint(codec) != bundle.config.codec)
          throw UserError("[liquid] model.codec, {}, has other codes than the codec of {}", table.codec, language.from);
        bundle.codec = std::move(codec);
      }
      return {std::move(bundle)};
    }
  }
  if (table.codec.empty())
    throw UserError(
        "[recipe] model.codec is missing; want the directory of a VQ codec, as recipes/emoji-vq.toml makes one");
  Bundle bundle;
  bundle.directory = language.tokenizer;
  bundle.text_config = Json::object();
  bundle.codec = vq::load_vq(table.codec, device);
  bundle.model = language.from.empty() ? lm::new_model(language, tokenizer.vocabulary(), seed, device)
                                       : lm::start_of(language, device);
  const int64_t first_row = language.from.empty() ? 0 : bundle.model.config.vocabulary;
  bundle.config.pictures = extend_vocabulary(bundle.model, tokenizer, bundle.codec.config);
  validate(bundle.config.pictures, bundle.model.config, tokenizer,
           language.from.empty() ? "the recipe" : language.from);
  return {std::move(bundle), first_row};
}

/// Adapters leave an embedding as it is, in which new rows would never learn: those are trained beside them, unless the recipe names what is.
void train_new_rows(LiquidObjective::Parts& parts, const Start& start) {
  if (!(parts.rows_rate > 0)) throw UserError("[recipe] model.rows_rate is {}, want a number above 0", parts.rows_rate);
  const bool adapters = parts.tune.what == "lora" || parts.tune.what == "qlora" || parts.tune.what == "norms";
  if (!adapters || start.first_row == 0 || !parts.tune.also.empty()) return;
  const lm::LmConfig& config = start.bundle.model.config;
  parts.tune.also = {"embed_tokens"};
  if (!config.tied) parts.tune.also.push_back("lm_head");
  parts.first_row = start.first_row;
  log_info("[liquid] the vocabulary's {} new rows are trained beside what tune names",
           config.vocabulary - start.first_row);
}

}  // namespace

std::unique_ptr<train::Objective> make_liquid_objective(train::Recipe& recipe, const SampleSource& source,
                                                        at::Device device) {
  LiquidModelTable table;
  from_json(recipe.model, table, "recipe", "model");
  LiquidTraining training;
  from_json(recipe.loss, training, "recipe", "loss");
  if (table.language.tokenizer.empty()) table.language.tokenizer = table.language.from;
  if (table.language.tokenizer.empty())
    throw UserError("[recipe] model.tokenizer is missing; want a tokenizer directory");
  LiquidObjective::Parts parts;
  parts.tokenizer = text::load_tokenizer(table.language.tokenizer);
  parts.base = table.language.from;
  parts.training = training;
  parts.seed = static_cast<uint64_t>(recipe.train.seed);
  parts.device = device;
  Start start = start_of(table, *parts.tokenizer, parts.seed, device);
  parts.tune = table.language.tune;
  parts.rows_rate = table.rows_rate;
  train_new_rows(parts, start);
  parts.bundle = std::move(start.bundle);
  parts.bundle.directory = table.language.tokenizer;
  recipe.model = to_json(table);
  recipe.loss = to_json(training);
  parts.source = &source;
  parts.measured = source.heldout(static_cast<uint64_t>(std::max<int64_t>(1, training.heldout)));
  if (std::ranges::none_of(parts.measured, is_picture)) parts.seen = first_pictures(source);
  return std::make_unique<LiquidObjective>(std::move(parts));
}

}  // namespace tessera::liquid
