// `tessera data tokenizer`: a vocabulary from a folder of text.
#include "apps/data_tokenizer.h"

#include <algorithm>
#include <cstdio>

#include "core/error.h"
#include "core/files.h"
#include "core/progress.h"
#include "core/text_file.h"
#include "core/utf8.h"
#include "text/bpe_trainer.h"
#include "text/tokenizer.h"

namespace tessera::apps {

int run_data_tokenizer(const DataTokenizerOptions& options) {
  text::BpeTrainerOptions wanted{.vocabulary = options.vocabulary};
  wanted.special.insert(wanted.special.end(), options.special.begin(), options.special.end());
  text::BpeTrainer trainer(wanted);
  const auto files = find_files(options.text, {".txt"}, "data");
  if (std::filesystem::exists(options.out / "tokenizer.json") && !options.overwrite)
    throw UserError("[data] {} already holds a tokenizer; give another --out, or --overwrite", options.out.string());
  require_writable(options.out / "tokenizer.json", "data");

  Progress progress("data", static_cast<int64_t>(files.size()), "files");
  for (size_t i = 0; i < files.size(); ++i) {
    trainer.add(read_text(files[i], "data"));
    progress.update(static_cast<int64_t>(i + 1));
  }
  progress.finish();
  const text::BpeVocabulary vocabulary = trainer.train();
  trainer.save(vocabulary, options.out);

  std::string sample = read_text(files.front(), "data");
  sample.resize(whole_characters(std::string_view(sample).substr(0, 1 << 20)));
  const auto ids = text::load_tokenizer(options.out)->encode(sample, {.add_special = false, .parse_special = false});
  const double bytes_per_token =
      static_cast<double>(sample.size()) / static_cast<double>(std::max<size_t>(ids.size(), 1));
  const auto tokens = static_cast<int64_t>(vocabulary.tokens.size());
  fmt::print("{} tokens from {:.1f} MB of text in {}; {:.2f} bytes a token\n", tokens,
             static_cast<double>(trainer.bytes()) / 1e6, options.out.string(), bytes_per_token);
  if (tokens < options.vocabulary && !options.output.quiet)
    fmt::print(stderr, "fewer than the {} asked for: the text has no more pairs that come twice\n", options.vocabulary);
  if (options.output.json)
    print_json({{"tokens", tokens},
                {"bytes", trainer.bytes()},
                {"bytes_per_token", bytes_per_token},
                {"out", options.out.string()}});
  return 0;
}

}  // namespace tessera::apps
