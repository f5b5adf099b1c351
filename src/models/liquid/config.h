// What a Liquid model has beside its language model: where pictures are in the vocabulary, and how they are drawn.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "codec/vq/config.h"
#include "core/fields.h"
#include "models/lm/architecture/config.h"
#include "text/tokenizer.h"

namespace tessera::liquid {

/// Ids of pictures (arXiv 2412.04332, section 3.1). The defaults are Liquid_V1_7B's.
struct PictureTokens {
  int64_t first = 256'000;    // id of code 0; the codes follow in order
  int64_t codes = 8192;       // entries of the codec's codebook
  int64_t edge = 32;          // codes along an edge of a picture
  int64_t begin = 7;          // <boi>, before a picture's codes
  int64_t end = 8;            // <eoi>, after them
  int64_t unconditional = 9;  // <unconditional>, in place of a prompt

  bool operator==(const PictureTokens&) const = default;
  int64_t count() const { return edge * edge; }
  bool is_code(int64_t id) const { return id >= first && id < first + codes; }
};
template <class V> void fields(V& v, PictureTokens& p) {
  v("first", p.first, "id of code 0; the codes follow in order");
  v("codes", p.codes, "entries of the codec's codebook");
  v("edge", p.edge, "codes along an edge of a picture");
  v("begin", p.begin, "id before a picture's codes");
  v("end", p.end, "id after them");
  v("unconditional", p.unconditional, "id in place of a prompt");
}

/// How codes are drawn unless a caller says otherwise (the published program's settings).
struct DrawDefaults {
  double cfg = 7.0;          // guidance: unconditional + cfg (conditional - unconditional); up to 1: none
  double temperature = 0.9;  // 0: the most likely code
  int64_t top_k = 4096;      // the k most likely codes and all that tie with the last of them; 0: all
  double top_p = 0.99;       // the most likely codes up to the one that takes their sum past top_p
  int64_t window = 1;        // codes that are guessed ahead and read in one pass; 1: none
  int64_t settle = 0;  // passes after which guesses are taken as they are, which is another distribution; 0: never

  bool operator==(const DrawDefaults&) const = default;
};
template <class V> void fields(V& v, DrawDefaults& d) {
  v("cfg", d.cfg, "guidance, up to 1: none");
  v("temperature", d.temperature, "0: the most likely code");
  v("top_k", d.top_k, "the k most likely codes, 0: all");
  v("top_p", d.top_p, "the most likely codes up to the one that takes their sum past top_p");
  v("window", d.window, "codes that are guessed ahead and read in one pass, 1: none");
  v("settle", d.settle, "passes after which guesses are taken as they are, 0: never");
}

/// What config.json has beside `text_config`, the language model's own.
struct LiquidConfig {
  PictureTokens pictures;
  std::string codec;  // fingerprint of the codec that it was trained with; empty: not known
  DrawDefaults drawing;

  bool operator==(const LiquidConfig&) const = default;
};
template <class V> void fields(V& v, LiquidConfig& c) {
  v("pictures", c.pictures, "where pictures are in the vocabulary");
  v("codec", c.codec, "fingerprint of the codec that the model was trained with");
  v("drawing", c.drawing, "how codes are drawn unless a caller says otherwise");
}

/// Throws UserError, naming `where`, when picture ids lie outside of the model's vocabulary or on each other, when codes are also ids of the
/// tokenizer, and when a picture does not fit into the model's context.
void validate(const PictureTokens& pictures, const lm::LmConfig& model, const text::Tokenizer& tokenizer,
              const std::string& where);
/// Throws UserError for numbers out of range, in the words of the command line.
void validate(const DrawDefaults& drawing);
/// Throws UserError when the codec has another number of codes, or pictures of another size, than the vocabulary has room for.
void require_same_codes(const PictureTokens& pictures, const vq::VqConfig& codec);

/// The ids of a model in Liquid_V1_7B's layout: the last `codec.codes` rows of the embedding are the codes, and <boi>, <eoi> and
/// <unconditional> are tokens of the tokenizer (or still called <unused0>, <unused1> and <unused2>). Throws UserError, naming `where`, when rows
/// or tokens are missing.
PictureTokens released_pictures(const lm::LmConfig& model, const text::Tokenizer& tokenizer, const vq::VqConfig& codec,
                                const std::string& where);

}  // namespace tessera::liquid
