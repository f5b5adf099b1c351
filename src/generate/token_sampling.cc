// Top-k, top-p and min-p by selection in place of a whole sort. Runs on the CPU from counter-based numbers: the same on every device.
#include "generate/token_sampling.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <functional>
#include <limits>
#include <numeric>
#include <span>

#include "core/error.h"
#include "core/rng.h"
#include "nn/kernels/token_loops.h"

namespace tessera::generate {

namespace {

struct Ranked {
  int32_t id = 0;
  float logit = 0;
  float weight = 0;  // probability, not normalised: the most likely has 1
};

/// Ranked by logit, not by weight: at a high temperature weights that differ round to the same number.
bool before(const Ranked& a, const Ranked& b) { return a.logit != b.logit ? a.logit > b.logit : a.id < b.id; }

double sum(std::span<const Ranked> tokens) {
  return std::accumulate(tokens.begin(), tokens.end(), 0.0, [](double s, const Ranked& t) { return s + t.weight; });
}

/// Eight sums side by side, so that additions do not wait for each other.
double sum(std::span<const float> weights) {
  std::array<double, 8> sums{};
  size_t i = 0;
  for (; i + sums.size() <= weights.size(); i += sums.size()) {
    for (size_t j = 0; j < sums.size(); ++j) sums[j] += weights[i + j];
  }
  for (; i < weights.size(); ++i) sums[0] += weights[i];
  return std::accumulate(sums.begin(), sums.end(), 0.0);
}

/// exp((logits - largest) / temperature) [V]: probabilities, not normalised.
Tensor weights_of(const Tensor& logits, double temperature) {
  return logits.sub(logits.max()).div_(std::max(temperature, 1e-30)).exp_();
}

std::span<const float> numbers_of(const Tensor& t) {
  return {t.const_data_ptr<float>(), static_cast<size_t>(t.numel())};
}

/// Tokens that are not banned (-inf) and have at least this logit and weight, by rising id.
std::vector<Ranked> at_least(std::span<const float> logits, std::span<const float> weights, float logit,
                             double weight) {
  std::vector<Ranked> tokens;
  for (size_t id = 0; id < logits.size(); ++id) {
    if (logits[id] >= logit && weights[id] >= weight && logits[id] > -std::numeric_limits<float>::infinity())
      tokens.push_back({static_cast<int32_t>(id), logits[id], weights[id]});
  }
  return tokens;
}

/// The k-th largest logit; -inf where there are fewer.
float kth_largest(std::span<const float> logits, int64_t k) {
  const auto wanted = static_cast<size_t>(k);
  if (wanted >= logits.size()) return -std::numeric_limits<float>::infinity();
  std::vector<float> largest;  // the k largest so far, and others that were not dropped yet
  float least = -std::numeric_limits<float>::infinity();
  const auto settle = [&] {
    const auto last = largest.begin() + static_cast<std::ptrdiff_t>(wanted - 1);
    std::nth_element(largest.begin(), last, largest.end(), std::greater());
    least = *last;
    largest.resize(wanted);
  };
  const size_t most = 4 * wanted + 64;
  for (const float logit : logits) {
    if (logit <= least) continue;
    largest.push_back(logit);
    if (largest.size() == most) settle();
  }
  if (largest.size() > wanted) settle();
  return largest.size() < wanted ? -std::numeric_limits<float>::infinity() : least;
}

/// The token, in the order of before(), whose weight takes the running sum to `enough`; the last one where none does.
Ranked last_of_nucleus(std::vector<Ranked> tokens, double enough) {
  constexpr std::ptrdiff_t few = 64;
  auto begin = tokens.begin(), end = tokens.end();
  double above = 0;  // sum of those before `begin`
  while (end - begin > few) {
    const auto middle = begin + (end - begin) / 2;
    std::nth_element(begin, middle, end, before);
    const double upper = sum(std::span(begin, middle));
    if (above + upper >= enough) {
      end = middle;
    } else {
      above += upper;
      begin = middle;
    }
  }
  std::sort(begin, end, before);
  while (begin + 1 < end && (above += begin->weight) < enough) ++begin;
  return *begin;
}

/// The token at which the running sum of all weights, by rising id, passes `share` of their total.
int32_t token_at(std::span<const float> weights, double share) {
  constexpr size_t piece = 256;
  std::vector<double> sums;
  for (size_t at = 0; at < weights.size(); at += piece)
    sums.push_back(sum(weights.subspan(at, std::min(piece, weights.size() - at))));
  double rest = share * std::accumulate(sums.begin(), sums.end(), 0.0);
  size_t at = 0;
  while (at + 1 < sums.size() && rest >= sums[at]) rest -= sums[at++];
  while (at > 0 && sums[at] == 0) rest += sums[--at];  // where the sum fell short by rounding
  size_t last = 0;
  for (size_t id = at * piece; id < weights.size(); ++id) {
    if (weights[id] == 0) continue;
    last = id;
    rest -= weights[id];
    if (rest < 0) break;
  }
  return static_cast<int32_t>(last);
}

/// What top-k leaves; without it, all that the other filters keep and more. `total`: the weight that top_p is a share of.
std::vector<Ranked> ranked(const Tensor& logits, const TokenSampling& sampling, double& total) {
  const Tensor contiguous = logits.contiguous(), exponentials = weights_of(contiguous, sampling.temperature);
  const std::span<const float> all = numbers_of(contiguous), weights = numbers_of(exponentials);
  if (sampling.top_k > 0) {
    std::vector<Ranked> tokens = at_least(all, weights, kth_largest(all, sampling.top_k), 0);
    total = sum(tokens);
    return tokens;
  }
  total = sum(weights);
  // Tokens below this weight are together less than what top-p leaves out, or min-p leaves them out.
  constexpr double for_rounding = 0.99;
  const double below = std::max((1 - sampling.top_p) * total / static_cast<double>(weights.size()), sampling.min_p);
  return at_least(all, weights, -std::numeric_limits<float>::infinity(), for_rounding * below);
}

void keep_top_p(std::vector<Ranked>& tokens, double enough) {
  const Ranked last = last_of_nucleus(tokens, enough);
  std::erase_if(tokens, [&](const Ranked& t) { return before(last, t); });
}

void keep_min_p(std::vector<Ranked>& tokens, double share) {
  const double most = std::min_element(tokens.begin(), tokens.end(), before)->weight;
  std::erase_if(tokens, [&](const Ranked& t) { return t.weight < share * most; });
}

}  // namespace

void check(const TokenSampling& s) {
  const auto refuse = [](bool good, std::string_view name, double got, std::string_view want) {
    if (!good) throw UserError("[generate] {} is {}, want {}", name, got, want);
  };
  refuse(s.repetition_penalty > 0 && std::isfinite(s.repetition_penalty), "repetition penalty", s.repetition_penalty,
         "a number above 0");
  refuse(s.temperature >= 0 && std::isfinite(s.temperature), "temperature", s.temperature, "a number from 0 (greedy)");
  refuse(s.top_k >= 0, "top-k", static_cast<double>(s.top_k), "at least 0 (0: all tokens)");
  refuse(s.top_p > 0 && s.top_p <= 1, "top-p", s.top_p, "a number above 0, at most 1");
  refuse(s.min_p >= 0 && s.min_p <= 1, "min-p", s.min_p, "a number from 0 to 1");
}

void penalise(Tensor& logits, const std::unordered_set<int32_t>& seen, double penalty) {
  float* values = logits.mutable_data_ptr<float>();
  const auto factor = static_cast<float>(penalty);
  for (const int32_t id : seen) {
    if (id < 0 || id >= logits.numel()) continue;
    values[id] = values[id] < 0 ? values[id] * factor : values[id] / factor;
  }
}

void require_finite(float largest) {
  if (std::isfinite(largest)) return;
  throw FaultError(
      "[generate] the largest logit is {}; the weights, or what the model was given, hold NaN or infinities", largest);
}

int32_t argmax_token(const Tensor& logits) {
  const Tensor plain = logits.to(at::kCPU, at::kFloat).contiguous();
  const float* const numbers = plain.const_data_ptr<float>();
  const int64_t id = nn::loops::index_of_largest(numbers, plain.numel());  // a NaN counts as the largest
  require_finite(numbers[id]);
  return static_cast<int32_t>(id);
}

std::vector<Candidate> candidates(const Tensor& logits, const TokenSampling& sampling) {
  argmax_token(logits);  // refuses NaN
  double total = 0;
  std::vector<Ranked> tokens = ranked(logits, sampling, total);
  if (sampling.top_p < 1) keep_top_p(tokens, sampling.top_p * total);
  if (sampling.min_p > 0) keep_min_p(tokens, sampling.min_p);
  const double left = sum(tokens);
  std::vector<Candidate> kept;
  kept.reserve(tokens.size());
  for (const Ranked& token : tokens) kept.push_back({token.id, token.weight / left});
  return kept;
}

int32_t sample_token(const Tensor& logits, const TokenSampling& sampling, uint64_t row, uint64_t token) {
  if (sampling.temperature == 0) return argmax_token(logits);
  double rest = Rng(sampling.seed).split(row).split(token).uniform();
  if (sampling.top_k == 0 && sampling.top_p == 1 && sampling.min_p == 0) {
    argmax_token(logits);  // refuses NaN
    return token_at(numbers_of(weights_of(logits.contiguous(), sampling.temperature)), rest);
  }
  const std::vector<Candidate> left = candidates(logits, sampling);
  for (const Candidate& candidate : left) {
    rest -= candidate.probability;
    if (rest < 0) return candidate.id;
  }
  return left.back().id;  // the sum fell short of 1 by rounding
}

}  // namespace tessera::generate
