// Writes a trained vocabulary as tokenizer.json and tokenizer_config.json.
#include <algorithm>

#include "core/error.h"
#include "text/bpe_trainer.h"
#include "text/byte_alphabet.h"
#include "text/named_templates.h"

namespace tessera::text {

namespace {
LooseJson added_token(const std::string& content) {
  return {{"content", content}, {"lstrip", false},      {"normalized", false},
          {"rstrip", false},    {"single_word", false}, {"special", true}};
}

/// Puts the begin token before every text.
LooseJson begin_template(const std::string& begin, size_t id) {
  const LooseJson token = {{"SpecialToken", {{"id", begin}, {"type_id", 0}}}};
  const auto text = [](const char* name, int type) {
    return LooseJson{{"Sequence", {{"id", name}, {"type_id", type}}}};
  };
  LooseJson tree = {{"type", "TemplateProcessing"}};
  tree["single"] = LooseJson::array({token, text("A", 0)});
  tree["pair"] = LooseJson::array({token, text("A", 0), text("B", 1)});
  tree["special_tokens"][begin] = {
      {"id", begin}, {"ids", LooseJson::array({id})}, {"tokens", LooseJson::array({begin})}};
  return tree;
}

LooseJson model_of(const BpeVocabulary& vocabulary, size_t specials) {
  LooseJson model = {{"type", "BPE"},
                     {"dropout", nullptr},
                     {"unk_token", nullptr},
                     {"fuse_unk", false},
                     {"byte_fallback", false},
                     {"continuing_subword_prefix", nullptr},
                     {"end_of_word_suffix", nullptr},
                     {"ignore_merges", false}};
  std::vector<std::string> names;
  for (size_t id = 0; id < vocabulary.tokens.size(); ++id) {
    const std::string& token = vocabulary.tokens[id];
    names.push_back(id < specials ? token : to_alphabet(token));
    model["vocab"][names.back()] = id;
  }
  model["merges"] = LooseJson::array();
  for (const auto& [left, right] : vocabulary.merges)
    model["merges"].push_back(names[static_cast<size_t>(left)] + " " + names[static_cast<size_t>(right)]);
  return model;
}
}  // namespace

void BpeTrainer::save(const BpeVocabulary& vocabulary, const Path& directory) const {
  const auto& special = options_.special;
  const auto has = [&](const char* name) { return std::find(special.begin(), special.end(), name) != special.end(); };
  LooseJson tree = {{"version", "1.0"}, {"truncation", nullptr}, {"padding", nullptr}};
  LooseJson config = {{"tokenizer_class", "PreTrainedTokenizerFast"}, {"clean_up_tokenization_spaces", false}};
  tree["added_tokens"] = LooseJson::array();
  for (size_t id = 0; id < special.size(); ++id) {
    LooseJson token = added_token(special[id]);
    config["added_tokens_decoder"][std::to_string(id)] = token;
    token["id"] = id;
    tree["added_tokens"].push_back(token);
  }
  tree["normalizer"] = {{"type", "NFC"}};
  tree["pre_tokenizer"] = pipeline();
  tree["decoder"] = {{"type", "ByteLevel"}, {"add_prefix_space", true}, {"trim_offsets", true}, {"use_regex", true}};
  tree["post_processor"] = nullptr;
  if (!options_.begin.empty()) {
    const auto at = std::find(special.begin(), special.end(), options_.begin);
    tree["post_processor"] = begin_template(options_.begin, static_cast<size_t>(at - special.begin()));
  }
  tree["model"] = model_of(vocabulary, special.size());
  if (!options_.begin.empty()) config["bos_token"] = options_.begin;
  if (!options_.end.empty()) config["eos_token"] = options_.end;
  if (!options_.pad.empty()) config["pad_token"] = options_.pad;
  if (has("<|system|>") && has("<|user|>") && has("<|assistant|>") && has("<|end|>"))
    config["chat_template"] = plain_template;
  write_file_atomically(directory / "tokenizer.json", tree.dump(1) + "\n");
  write_file_atomically(directory / "tokenizer_config.json", config.dump(1) + "\n");
}

}  // namespace tessera::text
