// Pairs to rewards, rewards to a loss; and the reference's log probabilities, which are asked for once.
#include "models/lm/training/preference.h"

#include <ATen/ops/log_sigmoid.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <cmath>

#include "core/error.h"
#include "core/json.h"
#include "core/log.h"
#include "core/progress.h"
#include "tensor/weights.h"
#include "train/grading.h"

namespace tessera::lm {

namespace {
constexpr size_t pairs_at_once = 8;

void check(const PreferenceTraining& t) {
  if (t.kind != "sigmoid" && t.kind != "ipo")
    throw UserError("[preference] loss.kind is '{}', want sigmoid or ipo", t.kind);
  if (!(t.beta > 0 && std::isfinite(t.beta))) throw UserError("[preference] loss.beta is {}, want more than 0", t.beta);
  if (!(t.smoothing >= 0 && t.smoothing < 0.5))
    throw UserError("[preference] loss.smoothing is {}, want 0 to below 0.5", t.smoothing);
  if (t.smoothing > 0 && t.kind == "ipo") throw UserError("[preference] loss.smoothing belongs to loss.kind = sigmoid");
  if (!(t.sft >= 0 && std::isfinite(t.sft))) throw UserError("[preference] loss.sft is {}, want 0 or more", t.sft);
}

int64_t graded(const train::Sequence& sequence) {
  return std::ranges::count_if(sequence.targets, [](int32_t target) { return target != train::not_graded; });
}

/// Takes back the grading of the first `count` graded positions.
void ungrade(train::Sequence& sequence, int64_t count) {
  for (int32_t& target : sequence.targets) {
    if (count == 0) return;
    if (target == train::not_graded) continue;
    target = train::not_graded;
    --count;
  }
}

/// Graded tokens of the turns that both conversations begin with.
int64_t shared_answers(const Sample& sample, const text::Tokenizer& tokenizer, const text::ChatTemplate& chat) {
  std::vector<text::Message> shared;
  while (shared.size() < std::min(sample.messages.size(), sample.rejected.size()) &&
         sample.messages[shared.size()] == sample.rejected[shared.size()])
    shared.push_back(sample.messages[shared.size()]);
  if (std::ranges::none_of(shared, [](const text::Message& m) { return m.role == "assistant"; })) return 0;
  const auto ids = text::encode_chat(tokenizer, chat.pieces(shared, false, {.tools = sample.tools}));
  return std::ranges::count(ids.answer, 1);
}

uint64_t hash_of(const train::Sequence& sequence) {
  const auto bytes = [](const std::vector<int32_t>& ids) {
    return std::string_view(reinterpret_cast<const char*>(ids.data()), ids.size() * sizeof(int32_t));
  };
  return mix64(hash_text(bytes(sequence.ids)) ^ mix64(hash_text(bytes(sequence.targets))));
}

std::vector<train::Sequence> side_by_side(const std::vector<PreferencePair>& pairs) {
  std::vector<train::Sequence> sequences;
  for (const PreferencePair& pair : pairs) {
    sequences.push_back(pair.chosen);
    sequences.push_back(pair.rejected);
  }
  return sequences;
}

/// The loss of a batch without a usable pair: it moves nothing, but is part of the graph like any other.
Tensor nothing(const DecoderLm& model, at::Device device) {
  const Tensor one = at::zeros({1, 1}, at::TensorOptions(at::kLong).device(device));
  return model.forward(model.embed(one), positions_of(model, 1, {}, device)).sum() * 0;
}

/// Of [2P] in the order of side_by_side(): the chosen ones and the rejected ones, [P] each.
std::pair<Tensor, Tensor> sides(const Tensor& both) {
  const Tensor pairs = both.view({-1, 2});
  return {pairs.select(1, 0), pairs.select(1, 1)};
}
}  // namespace

bool PreferencePair::usable() const {
  const bool same = chosen.ids == rejected.ids && chosen.targets == rejected.targets;
  return !same && graded(chosen) > 0 && graded(rejected) > 0;
}

uint64_t PreferencePair::identity() const { return mix64(hash_of(chosen)) ^ hash_of(rejected); }

PreferencePair preference_pair(const Sample& sample, const text::Tokenizer& tokenizer,
                               const std::optional<text::ChatTemplate>& chat, int64_t room) {
  const std::string where = sample.where.empty() ? "a sample" : sample.where;
  if (sample.rejected.empty())
    throw UserError("[preference] {} is no pair; want rows with \"prompt\", \"chosen\" and \"rejected\"", where);
  PreferencePair pair{.chosen = sequence_of(sample, tokenizer, chat, room)};
  Sample other = sample;
  std::swap(other.messages, other.rejected);
  pair.rejected = sequence_of(other, tokenizer, chat, room);
  const int64_t shared = shared_answers(sample, tokenizer, *chat);
  ungrade(pair.chosen, shared);
  ungrade(pair.rejected, shared);
  return pair;
}

ReferenceScores ReferenceScores::read(const Path& file) {
  const std::map<std::string, Tensor> stored = load_tensors(file);
  const auto pairs = stored.find("pairs"), scores = stored.find("scores");
  const auto holds = [&](const auto& found, at::ScalarType type, int64_t dims) {
    return found != stored.end() && found->second.dim() == dims && found->second.scalar_type() == type;
  };
  const bool sound = holds(pairs, at::kLong, 1) && holds(scores, at::kDouble, 2) && scores->second.size(1) == 2 &&
                     scores->second.size(0) == pairs->second.size(0);
  if (!sound) throw UserError("[preference] {} holds no log probabilities of a reference; remove it", file.string());
  ReferenceScores found;
  const auto* key = pairs->second.const_data_ptr<int64_t>();
  const auto* score = scores->second.const_data_ptr<double>();
  for (int64_t i = 0; i < pairs->second.size(0); ++i)
    found.by_pair[static_cast<uint64_t>(key[i])] = {score[2 * i], score[2 * i + 1]};
  return found;
}

void ReferenceScores::write(const Path& file, FileSystem& files) const {
  std::vector<int64_t> keys;
  for (const auto& [key, score] : by_pair) keys.push_back(static_cast<int64_t>(key));
  std::ranges::sort(keys);
  files.create_directories(file.parent_path());
  std::vector<double> numbers;
  for (const int64_t key : keys) {
    const Score& score = by_pair.at(static_cast<uint64_t>(key));
    numbers.push_back(score.chosen);
    numbers.push_back(score.rejected);
  }
  const std::vector<NamedTensor> tensors = {{"pairs", at::tensor(keys, at::kLong)},
                                            {"scores", at::tensor(numbers, at::kDouble).view({-1, 2})}};
  save_tensors(file, tensors, files, {.stored_as = StoredAs::unchanged});
}

PreferenceObjective::PreferenceObjective(LmObjective::Parts lm, PreferenceTraining training, uint64_t seed,
                                         at::Device device)
    : lm_(std::move(lm), seed, device), training_(std::move(training)), device_(device) {
  check(training_);
}

AnswerScoring PreferenceObjective::scoring() const {
  return {.room = lm_.room(), .pack = training_.rows.pack, .recompute = training_.rows.recompute, .device = device_};
}

std::unique_ptr<train::Prepared> PreferenceObjective::prepare(Sample sample) const {
  auto row = std::make_unique<Row>();
  row->pair = preference_pair(sample, *lm_.parts().tokenizer, lm_.parts().chat, lm_.room());
  return row;
}

std::vector<ReferenceScores::Score> PreferenceObjective::reference_of(const std::vector<PreferencePair>& pairs) const {
  const at::NoGradGuard no_grad;
  const Tensor sums = score_answers(lm_.model(), side_by_side(pairs), scoring()).sums().to(at::kCPU, at::kDouble);
  const auto* sum = sums.const_data_ptr<double>();
  std::vector<ReferenceScores::Score> scores;
  for (size_t i = 0; i < pairs.size(); ++i) scores.push_back({sum[2 * i], sum[2 * i + 1]});
  return scores;
}

/// A run that goes on has the start's weights again when it is made, so one pair tells whether the stored numbers are its own.
void PreferenceObjective::require_same_reference(const PreferencePair& known) const {
  const ReferenceScores::Score now = reference_of({known}).front(), then = reference_.by_pair.at(known.identity());
  const auto close = [](double a, double b) { return std::abs(a - b) <= 0.01 * (1 + std::abs(b)); };
  if (close(now.chosen, then.chosen) && close(now.rejected, then.rejected)) return;
  throw UserError(
      "[preference] the stored log probabilities are of another reference: a pair has {:.3f} there, {:.3f} by "
      "model.from; begin another run",
      then.chosen, now.chosen);
}

void PreferenceObjective::measure_reference(const SampleSource& source, const Path& file) {
  const auto rows = source.pass_length();
  if (!rows) throw UserError("[preference] the data have no end; want a file of pairs (data.kind = \"chat\")");
  if (std::filesystem::exists(file)) reference_ = ReferenceScores::read(file);
  std::vector<PreferencePair> waiting;
  bool compared = false, changed = false;
  uint64_t useless = 0;
  const auto measure = [&] {
    if (waiting.empty()) return;
    const std::vector<ReferenceScores::Score> scores = reference_of(waiting);
    for (size_t i = 0; i < waiting.size(); ++i) reference_.by_pair[waiting[i].identity()] = scores[i];
    waiting.clear();
    changed = true;
  };
  const uint64_t all = *rows + lm_.parts().heldout.size();
  Progress progress("reference", static_cast<int64_t>(all), "pairs");
  for (uint64_t i = 0; i < all; ++i) {
    const Sample sample = i < *rows ? source.at(i) : lm_.parts().heldout[i - *rows];
    PreferencePair pair = preference_pair(sample, *lm_.parts().tokenizer, lm_.parts().chat, lm_.room());
    if (!pair.usable()) useless += i < *rows ? 1 : 0;
    else if (!reference_.by_pair.contains(pair.identity())) waiting.push_back(std::move(pair));
    else if (!compared && !changed) {
      require_same_reference(pair);
      compared = true;
    }
    if (waiting.size() == pairs_at_once) measure();
    progress.update(static_cast<int64_t>(i) + 1);
  }
  measure();
  progress.finish();
  if (useless == *rows)
    throw UserError(
        "[preference] nothing can be learned: none of the {} pairs has two different answers within {} tokens", *rows,
        lm_.room());
  if (useless > 0)
    log_warning("[preference] {} of {} pairs have no two different answers within {} tokens and teach nothing", useless,
                *rows, lm_.room());
  if (changed) reference_.write(file);
}

train::Loss PreferenceObjective::prepared_loss(const train::PreparedBatch& batch, const train::StepContext&) {
  std::vector<PreferencePair> pairs;
  std::vector<double> reference;
  for (const Row* row : train::prepared_as<Row>(batch)) {
    if (!row->pair.usable()) continue;
    const auto known = reference_.by_pair.find(row->pair.identity());
    if (known == reference_.by_pair.end())
      throw FaultError("[preference] a pair has no log probabilities of the reference");
    pairs.push_back(row->pair);
    reference.push_back(known->second.chosen);
    reference.push_back(known->second.rejected);
  }
  if (pairs.empty()) return {.value = nothing(lm_.model(), device_), .weight = 0};
  const AnswerScores scores = score_answers(lm_.model(), side_by_side(pairs), scoring());
  const Tensor log_ratio = scores.sums() - at::tensor(reference, at::kDouble).to(scores.counts.options());
  const auto [chosen, rejected] = sides(log_ratio);
  const auto [chosen_count, rejected_count] = sides(scores.counts);
  Tensor loss;
  if (training_.kind == "ipo") {
    const Tensor distance = chosen / chosen_count - rejected / rejected_count;
    loss = (distance - 1 / (2 * training_.beta)).square();
  } else {
    const Tensor margin = training_.beta * (chosen - rejected);
    loss = -(1 - training_.smoothing) * at::log_sigmoid(margin) - training_.smoothing * at::log_sigmoid(-margin);
  }
  if (training_.sft > 0) loss = loss - training_.sft * sides(scores.sums()).first / chosen_count;
  train::Loss result{.value = loss.mean(), .weight = static_cast<double>(pairs.size())};
  const Tensor better = training_.beta * chosen.detach(), worse = training_.beta * rejected.detach();
  result.metrics["accuracy"] = (better > worse).to(at::kDouble).mean().item<double>();
  result.metrics["margin"] = (better - worse).mean().item<double>();
  result.metrics["chosen_reward"] = better.mean().item<double>();
  result.metrics["rejected_reward"] = worse.mean().item<double>();
  result.metrics["padding"] = scores.padding;
  return result;
}

std::map<std::string, double> PreferenceObjective::evaluate() {
  const at::NoGradGuard no_grad;
  double pairs = 0, loss = 0, accuracy = 0, margin = 0;
  const std::vector<Sample>& samples = lm_.parts().heldout;
  for (size_t begin = 0; begin < samples.size(); begin += pairs_at_once) {
    train::PreparedBatch batch;
    for (size_t i = begin; i < std::min(begin + pairs_at_once, samples.size()); ++i)
      batch.push_back(prepare(samples[i]));
    const train::Loss measured = prepared_loss(batch, {});
    if (measured.weight == 0) continue;
    pairs += measured.weight;
    loss += measured.weight * measured.value.item<double>();
    accuracy += measured.weight * measured.metrics.at("accuracy");
    margin += measured.weight * measured.metrics.at("margin");
  }
  if (pairs == 0) return {};
  return {{"heldout_loss", loss / pairs}, {"heldout_accuracy", accuracy / pairs}, {"heldout_margin", margin / pairs}};
}

void check_preference_tables(const Json& model, const Json& loss, std::string_view source) {
  check(tables_of<PreferenceTraining>(model, loss, source));
}

std::unique_ptr<train::Objective> make_preference_objective(train::Recipe& recipe, const SampleSource& source,
                                                            at::Device device) {
  PreferenceTraining training;
  from_json(recipe.loss, training, "recipe", "loss");
  check(training);
  LmObjective::Parts parts = parts_of(recipe, source, training.rows.lm(training.length), device);
  if (parts.base.empty()) throw UserError("[preference] model.from is missing; want the model to align");
  if (!parts.chat)
    throw UserError("[preference] data.kind is '{}', want \"chat\" with rows of pairs", recipe.data.kind);
  recipe.loss = to_json(training);
  auto objective = std::make_unique<PreferenceObjective>(std::move(parts), training,
                                                         static_cast<uint64_t>(recipe.train.seed), device);
  objective->measure_reference(source, Path(recipe.out) / "reference.safetensors");
  return objective;
}

}  // namespace tessera::lm
