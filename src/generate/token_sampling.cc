// Filters over the most likely tokens, sorted only as far down as they reach. Runs on the CPU from counter-based
// numbers: the same on every device.
#include "generate/token_sampling.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "core/error.h"
#include "core/rng.h"
#include "nn/kernels/token_loops.h"

namespace tessera::generate {

namespace {

struct Ranked {
  int32_t id = 0;
  float logit = 0;
  double weight = 0;  // probability, not normalised: the most likely has 1
};

/// Ranked by logit, not by weight: at a high temperature weights that differ round to the same number.
bool before(const Ranked& a, const Ranked& b) { return a.logit != b.logit ? a.logit > b.logit : a.id < b.id; }

double sum(const std::vector<Ranked>& tokens) {
  return std::accumulate(tokens.begin(), tokens.end(), 0.0, [](double s, const Ranked& t) { return s + t.weight; });
}

/// exp((logits - largest) / temperature) [V]: probabilities, not normalised.
Tensor weights_of(const Tensor& logits, double temperature) {
  return logits.sub(logits.max()).div_(std::max(temperature, 1e-30)).exp_();
}

/// All tokens that are not banned (-inf), by rising id.
std::vector<Ranked> ranked(const Tensor& logits, double temperature) {
  const Tensor contiguous = logits.contiguous(), weights = weights_of(contiguous, temperature);
  const float *logit = contiguous.const_data_ptr<float>(), *weight = weights.const_data_ptr<float>();
  std::vector<Ranked> tokens;
  tokens.reserve(static_cast<size_t>(weights.numel()));
  for (int32_t id = 0; id < weights.numel(); ++id) {
    if (logit[id] > -std::numeric_limits<float>::infinity()) tokens.push_back({id, logit[id], weight[id]});
  }
  return tokens;
}

/// The token at which the running sum of all weights, by rising id, passes `share` of their total.
int32_t token_at(const Tensor& weights, double share) {
  const float* weight = weights.const_data_ptr<float>();
  double total = 0;
  for (int64_t id = 0; id < weights.numel(); ++id) total += weight[id];
  double rest = share * total;
  int32_t last = 0;
  for (int32_t id = 0; id < weights.numel(); ++id) {
    if (weight[id] > 0) last = id;
    rest -= weight[id];
    if (rest < 0) return id;
  }
  return last;  // the sum fell short by rounding
}

void keep_top_k(std::vector<Ranked>& tokens, int64_t k) {
  if (k >= std::ssize(tokens)) return;
  const auto last = tokens.begin() + (k - 1);
  std::nth_element(tokens.begin(), last, tokens.end(), before);
  std::erase_if(tokens, [least = last->logit](const Ranked& t) { return t.logit < least; });
}

void keep_top_p(std::vector<Ranked>& tokens, double share) {
  const double enough = share * sum(tokens);
  const auto at = [&tokens](size_t i) { return tokens.begin() + static_cast<std::ptrdiff_t>(i); };
  size_t sorted = 0, kept = 0;
  double above = 0;
  for (size_t reach = 64; kept == sorted && sorted < tokens.size(); reach *= 8) {
    const size_t end = std::min(reach, tokens.size());
    std::partial_sort(at(sorted), at(end), tokens.end(), before);
    sorted = end;
    for (; kept < sorted && above < enough; ++kept) above += tokens[kept].weight;
  }
  tokens.resize(kept);
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
  std::vector<Ranked> tokens = ranked(logits, sampling.temperature);
  if (sampling.top_k > 0) keep_top_k(tokens, sampling.top_k);
  if (sampling.top_p < 1) keep_top_p(tokens, sampling.top_p);
  if (sampling.min_p > 0) keep_min_p(tokens, sampling.min_p);
  const double total = sum(tokens);
  if (sampling.top_k > 0 || sampling.top_p < 1)  // they leave another order
    std::sort(tokens.begin(), tokens.end(), [](const Ranked& a, const Ranked& b) { return a.id < b.id; });
  std::vector<Candidate> left;
  left.reserve(tokens.size());
  for (const Ranked& token : tokens) left.push_back({token.id, token.weight / total});
  return left;
}

int32_t sample_token(const Tensor& logits, const TokenSampling& sampling, uint64_t row, uint64_t token) {
  if (sampling.temperature == 0) return argmax_token(logits);
  double rest = Rng(sampling.seed).split(row).split(token).uniform();
  if (sampling.top_k == 0 && sampling.top_p == 1 && sampling.min_p == 0) {
    argmax_token(logits);  // refuses NaN
    return token_at(weights_of(logits, sampling.temperature), rest);
  }
  const std::vector<Candidate> left = candidates(logits, sampling);
  for (const Candidate& candidate : left) {
    rest -= candidate.probability;
    if (rest < 0) return candidate.id;
  }
  return left.back().id;  // the sum fell short of 1 by rounding
}

}  // namespace tessera::generate
