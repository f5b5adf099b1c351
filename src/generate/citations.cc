// One look into the index for each row and token.
#include "generate/citations.h"

#include <cctype>
#include <limits>
#include <span>

namespace tessera::generate {

namespace {
/// The first character of UTF-8; -1 where the text begins in the middle of one.
int64_t first_character(std::string_view text) {
  const auto byte = [&](size_t i) { return static_cast<int64_t>(static_cast<unsigned char>(text[i])); };
  const int64_t lead = byte(0);
  const size_t more = lead < 0x80 ? 0 : lead < 0xC0 ? 4 : lead < 0xE0 ? 1 : lead < 0xF0 ? 2 : 3;
  if (more == 4 || text.size() <= more) return -1;
  int64_t code = more == 0 ? lead : lead & (0x3F >> more);
  for (size_t i = 1; i <= more; ++i) code = code << 6 | (byte(i) & 0x3F);
  return code;
}

bool continues_word(std::string_view text) {
  if (text.empty()) return false;
  const int64_t first = first_character(text);
  if (first >= 0 && first < 0x80) return std::isalnum(static_cast<int>(first)) != 0 || first == '\'';
  constexpr int64_t right_quote = 0x2019;  // also the printers' apostrophe
  const bool punctuation =
      (first >= 0x80 && first < 0xC0) || (first >= 0x2000 && first < 0x2070) || (first >= 0x3000 && first < 0x3040);
  return !punctuation || first == right_quote;
}
}  // namespace

std::vector<bool> word_continuations(const text::Tokenizer& tokenizer) {
  std::vector<bool> inside(static_cast<size_t>(tokenizer.vocabulary()));
  for (size_t id = 0; id < inside.size(); ++id) {
    const auto token = static_cast<int32_t>(id);
    inside[id] = !tokenizer.is_special(token) && continues_word(tokenizer.text_of(token, /*first=*/false));
  }
  return inside;
}

LogitsRule block_citations(std::shared_ptr<const data::CitationIndex> index, const text::Tokenizer& tokenizer,
                           size_t run) {
  return [index = std::move(index), inside = word_continuations(tokenizer), run](
             size_t, const std::vector<int32_t>& tokens, Tensor& logits) {
    if (tokens.size() < run) return;
    float* const logit = logits.mutable_data_ptr<float>();
    for (const int32_t id : index->continuations(std::span(tokens).last(run))) {
      if (id < logits.numel() && !inside[static_cast<size_t>(id)]) logit[id] = -std::numeric_limits<float>::infinity();
    }
  };
}

}  // namespace tessera::generate
