// Windows go in batches of equal prompts, so that nothing is padded: once to be continued, once to be predicted.
#include "models/lm/training/repetition_metrics.h"

#include <algorithm>

#include <ATen/ops/log_softmax.h>
#include <ATen/ops/tensor.h>

#include "models/lm/text/decode.h"
#include "text/variety.h"

namespace tessera::lm {

namespace {
using Tokens = std::vector<int32_t>;
constexpr size_t at_once = 32;

/// The most likely continuation of each prompt, up to its end token; control tokens are no text.
std::vector<Tokens> continued(const DecoderLm& model, const text::Tokenizer& tokenizer,
                              const std::vector<Tokens>& prompts, int64_t most) {
  LmSteps steps(model);
  generate::SequenceOptions options{.max_new_tokens = most, .end_tokens = {}};
  if (const auto end = tokenizer.end_token()) options.end_tokens.push_back(*end);
  std::vector<Tokens> texts = generate::continue_greedily(steps, prompts, options);
  for (Tokens& text : texts) std::erase_if(text, [&](int32_t id) { return tokenizer.is_special(id); });
  return texts;
}

/// Adds up entropy and probability of the most likely token over the predictions after a window's prompt.
int64_t add_certainty(const DecoderLm& model, const Tokens& window, int64_t most, at::Device device,
                      RepetitionMetrics& sum) {
  const int64_t length = std::min<int64_t>(std::ssize(window), repetition_prompt + most) - 1;
  const Tensor ids = at::tensor(window).to(at::kLong).narrow(0, 0, length).unsqueeze(0).to(device);
  const Tensor hidden = model.forward(model.embed(ids), positions_of(model, length, {}, device));
  const Tensor predicting = hidden.select(0, 0).narrow(0, repetition_prompt - 1, length - repetition_prompt + 1);
  const Tensor logs = at::log_softmax(model.logits(predicting), -1);  // [n, V]
  sum.entropy -= (logs.exp() * logs).nan_to_num(0).sum().item<double>();
  sum.top1 += logs.amax(-1).exp().sum().item<double>();
  return predicting.size(0);
}
}  // namespace

RepetitionMetrics measure_repetition(const DecoderLm& model, const text::Tokenizer& tokenizer,
                                     const std::vector<Tokens>& windows, int64_t most, at::Device device) {
  const at::NoGradGuard no_grad;
  RepetitionMetrics sum;
  int64_t predictions = 0;
  std::vector<Tokens> prompts;
  for (const Tokens& window : windows) {
    if (std::ssize(window) <= repetition_prompt) continue;
    prompts.emplace_back(window.begin(), window.begin() + repetition_prompt);
    predictions += add_certainty(model, window, most, device, sum);
  }
  if (prompts.empty()) return sum;
  for (auto first = prompts.begin(); first != prompts.end();) {
    const auto last = first + std::min<std::ptrdiff_t>(at_once, prompts.end() - first);
    for (const Tokens& text : continued(model, tokenizer, {first, last}, most)) {
      sum.ttr += text::type_token_ratio(text), sum.repeated += text::repeated_share(text, 4);
    }
    first = last;
  }
  const auto texts = static_cast<double>(prompts.size()), all = static_cast<double>(predictions);
  return {
      .ttr = sum.ttr / texts, .repeated = sum.repeated / texts, .entropy = sum.entropy / all, .top1 = sum.top1 / all};
}

}  // namespace tessera::lm
