// Pictures to rewards, rewards to weights of bits, weights to one loss.
#include "models/infinity/grpo.h"

#include <ATen/ops/adaptive_avg_pool2d.h>
#include <ATen/ops/binary_cross_entropy_with_logits.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/tensor.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "core/error.h"
#include "core/json.h"
#include "tensor/device.h"
#include "train/verifier.h"

namespace tessera::infinity {

namespace {

void check(const PictureGrpo& t) {
  if (t.group < 2)
    throw UserError("[grpo] loss.group is {}, want at least 2: a picture is compared with others", t.group);
  if (!(t.temperature > 0 && std::isfinite(t.temperature)))
    throw UserError("[grpo] loss.temperature is {}, want more than 0", t.temperature);
}

/// What the reward sees of pictures [n, 3, H, W]: [n, 3 * edge * edge].
Tensor seen(const Tensor& pictures) {
  return at::adaptive_avg_pool2d(pictures, {PictureReward::edge, PictureReward::edge}).flatten(1);
}

/// Numbers of pictures whose group has a weight other than 0; of the first group where none has, so that there is a loss.
std::vector<int64_t> that_teach(const std::vector<double>& worth, int64_t group) {
  std::vector<int64_t> rows;
  for (int64_t begin = 0; begin < std::ssize(worth); begin += group) {
    const auto first = worth.begin() + begin;
    if (std::all_of(first, first + group, [](double w) { return w == 0; })) continue;
    for (int64_t i = 0; i < group; ++i) rows.push_back(begin + i);
  }
  if (rows.empty()) {
    rows.resize(static_cast<size_t>(group));
    std::iota(rows.begin(), rows.end(), 0);
  }
  return rows;
}

}  // namespace

PictureReward::PictureReward(const SampleSource& source, const std::string& rule, at::Device device) {
  if (rule == "likeness") return;
  if (rule != "retrieval") throw UserError("[grpo] loss.rule is '{}', want retrieval or likeness", rule);
  const std::optional<uint64_t> count = source.pass_length();
  if (!count || *count < 2 || *count > most_pictures)
    throw UserError(
        "[grpo] retrieval compares with every picture of the data, of which there are {}; want 2 to {}, or loss.rule = "
        "\"likeness\"",
        count ? std::to_string(*count) : "any number", most_pictures);
  std::vector<Tensor> rows;
  for (uint64_t i = 0; i < *count; ++i)
    rows.push_back(seen(codec::pictures_to_tensor({source.at(i).picture}, at::kCPU)));
  const Tensor all = at::cat(rows).to(device);
  pictures_ = all.t().contiguous();
  squares_ = all.square().sum(1);
}

Tensor PictureReward::of(const Tensor& drawn, const Tensor& own) const {
  const NoAutocast plain(drawn.device());
  const Tensor a = seen(drawn), b = seen(own);
  if (!present(pictures_)) return -(a - b).square().mean(1);
  // |x|^2 is left out on both sides. Sums of 3,072 products are rounded by some 1e-4; two pictures that differ at all are farther apart.
  constexpr double rounding = 1e-2;
  const Tensor to_own = b.square().sum(1) - 2 * (a * b).sum(1);
  const Tensor to_nearest = std::get<0>((squares_ - 2 * a.matmul(pictures_)).min(1));
  return (to_own <= to_nearest + rounding).to(at::kFloat);
}

PictureGrpoObjective::PictureGrpoObjective(Beginning with, PictureGrpo training, PictureReward reward,
                                           at::Device device)
    : InfinityObjective(std::move(with.model), std::move(with.codec),
                        {.half = training.half, .sample_prompts = training.sample_prompts}, std::move(with.fixed),
                        device, std::move(with.start)),
      settings_(std::move(training)), reward_(std::move(reward)) {
  check(settings_);
  if (model().config.head != "bits")
    throw UserError("[grpo] the model's head is '{}', want bits: only those are drawn", model().config.head);
}

PictureGrpoObjective::Drawn PictureGrpoObjective::draw(const std::vector<std::string>& captions, uint64_t seed) {
  const at::NoGradGuard no_grad;
  const NoAutocast plain(device());
  const size_t scales = positions().schedule.scales.size();
  DrawPlan plan{.schedule = positions().schedule,
                .cfg = std::vector<double>(scales, 1),
                .tau = std::vector<double>(scales, settings_.temperature),
                .top_p = 1,
                .seed = seed};
  DrawnCodes drawn = draw_codes(model(), states_of(captions), plan);
  return {std::move(drawn.codes.bits), codec().decode(drawn.codes.sum).clamp(-1, 1)};
}

Tensor PictureGrpoObjective::log_probabilities(const std::vector<std::string>& captions,
                                               const std::vector<Tensor>& bits) {
  const Lesson lesson = lesson_of_bits(bits, positions().schedule, model().config.patchify);
  const Tensor logits = model().forward(lesson.features, model().condition(states_of(captions)), positions());
  const Tensor difference = (logits.select(-1, 1) - logits.select(-1, 0)) / settings_.temperature;
  return -at::binary_cross_entropy_with_logits(difference, lesson.labels.to(at::kFloat), {}, {}, at::Reduction::None)
              .mean(at::IntArrayRef({1, 2}));
}

train::Loss PictureGrpoObjective::prepared_loss(const train::PreparedBatch& batch, const train::StepContext& context) {
  std::vector<std::string> captions;
  std::vector<Tensor> own;
  for (const Captioned* each : train::prepared_as<Captioned>(batch)) {
    for (int64_t i = 0; i < settings_.group; ++i) {
      captions.push_back(each->caption);
      own.push_back(each->picture);
    }
  }
  Rng rng = context.rng;
  const Drawn drawn = draw(captions, rng.next());
  const Tensor rewards = reward_.of(drawn.pictures, at::cat(own).to(device())).to(at::kCPU, at::kDouble).contiguous();
  const double* values = rewards.const_data_ptr<double>();
  const std::vector<double> worth =
      train::group_advantages({values, values + rewards.numel()}, settings_.group, settings_.scaled);

  const std::vector<int64_t> rows = that_teach(worth, settings_.group);
  std::vector<std::string> learned;
  std::vector<double> weights;
  for (const int64_t row : rows) {
    learned.push_back(captions[static_cast<size_t>(row)]);
    weights.push_back(worth[static_cast<size_t>(row)]);
  }
  std::vector<Tensor> bits;
  for (const Tensor& scale : drawn.bits)
    bits.push_back(scale.index_select(0, at::tensor(rows, at::kLong).to(device())));
  const Tensor each = at::tensor(weights, at::kFloat).to(device()) * log_probabilities(learned, bits);

  const auto count = static_cast<double>(worth.size());
  const double decided =
      std::ranges::all_of(weights, [](double w) { return w == 0; }) ? 0 : static_cast<double>(rows.size());
  return {-each.sum() / count, {{"reward", rewards.mean().item<double>()}, {"undecided", 1 - decided / count}}};
}

std::map<std::string, double> PictureGrpoObjective::evaluate() {
  const at::NoGradGuard no_grad;
  std::vector<std::string> captions;
  std::vector<Image> pictures;
  for (const Sample& sample : fixed()) {
    if (!can_be_drawn(sample.caption)) continue;
    captions.push_back(sample.caption);
    pictures.push_back(sample.picture);
  }
  if (captions.empty()) return {};
  const Tensor own = codec::pictures_to_tensor(pictures, device());
  const Tensor saved =
      codec::pictures_to_tensor(drawing().draw({.prompts = captions, .seed = 1, .pixels = pixels()}), device());
  return {{"reward_as_saved", reward_.of(saved, own).mean().item<double>()},
          {"reward_unguided", reward_.of(draw(captions, 1).pictures, own).mean().item<double>()}};
}

std::unique_ptr<train::Objective> make_picture_grpo_objective(train::Recipe& recipe, const SampleSource& source,
                                                              at::Device device) {
  PictureGrpo training;
  from_json(recipe.loss, training, "recipe", "loss");
  check(training);
  if (!recipe.model.contains("from"))
    throw UserError(
        "[grpo] model.from is missing; want a model that is right now and then: from one that never is, nothing is "
        "learned");
  PictureReward reward(source, training.rule, device);
  Beginning with = begin(recipe, source, device, {});
  recipe.loss = to_json(training);
  return std::make_unique<PictureGrpoObjective>(std::move(with), std::move(training), std::move(reward), device);
}

}  // namespace tessera::infinity
