// The trainer finds the most frequent pairs, is deterministic, and its files load.
#include "text/bpe_trainer.h"

#include <gmock/gmock.h>

#include <map>

#include "core/error.h"
#include "tests/support/scratch.h"
#include "text/chat_template.h"
#include "text/testing.h"

namespace tessera::text {
namespace {

using tessera::testing::ScratchFolder;
using ::testing::ElementsAre;

BpeVocabulary trained(const std::vector<std::string>& texts, BpeTrainerOptions options) {
  BpeTrainer trainer(std::move(options));
  for (const std::string& text : texts) trainer.add(text);
  return trainer.train();
}

/// BPE training by its definition: count all pairs of all words again for each merge.
std::vector<std::string> merged_by_definition(std::map<std::string, int64_t> counts, size_t merges) {
  std::map<std::vector<std::string>, int64_t> words;
  for (const auto& [word, count] : counts) {
    std::vector<std::string> symbols;
    for (const char c : word) symbols.emplace_back(1, c);
    words[symbols] = count;
  }
  std::map<std::string, size_t> ids;  // of equally frequent pairs, the one with the lowest ids
  for (size_t b = 0; b < 256; ++b) ids[std::string(1, static_cast<char>(b))] = b;
  std::vector<std::string> made;
  while (made.size() < merges) {
    std::map<std::pair<size_t, size_t>, int64_t> pairs;
    for (const auto& [w, count] : words) {
      for (size_t i = 0; i + 1 < w.size(); ++i) pairs[{ids.at(w[i]), ids.at(w[i + 1])}] += count;
    }
    const auto best =
        std::max_element(pairs.begin(), pairs.end(), [](const auto& a, const auto& b) { return a.second < b.second; });
    if (best == pairs.end() || best->second < 2) break;
    const auto name = [&](size_t id) {
      return std::find_if(ids.begin(), ids.end(), [&](const auto& entry) { return entry.second == id; })->first;
    };
    const std::string left = name(best->first.first), right = name(best->first.second);
    if (ids.try_emplace(left + right, 256 + made.size()).second) made.push_back(left + right);
    std::map<std::vector<std::string>, int64_t> next;
    for (const auto& [w, count] : words) {
      std::vector<std::string> symbols;
      for (size_t i = 0; i < w.size(); ++i) {
        const bool here = i + 1 < w.size() && w[i] == left && w[i + 1] == right;
        symbols.push_back(here ? left + right : w[i]);
        i += here;
      }
      next[symbols] += count;
    }
    words = next;
  }
  return made;
}

TEST(BpeTrainer, MergesEqualThoseOfADirectImplementation) {
  const std::map<std::string, int64_t> counts = {{"banana", 5}, {"bandana", 3}, {"ananas", 4},
                                                 {"cabana", 2}, {"aaaa", 3},    {"aaaaa", 2}};
  std::string text;
  for (const auto& [word, count] : counts) {
    for (int64_t i = 0; i < count; ++i) text += word + "\n";
  }
  std::map<std::string, int64_t> with_breaks = counts;
  const BpeVocabulary found =
      trained({text}, {.vocabulary = 256 + 15, .special = {}, .begin = "", .end = "", .pad = ""});
  const auto expected = merged_by_definition(with_breaks, 15);
  ASSERT_EQ(found.tokens.size(), 256 + expected.size());
  for (size_t i = 0; i < expected.size(); ++i) EXPECT_EQ(found.tokens[256 + i], expected[i]) << i;
}

TEST(BpeTrainer, OrderOfTextsDoesNotMatter) {
  const std::vector<std::string> texts = {"one two three two", "three three one 猫猫", "two twos twosome"};
  const auto a = trained({texts[0], texts[1], texts[2]}, {.vocabulary = 300}),
             b = trained({texts[2], texts[0], texts[1]}, {.vocabulary = 300});
  EXPECT_EQ(a.tokens, b.tokens);
  EXPECT_EQ(a.merges, b.merges);
}

TEST(BpeTrainer, ASavedTokenizerLoadsAndUsesFewerTokensThanBytes) {
  const ScratchFolder folder;
  testing::make_tokenizer(folder.path());
  const auto tokenizer = load_tokenizer(folder.path());
  const std::string text = "The cats sat on the mat.";
  EXPECT_LT(tokenizer->encode(text, {.add_special = false}).size(), text.size() / 2);
  EXPECT_EQ(tokenizer->begin_token(), 0);
  EXPECT_EQ(tokenizer->end_token(), 1);
  EXPECT_EQ(tokenizer->pad_token(), 2);
  EXPECT_TRUE(tokenizer->is_special(5));
  EXPECT_FALSE(tokenizer->is_special(6));
  EXPECT_EQ(ChatTemplate::of(folder.path()).render({{"user", "Hi"}}), "<|user|>Hi<|end|><|assistant|>");
}

TEST(BpeTrainer, DigitsAreNeverMerged) {
  const auto found = trained({std::string("1234 1234 1234 1234")},
                             {.vocabulary = 300, .special = {}, .begin = "", .end = "", .pad = ""});
  EXPECT_EQ(found.tokens.size(), 256u);
}

TEST(BpeTrainer, StopsWhenNoPairIsLeft) {
  const auto found = trained({"ab ab"}, {.vocabulary = 5000});
  EXPECT_EQ(found.tokens.size(), 6u + 256 + 1);  // " ab" and "ab" share only "ab"
}

TEST(BpeTrainer, RefusesOptionsOutOfRange) {
  EXPECT_THROW(BpeTrainer({.vocabulary = 261}), UserError);
  EXPECT_THROW(BpeTrainer({.special = {"<a>", "<a>"}, .begin = "", .end = "", .pad = ""}), UserError);
  EXPECT_THROW(BpeTrainer({.special = {""}, .begin = "", .end = "", .pad = ""}), UserError);
  EXPECT_THROW(BpeTrainer({.special = {"x"}, .begin = "", .end = "", .pad = ""}), UserError);
  EXPECT_THROW(BpeTrainer({.special = {"<a>"}, .begin = "<b>", .end = "", .pad = ""}), UserError);
}

}  // namespace
}  // namespace tessera::text
