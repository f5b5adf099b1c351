// Windows over people's texts: each token once a pass, held-out words never, and a cache that cannot lie.
#include "data/text_folder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>

#include "core/error.h"
#include "core/log.h"
#include "core/progress.h"
#include "data/testing_tokenizer.h"
#include "tests/support/scratch.h"

namespace tessera::data {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class TextFolderTest : public ::testing::Test {
 protected:
  void SetUp() override {
    set_progress_enabled(false);
    set_log_level(LogLevel::quiet);
    testing::write_byte_tokenizer(scratch_ / "tokenizer");
    put("one.txt", numbered(50, 'A'));
    put("deep/two.txt", numbered(31, 'a'));
  }
  /// `count` bytes, all different while count stays below 26.
  static std::string numbered(int count, char first) {
    std::string text;
    for (int i = 0; i < count; ++i) text += static_cast<char>(first + i % 26);
    return text;
  }
  void put(const std::string& name, const std::string& text) {
    std::filesystem::create_directories((scratch_ / "books" / name).parent_path());
    write_file_atomically(scratch_ / "books" / name, text);
  }
  TextFolderOptions options() const {
    return {.path = (scratch_ / "books").string(),
            .tokenizer = (scratch_ / "tokenizer").string(),
            .length = 8,
            .heldout_share = 0,
            .cache = (scratch_ / "cache").string(),
            .seed = 3};
  }
  std::string error(const TextFolderOptions& o) const {
    try {
      TextFolder source(o);
    } catch (const UserError& fault) {
      return fault.what();
    }
    return "accepted";
  }
  Path cache_file() const {
    for (const auto& entry : std::filesystem::directory_iterator(scratch_ / "cache")) return entry.path();
    return {};
  }
  tessera::testing::ScratchFolder scratch_{tessera::testing::ScratchFolder::On::memory};
};

/// The stream that the folder above should be: documents by name, each with its end token.
std::vector<int32_t> joined(const std::vector<std::string>& texts) {
  std::vector<int32_t> all;
  for (const std::string& text : texts) {
    for (const char c : text) all.push_back(static_cast<unsigned char>(c));
    all.push_back(testing::end_id);
  }
  return all;
}

TEST_F(TextFolderTest, APassIsTheWholeStreamInDisjointWindowsFromARandomOffset) {
  const TextFolder source(options());
  const std::vector<int32_t> stream = joined({numbered(31, 'a'), numbered(50, 'A')});  // deep/two.txt before one.txt
  ASSERT_EQ(source.training_tokens(), std::ssize(stream));
  const uint64_t pass = *source.pass_length();
  EXPECT_EQ(pass, stream.size() / 8);
  std::vector<int32_t> ring = stream;
  ring.insert(ring.end(), stream.begin(), stream.end());
  for (uint64_t p = 0; p < 4; ++p) {
    std::multiset<std::vector<int32_t>> got;
    for (uint64_t i = 0; i < pass; ++i) got.insert(source.at(p * pass + i).tokens);
    bool matched = false;
    for (size_t phase = 0; phase < stream.size() && !matched; ++phase) {
      std::multiset<std::vector<int32_t>> want;
      for (uint64_t k = 0; k < pass; ++k) {
        std::vector<int32_t> window;
        for (size_t t = 0; t <= 8; ++t) window.push_back(ring[(phase + 8 * k + t) % stream.size()]);
        want.insert(window);
      }
      matched = got == want;
    }
    EXPECT_TRUE(matched) << "pass " << p;
  }
}

TEST_F(TextFolderTest, PassesDifferInOffsetAndOrderAndAreDeterministic) {
  const TextFolder source(options()), again(options());
  const uint64_t pass = *source.pass_length();
  std::vector<std::vector<int32_t>> first, second;
  for (uint64_t i = 0; i < pass; ++i) {
    first.push_back(source.at(i).tokens);
    second.push_back(source.at(pass + i).tokens);
    EXPECT_EQ(source.at(i).tokens, again.at(i).tokens) << "a run that resumes at " << i << " sees the same window";
  }
  EXPECT_NE(first, second);
  std::ranges::sort(first);
  std::ranges::sort(second);
  EXPECT_NE(first, second) << "the windows begin elsewhere";
}

TEST_F(TextFolderTest, HeldOutTextIsNeverInAWindow) {
  TextFolderOptions o = options();
  o.heldout = {"deep/*"};
  o.heldout_share = 0.1;
  const TextFolder source(o);
  EXPECT_EQ(source.training_tokens(), 51 - 6);  // a tenth of 51 rounded up
  for (uint64_t i = 0; i < 40; ++i) {
    for (const int32_t id : source.at(i).tokens) EXPECT_LT(id, 'a') << "letters of deep/two.txt are small ones";
  }
  std::vector<int32_t> texts, ends;
  for (const Sample& sample : source.heldout(100)) {
    std::vector<int32_t>& into = sample.part == "texts" ? texts : ends;
    into.insert(into.end(), sample.tokens.begin() + !into.empty(), sample.tokens.end());
  }
  EXPECT_EQ(texts, joined({numbered(31, 'a')}));
  EXPECT_THAT(ends,
              ElementsAre('A' + 45 % 26, 'A' + 46 % 26, 'A' + 47 % 26, 'A' + 48 % 26, 'A' + 49 % 26, testing::end_id));
}

TEST_F(TextFolderTest, WithABeginTokenEveryWindowStartsWithItAndPredictsEachTokenOnce) {
  testing::write_byte_tokenizer(scratch_ / "tokenizer", /*begins=*/true);
  TextFolderOptions o = options();
  o.heldout = {"deep/two"};
  const TextFolder source(o);
  std::multiset<int32_t> got;
  for (uint64_t i = 0; i < *source.pass_length(); ++i) {
    const std::vector<int32_t> window = source.at(i).tokens;
    ASSERT_EQ(window.size(), 9u);
    EXPECT_EQ(window.front(), testing::turn_begin_id);
    got.insert(window.begin() + 1, window.end());
  }
  const std::vector<int32_t> stream = joined({numbered(50, 'A')});
  EXPECT_EQ(got.size(), 48u);
  for (const int32_t id : got) EXPECT_LE(got.count(id), static_cast<size_t>(std::ranges::count(stream, id)));
  std::vector<int32_t> held;
  for (const Sample& sample : source.heldout(100))
    held.insert(held.end(), sample.tokens.begin() + 1, sample.tokens.end());
  EXPECT_EQ(held, joined({numbered(31, 'a')}));
}

TEST_F(TextFolderTest, ASubsetIsTheSameInEveryPass) {
  TextFolderOptions o = options();
  o.samples = 3;
  const TextFolder source(o);
  EXPECT_EQ(source.pass_length(), 3u);
  std::set<std::vector<int32_t>> seen;
  for (uint64_t i = 0; i < 30; ++i) seen.insert(source.at(i).tokens);
  EXPECT_EQ(seen.size(), 3u);
  o.samples = 0;
  o.max_tokens = 17;
  EXPECT_EQ(TextFolder(o).pass_length(), 2u);
}

TEST_F(TextFolderTest, TokensComeFromTheCacheUntilTheTextChanges) {
  const std::vector<int32_t> before = TextFolder(options()).at(5).tokens;
  const Path file = cache_file();
  const auto written = std::filesystem::last_write_time(file);
  EXPECT_EQ(TextFolder(options()).at(5).tokens, before);
  EXPECT_EQ(std::filesystem::last_write_time(file), written);
  put("one.txt", numbered(50, 'B'));
  EXPECT_NE(TextFolder(options()).edition(), "");
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(scratch_ / "cache"), {}), 2)
      << "another text, another file";
}

