// See vocabulary.h.
#include "models/liquid/vocabulary.h"

#include <ATen/ops/cat.h>

#include <algorithm>

#include "core/error.h"

namespace tessera::liquid {

namespace {

constexpr size_t needed = 3;  // tokens around pictures

/// Ids of the model that no text uses, at most three.
std::vector<int64_t> unused_ids(const text::Tokenizer& tokenizer, int64_t rows) {
  std::vector<int64_t> ids;
  for (const char* pattern : {"<unused{}>", "<|reserved_special_token_{}|>", "<|extra_{}|>"}) {
    for (int i = 0; i < 8 && ids.size() < needed; ++i) {
      const auto id = tokenizer.id_of(fmt::format(fmt::runtime(pattern), i));
      if (id && *id < rows) ids.push_back(*id);
    }
  }
  for (int64_t id = tokenizer.vocabulary(); id < rows && ids.size() < needed; ++id) ids.push_back(id);
  return ids;
}

/// [V, C] -> [V + count, C], the new rows at the mean of the old ones.
Tensor with_mean_rows(const Tensor& rows, int64_t count) {
  const Tensor mean = rows.to(at::kFloat).mean(0, /*keepdim=*/true).to(rows.scalar_type());
  return at::cat({rows, mean.expand({count, rows.size(1)})});
}

}  // namespace

PictureTokens extend_vocabulary(lm::DecoderLm& model, const text::Tokenizer& tokenizer, const vq::VqConfig& codec) {
  const at::NoGradGuard no_grad;
  if (model.embed_tokens.packed || model.lm_head.packed)
    throw UserError(
        "[liquid] the model's embedding or head is packed, so rows cannot be added; give the model it was made of");
  const int64_t before = model.config.vocabulary;
  std::vector<int64_t> around = unused_ids(tokenizer, before);
  int64_t rows = std::max(before, tokenizer.vocabulary());  // tokens that were added without a row get one
  while (around.size() < needed) around.push_back(rows++);
  const PictureTokens pictures{.first = rows,
                               .codes = codec.codes,
                               .edge = codec.edge(),
                               .begin = around[0],
                               .end = around[1],
                               .unconditional = around[2]};
  const int64_t added = rows + codec.codes - before;
  model.embed_tokens.weight = with_mean_rows(model.embed_tokens.weight, added);
  if (present(model.lm_head.weight)) model.lm_head.weight = with_mean_rows(model.lm_head.weight, added);
  if (present(model.lm_head.bias))
    model.lm_head.bias = at::cat({model.lm_head.bias, model.lm_head.bias.mean(0, true).expand({added})});
  model.config.vocabulary = before + added;
  return pictures;
}

}  // namespace tessera::liquid
