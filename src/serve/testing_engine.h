// For tests of the text engine: a listener that keeps what it hears, requests that depend on a number, an engine over models/books-lm.
#pragma once

#include <gtest/gtest.h>

#include <exception>
#include <memory>
#include <string>
#include <vector>

#include "core/rng.h"
#include "models/registry.h"
#include "serve/text_engine.h"

namespace tessera::serve::testing {

/// Keeps what it hears.
struct Recorder final : Listener {
  explicit Recorder(size_t choices = 1) : texts(choices), ids(choices), logs(choices), reasons(choices) {}
  void started(int64_t tokens, int64_t known) override {
    prompt = tokens;
    cached = known;
  }
  void text(size_t choice, std::string_view text, std::vector<TokenNote> notes) override {
    texts[choice] += text;
    for (const TokenNote& note : notes) ids[choice].push_back(note.id), logs[choice].push_back(note.log_probability);
    if (leaves_after > 0 && std::ssize(ids[choice]) >= leaves_after) left = true;
  }
  void ended(size_t choice, generate::StopReason reason, int64_t /*tokens*/) override {
    reasons[choice] = reason;
    ++done;
  }
  void failed(std::exception_ptr e) override { error = e; }
  bool gone() const override { return left; }
  std::vector<std::string> texts;
  std::vector<std::vector<int32_t>> ids;
  std::vector<std::vector<double>> logs;
  std::vector<generate::StopReason> reasons;
  int64_t prompt = 0, cached = -1, leaves_after = 0;
  size_t done = 0;
  bool left = false;
  std::exception_ptr error;
};

inline const LoadedModel& books() {
  static const auto model = load_model(Path(TESSERA_SOURCE_DIR) / "models/books-lm", at::kCPU);
  return *model;
}
inline const Writes& writes() { return *books().writes(); }

/// Ids that depend on `seed`; those of one seed begin alike.
inline std::vector<int32_t> prompt_of(int64_t length, uint64_t seed) {
  std::vector<int32_t> ids;
  for (int64_t i = 0; i < length; ++i)
    ids.push_back(static_cast<int32_t>(10 + Rng(seed).split(static_cast<uint64_t>(i)).below(4000)));
  return ids;
}

inline TextTask task_of(int64_t length, uint64_t seed, std::shared_ptr<Recorder> recorder, int64_t tokens = 24) {
  TextTask task{.client = "a", .prompt = {.ids = prompt_of(length, seed)}, .prompt_length = length, .notes = 0};
  task.options.max_new_tokens = tokens;
  task.options.sampling = {.temperature = 0.9, .seed = seed};
  task.options.context = writes().context();  // no end tokens: all are of one length
  task.choices = std::ssize(recorder->texts);
  task.listener = std::move(recorder);
  return task;
}

struct Bench {
  explicit Bench(EngineOptions options = {.positions = 32 * 512}) : engine(writes(), options, metrics) {}
  void finish() {
    while (engine.step()) {
    }
  }
  Metrics metrics;
  TextEngine engine;
};

/// What a request is when nothing else runs.
inline Recorder alone(int64_t length, uint64_t seed, int64_t tokens = 24) {
  Bench bench;
  auto recorder = std::make_shared<Recorder>();
  bench.engine.submit(task_of(length, seed, recorder, tokens));
  bench.finish();
  EXPECT_EQ(recorder->done, 1u);
  return *recorder;
}

inline void expect_same(const Recorder& a, const Recorder& b) {
  EXPECT_EQ(a.ids, b.ids);
  EXPECT_EQ(a.logs, b.logs);  // bit for bit
  EXPECT_EQ(a.texts, b.texts);
}

}  // namespace tessera::serve::testing