TEST_F(TextFolderTest, ADamagedOrOtherCacheIsRebuilt) {
  const std::vector<int32_t> before = TextFolder(options()).at(5).tokens;
  const Path file = cache_file();
  const std::string good = read_file(file);
  std::string turned = good;
  turned[good.size() - 6] ^= 1;  // one bit of a token
  for (const std::string& bad : {good.substr(0, good.size() / 2), std::string("no tokens"), std::string(), turned}) {
    write_file_atomically(file, bad);
    EXPECT_EQ(TextFolder(options()).at(5).tokens, before);
    EXPECT_EQ(read_file(file), good) << "and kept again";
  }
  EXPECT_FALSE(TokenArray::open(file, "another key").has_value());
}

TEST_F(TextFolderTest, AnUnwritableFolderOnlyDisablesTheCache) {
  write_file_atomically(scratch_ / "file", "in the way");
  TextFolderOptions o = options();
  o.cache = (scratch_ / "file").string();
  EXPECT_EQ(TextFolder(o).at(5).tokens, TextFolder(options()).at(5).tokens);
}

TEST_F(TextFolderTest, LineEndsAndByteOrderMarksLeaveNoTokens) {
  put("one.txt", "\xEF\xBB\xBFone\r\ntwo\rthree\n");
  put("deep/two.txt", "four five");
  EXPECT_EQ(TextFolder(options()).training_tokens(), 14 + 1 + 9 + 1);
}

