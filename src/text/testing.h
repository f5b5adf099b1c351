// Small tokenizers for tests: trained on a few lines, or written out.
#pragma once

#include <string>

#include "core/files.h"
#include "core/json.h"
#include "text/bpe_trainer.h"
#include "text/tokenizer.h"

namespace tessera::text::testing {

/// Trains on a few sentences of several scripts and saves into `directory`.
inline void make_tokenizer(const Path& directory, BpeTrainerOptions options = {.vocabulary = 400}) {
  BpeTrainer trainer(options);
  for (int i = 0; i < 3; ++i) {
    trainer.add("The cat sat on the mat; the cats sat there, that's that. 12 cats, 345 mats.\n\n  Then they left.\n");
    trainer.add(
        "Der Kater saß auf der Matte. Кот сидел на коврике. 猫はマットの上に座った。 "
        "😀😀👍🏽\n");
  }
  trainer.save(trainer.train(), directory);
}

/// A tokenizer.json over the bytes of "abc " with two merges and one control token, to be changed and broken.
inline Json written_out() {
  return parse_json(R"({
    "added_tokens": [{"id": 6, "content": "<end>", "special": true, "normalized": false, "lstrip": false, "rstrip": false,
                      "single_word": false}],
    "normalizer": {"type": "NFC"},
    "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": false, "use_regex": true},
    "post_processor": {"type": "ByteLevel"},
    "decoder": {"type": "ByteLevel"},
    "model": {"type": "BPE", "vocab": {"a": 0, "b": 1, "c": 2, "Ġ": 3, "ab": 4, "abc": 5}, "merges": ["a b", "ab c"]}
  })",
                    "written out");
}

inline std::unique_ptr<Tokenizer> load(const Path& directory, const std::string& json, const std::string& config = "") {
  std::filesystem::create_directories(directory);
  write_file_atomically(directory / "tokenizer.json", json);
  if (!config.empty()) write_file_atomically(directory / "tokenizer_config.json", config);
  return load_tokenizer(directory);
}

}  // namespace tessera::text::testing
