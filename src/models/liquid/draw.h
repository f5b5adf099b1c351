// Pictures from prompts: codes in rows by the one loop over ids, conditional and unconditional halves side by side.
#pragma once

#include <functional>
#include <optional>
#include <utility>
#include <vector>

#include "generate/jacobi.h"
#include "models/liquid/drafts.h"
#include "models/liquid/prompts.h"
#include "models/liquid/sampling.h"
#include "models/lm/text/decode.h"

namespace tessera::liquid {

/// The language model's steps as those of guided pictures: each row is a conditional and an unconditional one of the model, which read the same
/// ids in the same pass and whose logits become u + cfg (c - u), in fp32. Prompts that are equal, and the unconditional one, are
/// read once and shared.
class PictureSteps final : public generate::TokenSteps {
 public:
  /// `cfg` up to 1: the conditional rows alone.
  PictureSteps(const lm::DecoderLm& model, std::vector<int32_t> unconditional, double cfg,
               const lm::DecodeOptions& options = {});

  Tensor join(std::span<const generate::Prompt* const> prompts) override;
  Tensor next(std::span<const int32_t> ids) override;
  Tensor verify(const std::vector<std::vector<int32_t>>& ids) override;
  void rewind(size_t row, int64_t length) override;
  void keep(std::span<const size_t> rows) override;
  size_t rows() const override { return rows_.size(); }
  /// Of the conditional row.
  int64_t length(size_t row) const override { return steps_.length(rows_[row].conditional); }
  /// Positions that went through the model so far, of both halves.
  int64_t positions() const { return steps_.positions(); }

 private:
  struct Pair {
    size_t conditional = 0, unconditional = 0;  // rows of steps_
    int64_t shift = 0;                          // positions that the conditional prompt is longer by
  };
  bool guides() const { return cfg_ > 1; }
  Tensor guided(const Tensor& conditional, const Tensor& unconditional) const;

  std::vector<int32_t> unconditional_;
  double cfg_;
  lm::LmSteps steps_;
  std::vector<Pair> rows_;
};

/// The model with a head that has the codes' rows alone, whose logits are [.., codes]: words are never drawn here, and most rows are words.
/// Shares all tensors; `model` itself where the head is packed or has an adapter.
lm::DecoderLm with_code_head(const lm::DecoderLm& model, const PictureTokens& pictures);

struct CodePlan {
  double cfg = 7;
  CodeSampling sampling;
  int64_t count = 0;          // codes of a picture; 0: all of PictureTokens
  uint64_t first_stream = 0;  // number of the first picture, for its draws
  generate::JacobiOptions jacobi{.window = 1};
  std::vector<int32_t>
      unconditional;           // ids up to <boi> that guidance leads away from; empty: <bos><unconditional><boi>
  std::vector<int64_t> given;  // codes that every picture begins with
  const PictureDrafts* drafts =
      nullptr;  // guesses beside the model's own, where codes are guessed ahead; none where null
  /// Sees how many codes all pictures have at least, whenever that number has grown; false: no more are to be drawn.
  std::function<bool(int64_t codes)> on_codes;
  lm::DecodeOptions decode;
};

struct DrawnCodes {
  std::vector<std::vector<int64_t>>
      codes;  // of each prompt, with the given ones; fewer than asked for where a caller ended it
  generate::JacobiCounts counts;
};

/// One picture for each prompt (ids up to <boi>), as one batch. `so_far`, where given, holds the codes of pictures under way while
/// on_codes is called.
DrawnCodes draw_codes(const lm::DecoderLm& model, const Prompter& prompter,
                      const std::vector<std::vector<int32_t>>& prompts, const CodePlan& plan,
                      std::vector<std::vector<int64_t>>* so_far = nullptr);

}  // namespace tessera::liquid
