// The index against looking through the whole corpus; files that are torn or of another tokenizer.
#include "data/citation_index.h"

#include <gtest/gtest.h>

#include <set>

#include "core/error.h"
#include "core/rng.h"
#include "tests/support/scratch.h"

namespace tessera::data {
namespace {

using Tokens = std::vector<int32_t>;

struct Corpus {
  Tokens tokens;
  std::vector<int64_t> ends;
};

/// Subset different tokens, so that runs come again.
Corpus noise(uint64_t seed, int64_t passages) {
  Rng rng(seed);
  Corpus corpus;
  for (int64_t p = 0; p < passages; ++p) {
    for (uint64_t n = rng.below(40); n > 0; --n) corpus.tokens.push_back(static_cast<int32_t>(rng.below(3)));
    corpus.ends.push_back(std::ssize(corpus.tokens));
  }
  return corpus;
}

/// Every position of the corpus where `run` occurs within one passage.
std::vector<int64_t> positions_of(const Corpus& corpus, std::span<const int32_t> run) {
  std::vector<int64_t> places;
  int64_t begin = 0;
  for (const int64_t end : corpus.ends) {
    for (int64_t at = begin; at + std::ssize(run) <= end; ++at) {
      if (std::equal(run.begin(), run.end(), corpus.tokens.begin() + at)) places.push_back(at);
    }
    begin = end;
  }
  return places;
}

Tokens followers(const Corpus& corpus, std::span<const int32_t> run) {
  std::set<int32_t> next;
  const std::set<int64_t> ends(corpus.ends.begin(), corpus.ends.end());
  for (const int64_t at : positions_of(corpus, run)) {
    if (const int64_t after = at + std::ssize(run); !ends.contains(after))
      next.insert(corpus.tokens[static_cast<size_t>(after)]);
  }
  return {next.begin(), next.end()};
}

TEST(CitationIndex, EqualsALinearSearchOfTheCorpus) {
  const Corpus corpus = noise(1, 30);
  const CitationIndex index = CitationIndex::of(corpus.tokens, corpus.ends);
  Rng rng(2);
  int64_t found = 0;
  for (int trial = 0; trial < 400; ++trial) {
    Tokens run;
    for (uint64_t n = 1 + rng.below(7); n > 0; --n) run.push_back(static_cast<int32_t>(rng.below(3)));
    const Tokens next = index.continuations(run);
    EXPECT_EQ(next, followers(corpus, run));
    found += !next.empty();
    int64_t match = 0;
    while (match < std::ssize(run) &&
           !positions_of(corpus, std::span(run).first(static_cast<size_t>(match) + 1)).empty())
      ++match;
    EXPECT_EQ(index.match(run), match);
  }
  EXPECT_GT(found, 100);
}

TEST(CitationIndex, NamesThePassagesInWhichARunStands) {
  const Corpus corpus = noise(5, 30);
  const CitationIndex index = CitationIndex::of(corpus.tokens, corpus.ends);
  Rng rng(6);
  for (int trial = 0; trial < 200; ++trial) {
    Tokens run;
    for (uint64_t n = 1 + rng.below(5); n > 0; --n) run.push_back(static_cast<int32_t>(rng.below(3)));
    const auto [all, count] = index.occurrences(run, 1000);
    std::vector<int64_t> places;
    for (const auto& [passage, at] : all)
      places.push_back(at + (passage == 0 ? 0 : corpus.ends[static_cast<size_t>(passage) - 1]));
    EXPECT_EQ(places, positions_of(corpus, run));
    EXPECT_EQ(count, std::ssize(places));
    EXPECT_EQ(std::ssize(index.occurrences(run, 2).first), std::min<int64_t>(count, 2));
  }
  EXPECT_EQ(index.occurrences({}, 5).count, 0);
}

TEST(CitationIndex, FindsTheLongestRunAtAnyPosition) {
  const CitationIndex index = CitationIndex::of({1, 2, 3, 4, 5, 6, 7, 8, 9}, {5, 9});
  EXPECT_EQ(index.longest_match(Tokens{0, 0, 2, 3, 4, 0, 5}), 3);
  EXPECT_EQ(index.longest_match(Tokens{4, 5, 6, 7}), 2) << "a run does not cross from one passage into the next";
  EXPECT_EQ(index.longest_match(Tokens{}), 0);
  EXPECT_TRUE(index.continuations(Tokens{4, 5}).empty());
  EXPECT_EQ(index.continuations(Tokens{7}), Tokens{8});
}

TEST(CitationIndex, SurvivesTheRoundTripThroughItsFile) {
  const tessera::testing::ScratchFolder folder;
  const Corpus corpus = noise(3, 20);
  const CitationIndex index = CitationIndex::of(corpus.tokens, corpus.ends);
  index.save(folder / "index", "abc");
  const CitationIndex back = CitationIndex::open(folder / "index", "abc");
  EXPECT_EQ(back.tokens(), index.tokens());
  EXPECT_EQ(back.passages(), 20);
  for (int32_t a = 0; a < 3; ++a) {
    for (int32_t b = 0; b < 3; ++b) EXPECT_EQ(back.continuations(Tokens{a, b}), index.continuations(Tokens{a, b}));
  }
  EXPECT_THROW(CitationIndex::open(folder / "index", "another"), UserError);
}

TEST(CitationIndex, RefusesTruncatedAndChangedFiles) {
  const tessera::testing::ScratchFolder folder;
  const Corpus corpus = noise(4, 10);
  CitationIndex::of(corpus.tokens, corpus.ends).save(folder / "index", "abc");
  const std::string whole = read_file(folder / "index");
  for (size_t length = 0; length < whole.size(); length += 7) {
    write_file_atomically(folder / "torn", whole.substr(0, length));
    EXPECT_THROW(CitationIndex::open(folder / "torn", "abc"), Error) << length;
  }
  Rng rng(5);
  for (int trial = 0; trial < 200; ++trial) {
    std::string bad = whole;
    bad[rng.below(bad.size())] ^= static_cast<char>(1 + rng.below(255));
    write_file_atomically(folder / "bad", bad);
    EXPECT_THROW(CitationIndex::open(folder / "bad", "abc"), Error) << trial;
  }
  EXPECT_THROW(CitationIndex::of({}, {}), UserError);
}

}  // namespace
}  // namespace tessera::data
