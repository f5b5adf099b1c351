// From the files of a directory to metadata, and back to files.
#include <algorithm>
#include <limits>

#include "core/error.h"
#include "text/byte_level_bpe.h"
#include "text/chat_template.h"
#include "text/gguf_tokenizer.h"
#include "text/sentencepiece_file.h"

namespace tessera::text {

namespace {

/// Tokens by id and their kinds (PieceKind).
struct TokenTable {
  std::vector<std::string> tokens;
  std::vector<int32_t> kinds;
  std::vector<float> scores;

  void set(size_t id, const std::string& token, PieceKind kind) {
    if (id >= tokens.size()) {
      tokens.resize(id + 1);
      kinds.resize(id + 1, static_cast<int32_t>(PieceKind::unused));
    }
    tokens[id] = token;
    kinds[id] = static_cast<int32_t>(kind);
  }
  /// llama.cpp wants a token for every row of the embedding, no two alike, and none more: such a token can never be read.
  void fill_up(int64_t rows) {
    tokens.resize(std::min(tokens.size(), static_cast<size_t>(rows)));
    kinds.resize(tokens.size());
    if (std::ssize(tokens) < rows) set(static_cast<size_t>(rows - 1), "", PieceKind::unused);
    for (size_t id = 0; id < tokens.size(); ++id) {
      if (tokens[id].empty()) set(id, fmt::format("[PAD{}]", id), PieceKind::unused);
    }
  }
  std::optional<uint32_t> id_of(const std::optional<std::string>& token) const {
    const auto found = token ? std::ranges::find(tokens, *token) : tokens.end();
    return found == tokens.end() ? std::nullopt : std::optional(static_cast<uint32_t>(found - tokens.begin()));
  }
};

void add_tokens(TokenTable& table, const LooseJson& added, const std::string& source) {
  for (const LooseJson& tree : added) {
    const AddedToken token = read_added_token(tree, token_id(member(tree, "id"), source), source);
    table.set(static_cast<size_t>(token.id), token.content,
              token.special ? PieceKind::control : PieceKind::user_defined);
  }
}

std::string merge_text(const LooseJson& merge) {
  if (merge.is_string()) return merge.get<std::string>();
  return merge.is_array() && merge.size() == 2 ? merge[0].get<std::string>() + " " + merge[1].get<std::string>() : "";
}

void write_byte_level(const LooseJson& tree, const std::string& source, TokenTable& table, GgufWriter& writer) {
  const LooseJson& model = member(tree, "model");
  if (member(model, "byte_fallback") == true || member(model, "type") == "Unigram")
    throw UserError(
        "[text] {}: BPE with byte fallback can be written only from the tokenizer.model that it was made from", source);
  const std::string pre = name_of_pre_tokenizer(member(tree, "pre_tokenizer"), member(model, "ignore_merges") == true);
  if (pre.empty())
    throw UserError("[text] {}: GGUF has no name for this pre_tokenizer, want one that cuts as one of: {}", source,
                    "gpt-2, smollm, qwen2, llama-bpe, dbrx, tekken, gpt-4o, qwen35");
  for (const auto& [token, id] : member(model, "vocab").items())
    table.set(static_cast<size_t>(token_id(id, source)), token, PieceKind::normal);
  add_tokens(table, member(tree, "added_tokens"), source);
  std::vector<std::string> merges;
  for (const LooseJson& merge : member(model, "merges")) merges.push_back(merge_text(merge));
  writer.set("tokenizer.ggml.model", "gpt2");
  writer.set("tokenizer.ggml.pre", pre);
  writer.set("tokenizer.ggml.merges", std::vector<std::string_view>(merges.begin(), merges.end()));
}

void write_sentencepiece(const Path& directory, const Path& model, TokenTable& table, GgufWriter& writer) {
  const SentencePieceFile file = read_sentencepiece_file(read_file(model), model.string());
  for (size_t id = 0; id < file.pieces.size(); ++id) {
    table.set(id, file.pieces[id].text, file.pieces[id].kind);
    table.scores.push_back(file.pieces[id].score);
  }
  if (const Path json = directory / "tokenizer.json"; std::filesystem::exists(json))
    add_tokens(table, member(read_loose_json(json), "added_tokens"), json.string());
  writer.set("tokenizer.ggml.model", "llama");
  writer.set("tokenizer.ggml.pre", "default");
  writer.set("tokenizer.ggml.add_space_prefix", file.adds_dummy_prefix);
}

}  // namespace

void write_gguf_tokenizer(const Path& directory, int64_t rows, GgufWriter& writer) {
  TokenTable table;
  const Path json = directory / "tokenizer.json";
  Path model;
  for (const char* name : {"spiece.model", "tokenizer.model"}) {
    if (std::filesystem::exists(directory / name)) model = directory / name;
  }
  const std::unique_ptr<Tokenizer> tokenizer = load_tokenizer(directory);  // says what is wrong with the files
  const bool bytes = dynamic_cast<const ByteLevelBpe*>(tokenizer.get()) != nullptr;
  if (bytes) write_byte_level(read_loose_json(json), json.string(), table, writer);
  else write_sentencepiece(directory, model, table, writer);
  const TokenizerConfig config = read_tokenizer_config(directory);
  for (const auto* list : {&config.added, &config.legacy_added}) {
    for (const AddedToken& token : *list) {
      if (const auto id = tokenizer->id_of(token.content))
        table.set(static_cast<size_t>(*id), token.content, PieceKind::user_defined);
    }
  }
  for (int32_t id = 0; id < tokenizer->vocabulary(); ++id) {
    if (tokenizer->is_special(id)) table.set(static_cast<size_t>(id), tokenizer->token_of(id), PieceKind::control);
  }
  table.fill_up(rows);
  writer.set("tokenizer.ggml.tokens", std::vector<std::string_view>(table.tokens.begin(), table.tokens.end()));
  writer.set("tokenizer.ggml.token_type", table.kinds);
  if (!bytes) {
    table.scores.resize(table.tokens.size(), -1e4f);
    writer.set("tokenizer.ggml.scores", table.scores);
  }
  const std::vector<int32_t> around = tokenizer->encode("", {.add_special = true});
  const auto adds = [&](const std::optional<int32_t>& token) {
    return token && std::ranges::find(around, *token) != around.end();
  };
  const auto name = [&](const char* key, std::optional<int32_t> id) {
    if (id && *id < std::ssize(table.tokens)) writer.set(key, static_cast<uint32_t>(*id));
  };
  name("tokenizer.ggml.bos_token_id", tokenizer->begin_token());
  name("tokenizer.ggml.eos_token_id", tokenizer->end_token());
  name("tokenizer.ggml.padding_token_id", tokenizer->pad_token());
  if (const auto unknown = table.id_of(config.unknown)) writer.set("tokenizer.ggml.unknown_token_id", *unknown);
  writer.set("tokenizer.ggml.add_bos_token", adds(tokenizer->begin_token()));
  writer.set("tokenizer.ggml.add_eos_token",
             adds(tokenizer->end_token()) && tokenizer->begin_token() != tokenizer->end_token());
  const StoredTemplates chat = stored_templates(directory);
  if (!chat.usual.empty()) writer.set("tokenizer.chat_template", std::string_view(chat.usual));
  if (!chat.tools.empty()) writer.set("tokenizer.chat_template.tool_use", std::string_view(chat.tools));
}

void save_tokenizer_files(const StoredTokenizer& tokenizer, const std::string& chat_template, const Path& directory,
                          FileSystem& files) {
  const TokenizerConfig& from = tokenizer.config;
  Json config = {{"tokenizer_class", from.tokenizer_class}};
  const auto name = [&](const char* key, const std::optional<std::string>& token) {
    if (token) config[key] = *token;
  };
  name("bos_token", from.begin);
  name("eos_token", from.end);
  name("pad_token", from.pad);
  name("unk_token", from.unknown);
  if (from.add_begin) config["add_bos_token"] = *from.add_begin;
  if (from.add_end) config["add_eos_token"] = *from.add_end;
  if (!chat_template.empty()) config["chat_template"] = chat_template;
  if (tokenizer.sentencepiece.empty()) {
    LooseJson tree = tokenizer.json;
    // what programs that do not read tokenizer_config.json's flags go by
    const LooseJson& vocabulary = member(tree["model"], "vocab");
    LooseJson single = LooseJson::array({{{"Sequence", {{"id", "A"}, {"type_id", 0}}}}}), tokens = LooseJson::object();
    const auto put = [&](const std::optional<bool>& wanted, const std::optional<std::string>& token, bool before) {
      const LooseJson& id = token ? member(vocabulary, token->c_str()) : LooseJson();
      if (!wanted.value_or(false) || id.is_null()) return;
      const LooseJson step = {{"SpecialToken", {{"id", *token}, {"type_id", 0}}}};
      single.insert(before ? single.begin() : single.end(), step);
      tokens[*token] = {{"id", *token}, {"ids", {id}}, {"tokens", {*token}}};
    };
    put(from.add_begin, from.begin, true);
    put(from.add_end, from.end, false);
    if (!tokens.empty())
      tree["post_processor"] = {
          {"type", "TemplateProcessing"}, {"single", single}, {"pair", LooseJson::array()}, {"special_tokens", tokens}};
    write_file_atomically(directory / "tokenizer.json", tree.dump(), files);
  } else {
    write_file_atomically(directory / "tokenizer.model", tokenizer.sentencepiece, files);
  }
  write_file_atomically(directory / "tokenizer_config.json", config.dump(2) + "\n", files);
}

}  // namespace tessera::text
