// `tessera data tokenizer`: texts in, tokenizer.json out.
#include "apps/tokenizer.h"

#include <cstdio>

#include "core/error.h"
#include "core/progress.h"
#include "data/text_files.h"
#include "text/bpe_trainer.h"

namespace tessera::apps {

int run_data_tokenizer(const TokenizerOptions& options) {
  require_writable(options.out / "tokenizer.json", "tokenizer");
  text::BpeTrainer trainer({.vocabulary = options.vocabulary});
  std::vector<data::TextFile> files;
  for (const Path& each : options.text) {
    const std::vector<data::TextFile> found = data::find_text_files(each);
    files.insert(files.end(), found.begin(), found.end());
  }
  Progress progress("read", std::ssize(files), "files");
  for (size_t i = 0; i < files.size(); ++i) {
    trainer.add(data::read_words(files[i].path));
    progress.update(static_cast<int64_t>(i) + 1);
  }
  progress.finish();
  const text::BpeVocabulary learned = trainer.train();
  disk().create_directories(options.out);
  trainer.save(learned, options.out);
  if (options.output.json) {
    print_json({{"tokenizer", options.out.string()},
                {"tokens", learned.tokens.size()},
                {"bytes", trainer.bytes()},
                {"words", trainer.words()}});
  } else {
    fmt::print("{} tokens from {} bytes, {} different words: {}\n", learned.tokens.size(), trainer.bytes(),
               trainer.words(), options.out.string());
  }
  return 0;
}

}  // namespace tessera::apps