TEST_F(TextFolderTest, ACopyOfAHeldOutFileIsHeldOutWhateverItsLineEnds) {
  put("held.txt", "one two three\nfour five six\n");
  auto o = options();
  o.heldout = {"held.txt"};
  o.heldout_share = 0;
  const int64_t before = TextFolder(o).training_tokens();
  put("copy.txt", "\xEF\xBB\xBFone two three\r\nfour five six\r\n");
  EXPECT_EQ(TextFolder(o).training_tokens(), before);
}

TEST_F(TextFolderTest, ErrorsAreReportedInOneLine) {
  TextFolderOptions o = options();
  o.path = (scratch_ / "nowhere").string();
  EXPECT_THAT(error(o), HasSubstr("does not exist"));
  std::filesystem::create_directories(scratch_ / "empty");
  o.path = (scratch_ / "empty").string();
  EXPECT_THAT(error(o), HasSubstr("holds no .txt file"));
  o = options();
  o.tokenizer = "";
  EXPECT_THAT(error(o), HasSubstr("data.text.tokenizer is missing"));
  o.tokenizer = (scratch_ / "none").string();
  EXPECT_THAT(error(o), HasSubstr("which is not there; `tessera data tokenizer --text"));
  o = options();
  o.tokenizer = (scratch_ / "empty").string();
  EXPECT_THAT(error(o), HasSubstr("empty"));
  o = options();
  o.heldout = {"tow.txt"};
  EXPECT_THAT(error(o), HasSubstr("heldout names 'tow.txt', which is no file in"));
  EXPECT_THAT(error(o), HasSubstr("data.text.heldout=[], holds out the end of every file instead"));
  o = options();
  o.length = 1000;
  EXPECT_THAT(error(o), HasSubstr("holds 83 tokens to train on, want more than the length of a window, 1000"));
  o = options();
  o.heldout = {"*"};
  EXPECT_THAT(error(o), HasSubstr("holds 0 tokens to train on"));
  put("picture.txt", std::string("\x89PNG\0\0", 6));
  EXPECT_THAT(error(options()), HasSubstr("picture.txt is not UTF-8 text: byte 5 is zero"));
}

TEST(TextFolderWords, PatternsMatchAsInShells) {
  EXPECT_TRUE(matches("a/b.txt", "*b.txt"));
  EXPECT_TRUE(matches("abcabd", "*ab?"));
  EXPECT_TRUE(matches("", "**"));
  EXPECT_TRUE(matches("a*b", "a*b"));
  EXPECT_TRUE(matches("a/2.txt", "a/[12].txt"));
  EXPECT_FALSE(matches("ab", "a?b"));
  EXPECT_FALSE(matches("ab.txt", "b.txt"));
}

}  // namespace
}  // namespace tessera::data
