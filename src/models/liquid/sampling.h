// How a picture code is drawn: Liquid's own order of temperature, top-k, top-p and draw, in its arithmetic, over the codes alone.
#pragma once

#include <functional>

#include "generate/sequence.h"
#include "models/liquid/config.h"

namespace tessera::liquid {

/// Exponential numbers, one for each id of the vocabulary, that code `index` of picture `stream` is drawn by: [V] fp32.
using Exponentials = std::function<Tensor(uint64_t stream, size_t index)>;

struct CodeSampling {
  double temperature = 0.9;  // 0: the most likely code, the first of equals
  int64_t top_k = 4096;
  double top_p = 0.99;
  uint64_t seed = 0;
  Exponentials exponentials;  // absent: drawn by (seed, stream, index, code) alone
};

/// What the filters leave of guided logits [K] fp32 of the codes: probabilities [K] fp32. logits / max(temperature, 1e-5); top-k keeps every tie
/// with the k-th; top-p goes down the sorted codes and keeps the one whose probability takes the sum past it; softmax. Throws FaultError
/// when the largest logit is no finite number.
Tensor code_probabilities(const Tensor& logits, const CodeSampling& sampling);

/// One picture: a fixed number of codes, whatever the model would say next. Ids are those of the vocabulary.
class CodeSequence final : public generate::Sequence {
 public:
  /// `options.max_new_tokens`: codes; `options.stream`: number of the picture. `on_code` sees the number of codes after each.
  CodeSequence(generate::Prompt prompt, generate::SequenceOptions options, const PictureTokens& pictures,
               CodeSampling sampling, std::function<void(int64_t codes)> on_code = {});
  bool greedy() const override { return false; }
  /// Codes from 0.
  std::vector<int64_t> codes() const;

 protected:
  /// The code of the largest p / e, as torch.multinomial draws one. `logits`: of the whole vocabulary or of the codes alone.
  int32_t sample(const Tensor& logits, size_t index) const override;
  void on_id(int32_t id) override;

 private:
  PictureTokens pictures_;
  CodeSampling sampling_;
  std::function<void(int64_t codes)> on_code_;
};

}  // namespace tessera::liquid
