// Only the positions before learnt tokens go through the head: most of a row is picture and question.
#include "models/nvila/objective.h"

#include <algorithm>

#include <ATen/ops/cat.h>
#include <ATen/ops/cross_entropy_loss.h>
#include <ATen/ops/full.h>
#include <ATen/ops/nonzero.h>

#include "core/error.h"
#include "core/log.h"
#include "data/heldout.h"
#include "models/nvila/model_files.h"
#include "nn/layers/adapters.h"
#include "train/grading.h"

namespace tessera::nvila {

namespace {
constexpr double longest_row = 1.4;  // of rows that go together, in terms of the shortest

void scale_rates(std::vector<train::Parameter>& parameters, double rate) {
  for (train::Parameter& parameter : parameters) parameter.lr_scale *= rate;
}

/// Targets as rows [B, length] that end together, as the rows of ids do.
Tensor padded_targets(const std::vector<std::vector<int32_t>>& targets, int64_t length) {
  const Tensor rows = at::full({std::ssize(targets), length}, train::not_graded, at::kLong);
  for (size_t b = 0; b < targets.size(); ++b) {
    int64_t* const end = rows.mutable_data_ptr<int64_t>() + (static_cast<int64_t>(b) + 1) * length;
    std::ranges::copy(targets[b], end - std::ssize(targets[b]));
  }
  return rows;
}

/// A turn is a run of learnt positions without a gap; it is right when every token of it is.
Answers count_answers(const Tensor& positions, const Tensor& right) {
  const Tensor where = positions.cpu(), hit = right.cpu();
  const int64_t* const at = where.const_data_ptr<int64_t>();
  const bool* const ok = hit.const_data_ptr<bool>();
  Answers answers;
  bool whole = true;
  for (int64_t i = 0; i < where.numel(); ++i) {
    whole = whole && ok[i];
    if (i + 1 < where.numel() && at[i + 1] == at[i] + 1) continue;
    answers.right += whole, ++answers.all;
    whole = true;
  }
  return answers;
}

/// Takes over what the model in `from` has under the same name and of the same shape; says how much begins anew.
void take_weights(NvilaModel& model, const Path& from, at::Device device) {
  const at::NoGradGuard no_grad;
  NvilaModel stored = load_weights(from, device);
  std::map<std::string, Tensor> old;
  for_each_tensor(stored, [&](const std::string& name, Tensor& t) { old.emplace(name, t); });
  std::vector<std::string> fresh;
  for_each_tensor(model, [&](const std::string& name, Tensor& t) {
    const auto found = old.find(name);
    if (found != old.end() && found->second.sizes() == t.sizes()) t.copy_(found->second);
    else fresh.push_back(name);
  });
  if (fresh.empty()) return;
  log_info("{} tensors are not in {} or of another shape there and begin anew: {}{}", fresh.size(), from.string(),
           fresh.front(), fresh.size() > 1 ? ", ..." : "");
}

}  // namespace

NvilaObjective::NvilaObjective(NvilaModel model, Path tokenizer_directory, NvilaTraining training, uint64_t seed,
                               std::vector<Sample> unseen, at::Device device)
    : model_(std::move(model)), tokenizer_directory_(std::move(tokenizer_directory)),
      tokenizer_(text::load_tokenizer(tokenizer_directory_)), training_(std::move(training)), seed_(seed),
      unseen_(std::move(unseen)), device_(device),
      prompter_(std::make_unique<Prompter>(model_.config, *tokenizer_, tokenizer_directory_)) {}

std::vector<train::Parameter> NvilaObjective::parameters() {
  std::vector<train::Parameter> all;
  const auto add = [&](auto& part, const PartTraining& how, const std::string& prefix) {
    std::vector<train::Parameter> chosen = train::tuned_parameters(part, how.tune, seed_, prefix);
    scale_rates(chosen, how.rate);
    all.insert(all.end(), chosen.begin(), chosen.end());
  };
  add(model_.vision_tower, training_.tower, "vision_tower");
  add(model_.mm_projector, training_.projector, "mm_projector");
  add(model_.llm, training_.llm, "llm");
  if (all.empty()) throw UserError("[nvila] nothing is trained: tower, projector and llm all tune 'nothing'");
  return all;
}

std::unique_ptr<train::Prepared> NvilaObjective::prepare(Sample sample) const {
  if (sample.messages.empty())
    throw UserError("[nvila] sample '{}' has no conversation; want data of kind talk or chat", sample.caption);
  if (!sample.tools.is_null())
    throw UserError("[nvila] {} has tools, which this model's conversations lack", sample.where);
  auto lesson = std::make_unique<Lesson>();
  lesson->plans = plans_of(model_.config, sample.media);
  lesson->row = prompter_->row(sample.messages, lesson->plans, /*add_generation_prompt=*/false);
  if (std::ssize(lesson->row.ids) > model_.config.text.context)
    throw UserError("[nvila] a conversation has {} tokens, the model's context is {}", lesson->row.ids.size(),
                    model_.config.text.context);
  lesson->targets = train::graded_targets(lesson->row.ids, lesson->row.learnt);
  for (size_t i = 0; i < lesson->plans.size(); ++i)
    lesson->pixels.push_back(pixels_of(model_.config, sample.media[i], lesson->plans[i]));
  return lesson;
}

NvilaObjective::Measured NvilaObjective::measure_rows(const std::vector<const Lesson*>& lessons) const {
  std::vector<PromptRow> prompts;
  std::vector<Tensor> pixels;
  std::vector<MediaPlan> plans;
  std::vector<std::vector<int32_t>> all_targets;
  for (const Lesson* lesson : lessons) {
    prompts.push_back(lesson->row);
    all_targets.push_back(lesson->targets);
    pixels.insert(pixels.end(), lesson->pixels.begin(), lesson->pixels.end());
    plans.insert(plans.end(), lesson->plans.begin(), lesson->plans.end());
  }
  const Assembled rows = assemble(prompts, pixels, std::move(plans), device_);
  lm::Positions positions = lm::positions_of(model_.llm, rows.ids.size(1), rows.pad, device_);
  positions.recompute = training_.recompute;
  const Tensor hidden = model_.llm.forward(model_.embed(rows, training_.recompute), positions);  // [B, L, C]
  const Tensor targets = padded_targets(all_targets, rows.ids.size(1)).flatten().to(device_);    // [B L]
  const Tensor learnt = at::nonzero(targets != train::not_graded).squeeze(1);                    // [n]
  const Tensor logits = model_.llm.logits(hidden.flatten(0, 1).index_select(0, learnt));         // [n, V]
  const Tensor labels = targets.index_select(0, learnt);
  return {.nats = at::cross_entropy_loss(logits, labels, {}, at::Reduction::None),
          .answers = count_answers(learnt, logits.argmax(-1) == labels)};
}

NvilaObjective::Measured NvilaObjective::measure(const train::PreparedBatch& batch) const {
  std::vector<const Lesson*> by_length = train::prepared_as<Lesson>(batch);
  const auto length = [](const Lesson* lesson) { return static_cast<double>(lesson->row.ids.size()); };
  std::ranges::stable_sort(by_length, {}, length);
  std::vector<Tensor> nats;
  Answers answers;
  for (auto first = by_length.begin(); first != by_length.end();) {
    const auto last = std::find_if(first, by_length.end(),
                                   [&](const Lesson* lesson) { return length(lesson) > longest_row * length(*first); });
    const Measured part = measure_rows({first, last});
    nats.push_back(part.nats);
    answers.right += part.answers.right, answers.all += part.answers.all;
    first = last;
  }
  return {.nats = at::cat(nats), .answers = answers};
}

train::Loss NvilaObjective::prepared_loss(const train::PreparedBatch& batch, const train::StepContext& /*context*/) {
  const Measured measured = measure(batch);
  const double all = static_cast<double>(std::max<int64_t>(1, measured.answers.all));
  const int64_t tokens = measured.nats.numel();
  train::Loss loss{measured.nats.sum() / std::max<int64_t>(1, tokens),
                   {{"answers", static_cast<double>(measured.answers.right) / all}}};
  loss.weight = static_cast<double>(tokens);
  return loss;
}

std::map<std::string, double> NvilaObjective::evaluate() {
  if (unseen_.empty()) return {};
  const at::NoGradGuard no_grad;
  constexpr size_t at_once = 16;
  double nats = 0, tokens = 0;
  Answers answers;
  for (size_t begin = 0; begin < unseen_.size(); begin += at_once) {
    train::PreparedBatch batch;
    for (size_t i = begin; i < std::min(begin + at_once, unseen_.size()); ++i) batch.push_back(prepare(unseen_[i]));
    const Measured measured = measure(batch);
    nats += measured.nats.sum().item<double>(), tokens += static_cast<double>(measured.nats.numel());
    answers.right += measured.answers.right, answers.all += measured.answers.all;
  }
  return {
      {"unseen_loss", nats / std::max(1.0, tokens)},
      {"unseen_answers", static_cast<double>(answers.right) / static_cast<double>(std::max<int64_t>(1, answers.all))}};
}

void NvilaObjective::save_model(const Path& directory, FileSystem& files) {
  NvilaModel whole = model_;  // shares tensors; adapters are merged into weights of its own
  nn::merge_adapters(nn::named_linears(whole));
  nvila::save_model(whole, training_.half ? StoredAs::f16 : StoredAs::f32, directory, tokenizer_directory_, files);
}

void complete_nvila_data(train::Recipe& recipe) {
  const Json unseen = recipe.loss.value("unseen", Json(NvilaTraining().unseen));
  if (!unseen.is_number_integer() || unseen > 0) data::hold_out(recipe.data, data::default_heldout_share);
}

std::unique_ptr<train::Objective> make_nvila_objective(train::Recipe& recipe, const SampleSource& source,
                                                       at::Device device) {
  const std::string from = train::starting_model(recipe);
  ModelTable table;
  if (!from.empty()) {
    const NvilaConfig stored = read_config(read_model_directory(from)).config;
    table = {.vision = stored.vision,
             .projector = stored.projector,
             .tiles = stored.tiles,
             .video = stored.video,
             .text = stored.text};
    table.tokenizer = tokenizer_directory(from).string();
  }
  from_json(recipe.model, table, "recipe", "model");
  NvilaTraining training;
  from_json(recipe.loss, training, "recipe", "loss");
  if (table.tokenizer.empty())
    throw UserError(
        "[recipe] model.tokenizer is missing; want a tokenizer's directory (tessera data tokenizer makes one)");
  const bool given = recipe.model.contains("text") && recipe.model["text"].contains("vocabulary");
  if (from.empty() && !given) table.text.vocabulary = text::load_tokenizer(table.tokenizer)->vocabulary();
  recipe.model = to_json(table), recipe.loss = to_json(training);

  const BuildDevice on(device);
  NvilaModel model({.vision = table.vision,
                    .projector = table.projector,
                    .tiles = table.tiles,
                    .video = table.video,
                    .text = table.text});
  const auto seed = static_cast<uint64_t>(recipe.train.seed);
  initialise(model, seed);
  if (!from.empty()) take_weights(model, from, device);
  std::vector<Sample> unseen = source.heldout(static_cast<uint64_t>(std::max<int64_t>(0, training.unseen)));
  if (unseen.empty() && training.unseen > 0)
    log_info(
        "[nvila] the data hold nothing out, so nothing is measured while training; want a heldout_share in [data]");
  return std::make_unique<NvilaObjective>(std::move(model), table.tokenizer, training, seed, std::move(unseen), device);
}

}  // namespace tessera::nvila
