// The tokenizer inside a GGUF file, as the files that a model directory has for it, so that one reader serves both.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "tensor/gguf.h"
#include "tensor/gguf_writer.h"
#include "text/loose_json.h"
#include "text/tokenizer_config.h"

namespace tessera::text {

struct StoredTokenizer {
  LooseJson json;             // a tokenizer.json; null where the model is SentencePiece's
  std::string sentencepiece;  // a tokenizer.model; "" where there is a tokenizer.json
  TokenizerConfig config;
};

/// From `tokenizer.ggml.*`: "gpt2" (byte-level BPE) and "llama" (SentencePiece's BPE with byte fallback). `source` names the file.
/// Throws UserError for another kind, a pre-tokenizer that is not known (lists those that are), and lists that are missing, of the
/// wrong type or of different lengths.
StoredTokenizer read_gguf_tokenizer(const GgufFile& file, const std::string& source);

/// Writes a directory's tokenizer into `tokenizer.ggml.*`, its chat template too; `rows` of the embedding, those without a token
/// are filled up. Throws UserError for a tokenizer that GGUF has no name for.
void write_gguf_tokenizer(const Path& directory, int64_t rows, GgufWriter& writer);
/// Writes the files that a model directory has for it: tokenizer.json or tokenizer.model, and tokenizer_config.json with `chat_template`
/// where that is not empty.
void save_tokenizer_files(const StoredTokenizer& tokenizer, const std::string& chat_template, const Path& directory,
                          FileSystem& files);

/// The pre_tokenizer of a tokenizer.json that llama.cpp knows as `name` (`tokenizer.ggml.pre`); null for an unknown name.
LooseJson pre_tokenizer_named(std::string_view name);
/// Whether words that are whole tokens are taken as such, whatever merges say.
bool ignores_merges(std::string_view name);
std::vector<std::string_view> pre_tokenizer_names();
/// The name that llama.cpp has for a pre_tokenizer; "" when it has none that cuts alike.
std::string name_of_pre_tokenizer(const LooseJson& pre_tokenizer, bool ignore_merges);

/// A SentencePiece model file of BPE pieces. `adds_blank`: a blank goes before every text.
struct PieceRow {
  std::string_view text;
  float score = 0;
  int kind = 1;  // PieceKind
};
std::string sentencepiece_file(const std::vector<PieceRow>& pieces, bool adds_blank);

}  // namespace tessera::text
