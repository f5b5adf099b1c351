// For tests: a byte-level tokenizer without merges, so that token ids are known by looking. Ids 0 to 255 are the bytes.
#pragma once

#include <string>

#include "core/files.h"
#include "core/json.h"

namespace tessera::data::testing {

inline constexpr int32_t end_id = 256, turn_begin_id = 257, turn_end_id = 258;
inline constexpr int64_t byte_vocabulary = 259;

/// GPT-2's printable character for a byte, as UTF-8.
inline std::string letter_for(int byte) {
  int code = byte, spare = 256;
  for (int b = 0; b < 256; ++b) {
    const bool printable = (b >= 33 && b <= 126) || (b >= 161 && b <= 172) || b >= 174;
    if (b == byte && !printable) code = spare;
    spare += !printable;
  }
  std::string text;
  if (code < 0x80) text += static_cast<char>(code);
  else {
    text += static_cast<char>(0xC0 | code >> 6);
    text += static_cast<char>(0x80 | (code & 0x3F));
  }
  return text;
}

/// Writes tokenizer.json and tokenizer_config.json; "<|endoftext|>" (256) ends documents, "<|im_start|>" and "<|im_end|>" turns.
/// `begins`: "<|im_start|>" is put before every text.
inline void write_byte_tokenizer(const Path& directory, bool begins = false) {
  Json vocabulary = Json::object(), added = Json::array();
  for (int byte = 0; byte < 256; ++byte) vocabulary[letter_for(byte)] = byte;
  int id = 256;
  for (const char* word : {"<|endoftext|>", "<|im_start|>", "<|im_end|>"}) {
    added.push_back({{"id", id++},
                     {"content", word},
                     {"single_word", false},
                     {"lstrip", false},
                     {"rstrip", false},
                     {"normalized", false},
                     {"special", true}});
  }
  const Json bytes = {{"type", "ByteLevel"}, {"add_prefix_space", false}, {"trim_offsets", true}, {"use_regex", true}};
  const Json first = {{"SpecialToken", {{"id", "<|im_start|>"}, {"type_id", 0}}}};
  const Json rest = {{"Sequence", {{"id", "A"}, {"type_id", 0}}}};
  const Json ids = {
      {"id", "<|im_start|>"}, {"ids", Json::array({turn_begin_id})}, {"tokens", Json::array({"<|im_start|>"})}};
  const Json before = {{"type", "TemplateProcessing"},
                       {"single", Json::array({first, rest})},
                       {"pair", Json::array({first, rest})},
                       {"special_tokens", {{"<|im_start|>", ids}}}};
  const Json tokenizer = {{"version", "1.0"},
                          {"truncation", nullptr},
                          {"padding", nullptr},
                          {"added_tokens", added},
                          {"normalizer", nullptr},
                          {"pre_tokenizer", bytes},
                          {"post_processor", begins ? before : Json(nullptr)},
                          {"decoder", bytes},
                          {"model",
                           {{"type", "BPE"},
                            {"dropout", nullptr},
                            {"unk_token", nullptr},
                            {"continuing_subword_prefix", nullptr},
                            {"end_of_word_suffix", nullptr},
                            {"fuse_unk", false},
                            {"byte_fallback", false},
                            {"vocab", vocabulary},
                            {"merges", Json::array()}}}};
  disk().create_directories(directory);
  write_file_atomically(directory / "tokenizer.json", tokenizer.dump());
  write_file_atomically(directory / "tokenizer_config.json",
                        Json({{"tokenizer_class", "PreTrainedTokenizerFast"}, {"eos_token", "<|endoftext|>"}}).dump());
}

}  // namespace tessera::data::testing
