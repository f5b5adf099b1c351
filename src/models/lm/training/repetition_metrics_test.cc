// The batched measure against one window at a time and against scores.
#include "models/lm/training/repetition_metrics.h"

#include <gtest/gtest.h>

#include "data/testing_tokenizer.h"
#include "models/lm/testing.h"
#include "models/lm/text/writes.h"
#include "models/lm/training/objective.h"
#include "tests/support/scratch.h"
#include "text/variety.h"

namespace tessera::lm {
namespace {

using data::testing::byte_vocabulary;
using tessera::testing::ScratchFolder;

LmConfig small_config() {
  LmConfig config = tiny_config("llama");
  config.vocabulary = byte_vocabulary, config.context = 64, config.tied = true;
  return config;
}

std::vector<std::vector<int32_t>> windows_of(int64_t count) {
  std::vector<std::vector<int32_t>> windows;
  for (int64_t i = 0; i < count; ++i) {
    const Tensor ids = tiny_ids(1, 41 + i % 3, 256, static_cast<uint64_t>(i) + 1).to(at::kInt);
    windows.emplace_back(ids.const_data_ptr<int32_t>(), ids.const_data_ptr<int32_t>() + ids.numel());
  }
  return windows;
}

TEST(RepetitionMetrics, IsThatOfGreedyContinuationsAndOfTheWindowsOwnWords) {
  const ScratchFolder folder(ScratchFolder::On::memory);
  data::testing::write_byte_tokenizer(folder.path());
  const std::shared_ptr<const text::Tokenizer> tokenizer = text::load_tokenizer(folder.path());
  const auto windows = windows_of(35);  // more than a batch
  constexpr int64_t most = 12;
  const RepetitionMetrics got = measure_repetition(tiny_lm(small_config()), *tokenizer, windows, most, at::kCPU);

  const LmWriter writer({.model = tiny_lm(small_config()), .tokenizer = text::load_tokenizer(folder.path())});
  double ttr = 0, repeated = 0, entropy = 0, top1 = 0, tokens = 0;
  std::vector<Writes::ScoreRequest> requests;
  for (const auto& window : windows) {
    const std::vector<int32_t> prompt(window.begin(), window.begin() + repetition_prompt);
    std::vector<int32_t> said = continue_greedily(writer.model(), prompt, most, tokenizer->end_token());
    std::erase_if(said, [&](int32_t id) { return tokenizer->is_special(id); });
    ttr += text::type_token_ratio(said), repeated += text::repeated_share(said, 4);
    const auto end = window.begin() + std::min<int64_t>(std::ssize(window), repetition_prompt + most);
    requests.push_back({.prompt = prompt, .continuation = {window.begin() + repetition_prompt, end}});
  }
  for (const auto& scored : writer.score(requests)) {
    for (const ScoredToken& token : scored) entropy += token.entropy, top1 += token.top_probability, ++tokens;
  }
  EXPECT_NEAR(got.ttr, ttr / 35, 1e-9);
  EXPECT_NEAR(got.repeated, repeated / 35, 1e-9);
  EXPECT_NEAR(got.entropy, entropy / tokens, 1e-4);
  EXPECT_NEAR(got.top1, top1 / tokens, 1e-5);
}

TEST(RepetitionMetrics, LeavesOutWindowsThatArePromptAlone) {
  const ScratchFolder folder(ScratchFolder::On::memory);
  data::testing::write_byte_tokenizer(folder.path());
  const auto tokenizer = text::load_tokenizer(folder.path());
  const RepetitionMetrics none =
      measure_repetition(tiny_lm(small_config()), *tokenizer, {std::vector<int32_t>(32, 5)}, 4, at::kCPU);
  EXPECT_EQ(none.ttr, 0);
  EXPECT_EQ(none.entropy, 0);
}

}  // namespace
}  // namespace tessera::lm
