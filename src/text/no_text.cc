// Stands in for the tokenizers in builds without TESSERA_TEXT.
#include "core/error.h"
#include "text/bpe_trainer.h"
#include "text/tokenizer.h"

namespace tessera::text {

namespace {
[[noreturn]] void refuse() {
  throw UserError("[text] this build has no tokenizers; build with -DTESSERA_TEXT=ON (PCRE2, utf8proc, SentencePiece)");
}
}  // namespace

std::unique_ptr<Tokenizer> load_tokenizer(const Path&) { refuse(); }
std::string Tokenizer::text_of(int32_t, bool) const { refuse(); }
StreamDecoder::StreamDecoder(const Tokenizer&, bool) { refuse(); }
std::string StreamDecoder::push(int32_t) { refuse(); }
std::string StreamDecoder::finish() { refuse(); }

BpeTrainer::BpeTrainer(BpeTrainerOptions) { refuse(); }
void BpeTrainer::add(std::string_view) { refuse(); }
BpeVocabulary BpeTrainer::train() const { refuse(); }
void BpeTrainer::save(const BpeVocabulary&, const Path&) const { refuse(); }

}  // namespace tessera::text
