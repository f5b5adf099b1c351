// One vocabulary for words and pictures: rows for picture codes behind those of any language model.
#pragma once

#include "models/liquid/config.h"
#include "models/lm/architecture/module.h"

namespace tessera::liquid {

/// Gives `model` rows for `codec`'s codes, at the mean of the rows that are there (which is what a new row is most likely to be near), in the
/// embedding and in a head of its own. The three tokens around pictures take ids that no text uses: tokens that the tokenizer reserves
/// (<unused0>, <|reserved_special_token_0|>, <|extra_0|>), then rows without a token; where there are not enough, new rows before the
/// codes. Returns where pictures are. Throws UserError for a model whose embedding is packed.
PictureTokens extend_vocabulary(lm::DecoderLm& model, const text::Tokenizer& tokenizer, const vq::VqConfig& codec);

}  // namespace tessera::liquid
