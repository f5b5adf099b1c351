// Words that are cut at blanks have the ids that they have in the whole text, whatever the merges.
#include "text/word_cache.h"

#include <gmock/gmock.h>

#include <algorithm>

#include "core/rng.h"
#include "text/bpe_merges.h"

namespace tessera::text {
namespace {

using ::testing::ElementsAre;
using Symbols = std::vector<int32_t>;
using Texts = std::vector<std::string>;

const Texts letters = {"a", "b", "\xC3\xA9", std::string(blank)};

/// Random merges over `letters`; tokens reach across blanks only where `across` lets them.
struct RandomModel {
  Texts tokens = letters;
  BpeMerges merges;
  BlankCuts cuts;

  RandomModel(Rng& rng, bool across) {
    for (int32_t rank = 0; rank < 30; ++rank) {
      const auto left = static_cast<int32_t>(rng.below(tokens.size())),
                 right = static_cast<int32_t>(rng.below(tokens.size()));
      const std::string both = tokens[static_cast<size_t>(left)] + tokens[static_cast<size_t>(right)];
      const bool crosses = both.find(blank, 1) != std::string::npos;
      if ((crosses && !across) || std::ranges::find(tokens, both) != tokens.end()) continue;
      merges.add(left, right, rank, static_cast<int32_t>(tokens.size()));
      cuts.add(both);
      tokens.push_back(both);
    }
  }

  Symbols encode(std::string_view text) const {
    Symbols symbols;
    for (size_t at = 0; at < text.size(); at += character_at(text, at).length)
      symbols.push_back(static_cast<int32_t>(
          std::ranges::find(letters, text.substr(at, character_at(text, at).length)) - letters.begin()));
    merges.apply(symbols);
    return symbols;
  }
};

TEST(BlankCuts, WordsByThemselvesHaveTheIdsThatTheyHaveInTheText) {
  size_t words = 0, texts = 0;
  for (uint64_t seed = 0; seed < 400; ++seed) {
    Rng rng(seed);
    const RandomModel model(rng, seed % 2 == 0);
    std::string text;
    for (uint64_t i = 5 + rng.below(60); i > 0; --i) text += letters[rng.below(letters.size())];
    Symbols joined;
    std::string all;
    model.cuts.words(text, [&](std::string_view word) {
      all += word;
      for (const int32_t id : model.encode(word)) joined.push_back(id);
      ++words;
    });
    EXPECT_EQ(all, text);
    EXPECT_EQ(joined, model.encode(text)) << text;
    ++texts;
  }
  EXPECT_GT(words, 3 * texts);
}

TEST(BlankCuts, ARunOfBlanksStaysWithTheWordThatFollows) {
  const std::string space(blank);
  Texts words;
  BlankCuts().words(space + space + "a" + space + "b" + space + space,
                    [&](std::string_view word) { words.emplace_back(word); });
  EXPECT_THAT(words, ElementsAre(space + space + "a", space + "b", space + space));
}

TEST(BpeMerges, OneTokenCanBeLeftOut) {
  BpeMerges merges;
  merges.add(0, 1, 0, 2);
  merges.add(2, 1, 1, 3);
  Symbols symbols = {0, 1, 1};
  merges.apply(symbols, 3);
  EXPECT_THAT(symbols, ElementsAre(2, 1));
  merges.apply(symbols);
  EXPECT_THAT(symbols, ElementsAre(3));
}

}  // namespace
}  // namespace tessera::text
