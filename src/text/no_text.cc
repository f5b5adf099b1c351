// Stands in for the tokenizers in builds without TESSERA_TEXT.
#include "core/error.h"
#include "text/bpe_trainer.h"
#include "text/chat_template.h"
#include "text/gguf_tokenizer.h"
#include "text/regex.h"
#include "text/tokenizer.h"

namespace tessera::text {

namespace {
[[noreturn]] void refuse() {
  throw UserError("[text] this build has no tokenizers; build with -DTESSERA_TEXT=ON (PCRE2, utf8proc, SentencePiece)");
}
}  // namespace

std::unique_ptr<Tokenizer> load_tokenizer(const Path&) { refuse(); }
std::vector<int32_t> Tokenizer::encode_parts(const std::vector<TextPart>&, bool) const { refuse(); }
std::string Tokenizer::text_of(int32_t, bool) const { refuse(); }
std::vector<int32_t> encode_prompt(const Tokenizer&, std::string_view) { refuse(); }
Regex::Regex(std::string_view, std::string_view) { refuse(); }
std::vector<Range> Regex::matches(std::string_view) const { refuse(); }
std::string fingerprint(const Tokenizer&) { refuse(); }
StreamDecoder::StreamDecoder(const Tokenizer&, bool) { refuse(); }
std::string StreamDecoder::push(int32_t) { refuse(); }
std::string StreamDecoder::finish() { refuse(); }

StoredTokenizer read_gguf_tokenizer(const GgufFile&, const std::string&) { refuse(); }
void write_gguf_tokenizer(const Path&, int64_t, GgufWriter&) { refuse(); }
void save_tokenizer_files(const StoredTokenizer&, const std::string&, const Path&, FileSystem&) { refuse(); }

StoredTemplates stored_templates(const Path&) { refuse(); }
ChatTemplate& ChatTemplate::with_tool_template(const std::string&) { refuse(); }
ChatTemplate ChatTemplate::of(const Path&) { refuse(); }
SpecialTokens special_tokens_of(const Tokenizer&) { refuse(); }
ChatTemplate ChatTemplate::given(const std::string&, SpecialTokens) { refuse(); }
ChatTemplate ChatTemplate::named(std::string_view) { refuse(); }
ChatTemplate ChatTemplate::of_source(std::string, SpecialTokens, std::string) { refuse(); }
std::vector<ChatPiece> ChatTemplate::pieces(const std::vector<Message>&, bool, const TemplateInputs&) const {
  refuse();
}
std::string ChatTemplate::render(const std::vector<Message>&, bool, const TemplateInputs&) const { refuse(); }
ChatIds encode_chat(const Tokenizer&, const std::vector<ChatPiece>&) { refuse(); }

BpeTrainer::BpeTrainer(BpeTrainerOptions) { refuse(); }
void BpeTrainer::add(std::string_view) { refuse(); }
BpeVocabulary BpeTrainer::train() const { refuse(); }
void BpeTrainer::save(const BpeVocabulary&, const Path&) const { refuse(); }

}  // namespace tessera::text
