// Faults end the requests that they meet and no other: of the model's steps, of memory, of one request alone.
#include <gtest/gtest.h>

#include <memory>
#include <utility>

#include "core/error.h"
#include "serve/testing_engine.h"

namespace tessera::serve {
namespace {

using namespace testing;  // of testing_engine.h

/// The model's steps, which fail where they are told to.
struct FaultySteps final : generate::TokenSteps {
  FaultySteps(std::unique_ptr<generate::TokenSteps> steps, int& calls_left)
      : inner(std::move(steps)), left(&calls_left) {}
  Tensor join(std::span<const generate::Prompt* const> prompts) override { return inner->join(prompts); }
  Tensor next(std::span<const int32_t> ids) override {
    if (--*left < 0) throw FaultError("[test] the step fails");
    return inner->next(ids);
  }
  Tensor verify(const std::vector<std::vector<int32_t>>& ids) override { return inner->verify(ids); }
  void rewind(size_t row, int64_t length) override { inner->rewind(row, length); }
  void keep(std::span<const size_t> rows) override { inner->keep(rows); }
  Ahead read_ahead(const generate::Prompt& prompt, int64_t most) override { return inner->read_ahead(prompt, most); }
  void forget(const generate::Prompt& prompt) override { inner->forget(prompt); }
  int64_t held() const override { return inner->held(); }
  size_t rows() const override { return inner->rows(); }
  int64_t length(size_t row) const override { return inner->length(row); }
  std::unique_ptr<generate::TokenSteps> inner;
  int* left;
};

/// A model whose steps fail after `steps_left` of them, and whose memory cannot be had while `short_of_memory`.
struct FaultyWrites final : Writes {
  const text::Tokenizer& tokenizer() const override { return writes().tokenizer(); }
  int64_t context() const override { return writes().context(); }
  std::vector<Written> write(const std::vector<std::string>& prompts,
                             const generate::TextOptions& options) const override {
    return writes().write(prompts, options);
  }
  Written chat(const std::vector<text::Message>& messages, const generate::TextOptions& options) const override {
    return writes().chat(messages, options);
  }
  std::vector<int32_t> chat_prompt(const std::vector<text::Message>& messages) const override {
    return writes().chat_prompt(messages);
  }
  std::vector<std::vector<ScoredToken>> score(const std::vector<ScoreRequest>& requests,
                                              int64_t* positions) const override {
    return writes().score(requests, positions);
  }
  std::unique_ptr<generate::TokenSteps> steps(int64_t positions) const override {
    if (short_of_memory) throw std::bad_alloc();
    return std::make_unique<FaultySteps>(writes().steps(positions), steps_left);
  }
  mutable int steps_left = 1 << 30;
  bool short_of_memory = false;
};

TEST(TextEngine, AFaultEndsTheRequestsThatItMetAndNoLaterOne) {
  FaultyWrites faulty;
  Metrics metrics;
  TextEngine engine(faulty, {.positions = 32 * 512, .speculate = 0}, metrics);
  const auto finish = [&] {
    while (engine.step()) {
    }
  };
  const auto met = std::make_shared<Recorder>(), later = std::make_shared<Recorder>();
  faulty.steps_left = 5;
  engine.submit(task_of(20, 1, met));
  finish();
  EXPECT_NE(met->error, nullptr);
  faulty.steps_left = 1 << 30;
  engine.submit(task_of(20, 2, later));
  finish();
  expect_same(*later, alone(20, 2));
}

/// Lets three ids through, then nothing fits.
struct DeadEnd final : generate::Constraint {
  void mask(Tensor& /*logits*/) override {
    if (--left < 0) throw FaultError("[test] nothing fits");
  }
  void advance(int32_t /*id*/) override {}
  int left = 3;
};

TEST(TextEngine, AFaultOfOneRequestEndsThatRequestAlone) {
  for (const int64_t speculate : {0, 8}) {
    Bench bench({.positions = 32 * 512, .speculate = speculate});
    const auto met = std::make_shared<Recorder>(2), beside = std::make_shared<Recorder>();
    TextTask task = task_of(20, 1, met);
    task.options.constraints = {[](const std::vector<int32_t>&) { return std::make_unique<DeadEnd>(); }};
    bench.engine.submit(std::move(task));
    bench.engine.submit(task_of(20, 2, beside));
    bench.finish();
    ASSERT_NE(met->error, nullptr);
    EXPECT_THROW(std::rethrow_exception(met->error), FaultError);
    EXPECT_EQ(met->ids[0].size(), 3u);
    EXPECT_EQ(met->done, 0u);
    EXPECT_EQ(beside->error, nullptr);
    expect_same(*beside, alone(20, 2));
    EXPECT_EQ(bench.engine.held(), 0);
  }
}

TEST(TextEngine, WithoutMemoryForAFreshStartThoseWhoWaitAreToldAndItGoesOnLater) {
  FaultyWrites faulty;
  Metrics metrics;
  TextEngine engine(faulty, {.positions = 32 * 512, .speculate = 0}, metrics);
  const auto met = std::make_shared<Recorder>(), waits = std::make_shared<Recorder>(),
             later = std::make_shared<Recorder>();
  faulty.steps_left = 0;
  engine.submit(task_of(20, 1, met));
  engine.step();
  faulty.short_of_memory = true;
  while (met->error == nullptr) engine.step();
  engine.submit(task_of(20, 2, waits));
  EXPECT_FALSE(engine.step());
  EXPECT_NE(waits->error, nullptr);
  EXPECT_EQ(engine.waiting(), 0u);
  EXPECT_EQ(engine.held(), 0);
  faulty.short_of_memory = false;
  faulty.steps_left = 1 << 30;
  engine.submit(task_of(20, 3, later));
  while (engine.step()) {
  }
  expect_same(*later, alone(20, 3));
}

}  // namespace
}  // namespace tessera::serve
