// `tessera data citations`: training samples or whole texts -> a suffix array in a file.
#include "apps/data_citations.h"

#include "core/error.h"
#include "core/files.h"
#include "core/progress.h"
#include "data/citation_index.h"
#include "data/source.h"
#include "eval/perplexity.h"
#include "text/tokenizer.h"
#include "train/recipe.h"
#include "tune/method.h"

namespace tessera::apps {

namespace {
struct Indexed {
  data::CitationIndex index;
  std::string key;  // of the tokenizer
};

Indexed of_samples(const DataCitationsOptions& options) {
  train::Recipe recipe = train::read_recipe(options.recipe, options.set);
  tune::apply_method(recipe);
  if (recipe.data.kind != "text")
    throw UserError("[citations] {} trains on data of kind {}, want text", options.recipe.string(), recipe.data.kind);
  return {data::CitationIndex::of_samples(*data::make_source(recipe.data)),
          text::fingerprint(*text::load_tokenizer(recipe.data.text.tokenizer))};
}

Indexed of_texts(const DataCitationsOptions& options) {
  if (options.tokenizer.empty())
    throw UserError("[citations] --text wants --tokenizer, a tokenizer or model directory");
  const auto tokenizer = text::load_tokenizer(options.tokenizer);
  std::vector<int32_t> tokens;
  std::vector<int64_t> ends;
  for (const std::string& text : eval::read_documents(options.text)) {
    const auto ids = tokenizer->encode(text, {.add_special = false, .parse_special = false});
    tokens.insert(tokens.end(), ids.begin(), ids.end());
    ends.push_back(std::ssize(tokens));
  }
  return {data::CitationIndex::of(std::move(tokens), std::move(ends)), text::fingerprint(*tokenizer)};
}
}  // namespace

int run_data_citations(const DataCitationsOptions& options) {
  if (options.recipe.empty() == options.text.empty())
    throw UserError("[citations] want --recipe FILE or --text PATH (and not both)");
  require_writable(options.out, "citations");
  const auto [index, key] = options.recipe.empty() ? of_texts(options) : of_samples(options);
  index.save(options.out, key);
  fmt::print("{} tokens in {} passages; index in {} ({:.1f} MB)\n", index.tokens(), index.passages(),
             options.out.string(), static_cast<double>(std::filesystem::file_size(options.out)) / 1e6);
  if (options.output.json)
    print_json({{"tokens", index.tokens()}, {"passages", index.passages()}, {"out", options.out.string()}});
  return 0;
}

}  // namespace tessera::apps
