// What a blocked text may say, on a toy vocabulary of bytes.
#include "generate/citations.h"

#include <gtest/gtest.h>

#include <ATen/ops/zeros.h>

#include "generate/testing.h"

namespace tessera::generate {
namespace {

using testing::noise;
using testing::ToySteps;
using testing::ToyTokenizer;

std::shared_ptr<const data::CitationIndex> index_of(const std::string& text) {
  const std::vector<int32_t> ids = ToyTokenizer().encode(text);
  return std::make_shared<const data::CitationIndex>(data::CitationIndex::of(ids, {std::ssize(ids)}));
}

/// Characters that cannot follow `before` when `read` was read.
std::string banned_after(const std::string& read, const std::string& before) {
  const ToyTokenizer tokenizer;
  Tensor logits = at::zeros({tokenizer.vocabulary()});
  block_citations(index_of(read), tokenizer, 5)(tokenizer.encode(before))->mask(logits);
  std::string banned;
  for (int64_t id = 0; id < 256; ++id) {
    if (std::isinf(logits[id].item<float>())) banned += static_cast<char>(id);
  }
  return banned;
}

TEST(CitationBlocking, ForbidsWhatFollowedOnceTheWordIsComplete) {
  const std::string read = "a cat sat. a cat, too";
  EXPECT_EQ(banned_after(read, "a cat"), " ,");
  EXPECT_EQ(banned_after(read, "xa cat"), " ,") << "what stood before the run does not matter";
  EXPECT_EQ(banned_after(read, "a ca"), "") << "shorter than the run";
  EXPECT_EQ(banned_after(read, "the cat"), "");
}

TEST(CitationBlocking, LetsAWordBeCompleted) { EXPECT_EQ(banned_after("one golden day", "e gol"), ""); }

TEST(CitationBlocking, NoTextKeepsSixTokensOfWhatWasReadAcrossWords) {
  // a vocabulary of words alone: every token begins a word, so no run of six can be said
  const ToyTokenizer tokenizer({" a", " b", " c"});
  std::vector<int32_t> read;
  Rng rng(1);
  for (int i = 0; i < 150; ++i) read.push_back(256 + static_cast<int32_t>(rng.below(3)));
  const auto index = std::make_shared<const data::CitationIndex>(data::CitationIndex::of(read, {150}));
  const auto only_words =
      testing::constraint_of([](const std::vector<int32_t>&, Tensor& logits) { logits.narrow(0, 0, 256).fill_(-1e4); });
  const std::vector<std::vector<int32_t>> prompts = {{1}};
  for (const bool blocked : {false, true}) {
    TextOptions options{.max_new_tokens = 300, .sampling = {.temperature = 1, .seed = 3}, .constraints = {only_words}};
    if (blocked) options.constraints.push_back(block_citations(index, tokenizer, 5));
    ToySteps steps(noise(tokenizer.vocabulary(), 7));
    const Continuation said = run(steps, testing::prompts_of(prompts), tokenizer, options)[0];
    if (blocked) EXPECT_EQ(index->longest_match(said.tokens), 5);
    else EXPECT_GT(index->longest_match(said.tokens), 5);
  }
}

}  // namespace
}  // namespace tessera::generate
