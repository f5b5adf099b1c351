// The filters are ATen's own operations in the published order, so that ties and rounding fall alike. Where rounding cannot matter, top-p
// sorts only as far down as it reaches.
#include "models/liquid/sampling.h"

#include <ATen/ops/full.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <vector>

namespace tessera::liquid {

namespace {

constexpr float banned = -std::numeric_limits<float>::infinity();

/// -log(u), u of (0, 1], for each code that may be drawn; 1 for the others.
Tensor drawn_exponentials(const Tensor& probabilities, Rng rng) {
  Tensor numbers = at::full(probabilities.sizes(), 1.0f);
  float* number = numbers.mutable_data_ptr<float>();
  const float* probability = probabilities.const_data_ptr<float>();
  for (int64_t i = 0; i < probabilities.numel(); ++i) {
    if (probability[i] > 0)
      number[i] = static_cast<float>(std::max(-std::log1p(-rng.split(static_cast<uint64_t>(i)).uniform()), 1e-30));
  }
  return numbers;
}

/// Logits with all codes banned that top-p removes, by sorting all of them.
Tensor top_p_of_all(const Tensor& logits, double top_p) {
  const auto [sorted, order] = logits.sort(/*stable=*/true, /*dim=*/0, /*descending=*/true);
  const Tensor past = sorted.softmax(0).cumsum(0) > top_p;
  Tensor removed = at::zeros(past.sizes(), at::kBool);  // those after the first that is past it
  removed.narrow(0, 1, past.size(0) - 1).copy_(past.narrow(0, 0, past.size(0) - 1));
  return logits.masked_fill(at::zeros(past.sizes(), at::kBool).scatter(0, order, removed), banned);
}

/// The same by sorting those that stay; undefined where a sum is so near top_p that rounding may decide.
Tensor top_p_of_few(const Tensor& logits, double top_p) {
  constexpr double near = 1e-4;  // beyond what sums of thousands in fp32 differ by
  const Tensor probabilities = logits.softmax(0);
  const auto* logit = logits.const_data_ptr<float>();
  const auto* probability = probabilities.const_data_ptr<float>();
  std::vector<int32_t> order(static_cast<size_t>(logits.numel()));
  std::iota(order.begin(), order.end(), 0);
  const auto before = [&](int32_t a, int32_t b) { return logit[a] != logit[b] ? logit[a] > logit[b] : a < b; };
  Tensor kept = at::full(logits.sizes(), banned);
  auto* to = kept.mutable_data_ptr<float>();
  double sum = 0;
  size_t reach = 0, i = 0;
  for (; sum <= top_p && i < order.size(); ++i) {
    if (i == reach) {
      const auto at = [&](size_t place) { return order.begin() + static_cast<std::ptrdiff_t>(place); };
      reach = std::min(order.size(), std::max<size_t>(16, 8 * i));
      std::partial_sort(at(i), at(reach), order.end(), before);
    }
    to[order[i]] = logit[order[i]];
    sum += probability[order[i]];
    if (std::abs(sum - top_p) < near) return {};
  }
  return kept;
}

}  // namespace

Tensor code_probabilities(const Tensor& given, const CodeSampling& sampling) {
  generate::require_finite(given.max().item<float>());  // a NaN counts as the largest
  Tensor logits = given / std::max(sampling.temperature, 1e-5);
  if (sampling.top_k > 0) {
    const int64_t k = std::min(sampling.top_k, logits.size(0));
    const Tensor least = std::get<0>(logits.topk(k))[k - 1];
    logits = logits.masked_fill(logits < least, banned);
  }
  if (sampling.top_p < 1) {
    logits = logits.contiguous();
    const Tensor few = top_p_of_few(logits, sampling.top_p);
    logits = few.defined() ? few : top_p_of_all(logits, sampling.top_p);
  }
  return logits.softmax(0);
}

CodeSequence::CodeSequence(generate::Prompt prompt, generate::SequenceOptions options, const PictureTokens& pictures,
                           CodeSampling sampling, std::function<void(int64_t codes)> on_code)
    : Sequence(std::move(prompt), std::move(options)), pictures_(pictures), sampling_(std::move(sampling)),
      on_code_(std::move(on_code)) {}

int32_t CodeSequence::sample(const Tensor& logits, size_t index) const {
  const bool all = logits.size(0) != pictures_.codes;  // of the whole vocabulary, not of the codes alone
  const Tensor codes = all ? logits.narrow(0, pictures_.first, pictures_.codes) : logits;
  if (sampling_.temperature == 0) {
    generate::require_finite(codes.max().item<float>());
    return static_cast<int32_t>(pictures_.first + codes.argmax().item<int64_t>());
  }
  const Tensor probabilities = code_probabilities(codes, sampling_);
  const uint64_t stream = options().stream;
  const Tensor numbers = sampling_.exponentials
                             ? sampling_.exponentials(stream, index).narrow(0, pictures_.first, pictures_.codes)
                             : drawn_exponentials(probabilities, Rng(sampling_.seed).split(stream).split(index));
  return static_cast<int32_t>(pictures_.first + (probabilities / numbers).argmax().item<int64_t>());
}

void CodeSequence::on_id(int32_t /*id*/) {
  if (on_code_) on_code_(std::ssize(new_ids()));
}

std::vector<int64_t> CodeSequence::codes() const {
  std::vector<int64_t> codes;
  for (const int32_t id : new_ids()) codes.push_back(id - pictures_.first);
  return codes;
}

}  // namespace tessera::liquid
