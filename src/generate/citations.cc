// One look into the index for each token.
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

/// Looks the last tokens up before every draw.
class CitationBlocker final : public Constraint {
 public:
  CitationBlocker(std::shared_ptr<const data::CitationIndex> index, std::shared_ptr<const std::vector<bool>> inside,
                  size_t run, std::vector<int32_t> tokens)
      : index_(std::move(index)), inside_(std::move(inside)), run_(run), tokens_(std::move(tokens)) {}

  void mask(Tensor& logits) override {
    if (tokens_.size() < run_) return;
    float* const logit = logits.mutable_data_ptr<float>();
    for (const int32_t id : index_->continuations(std::span(tokens_).last(run_))) {
      if (id < logits.numel() && !(*inside_)[static_cast<size_t>(id)])
        logit[id] = -std::numeric_limits<float>::infinity();
    }
  }
  void advance(int32_t id) override { tokens_.push_back(id); }

 private:
  std::shared_ptr<const data::CitationIndex> index_;
  std::shared_ptr<const std::vector<bool>> inside_;  // of the vocabulary: goes on with the word before
  size_t run_;
  std::vector<int32_t> tokens_;  // of the prompt and what came
};
}  // namespace

std::vector<bool> word_continuations(const text::Tokenizer& tokenizer) {
  std::vector<bool> inside(static_cast<size_t>(tokenizer.vocabulary()));
  for (size_t id = 0; id < inside.size(); ++id) {
    const auto token = static_cast<int32_t>(id);
    inside[id] = !tokenizer.is_special(token) && continues_word(tokenizer.text_of(token, /*first=*/false));
  }
  return inside;
}

ConstraintMaker block_citations(std::shared_ptr<const data::CitationIndex> index, const text::Tokenizer& tokenizer,
                                size_t run) {
  const auto inside = std::make_shared<const std::vector<bool>>(word_continuations(tokenizer));
  return [index = std::move(index), inside, run](const std::vector<int32_t>& prompt) {
    return std::make_unique<CitationBlocker>(index, inside, run, prompt);
  };
}

}  // namespace tessera::generate
