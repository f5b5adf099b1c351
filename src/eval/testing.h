// A model for tests whose every probability is written down: log p(next | before) is a function.
#pragma once

#include <functional>
#include <utility>

#include "generate/testing.h"
#include "models/capabilities.h"

namespace tessera::eval::testing {

class ToyWriter final : public Writes {
 public:
  using Law = std::function<double(const std::vector<int32_t>& before, int32_t next)>;
  ToyWriter(Law law, int64_t context) : law_(std::move(law)), context_(context) {}

  const text::Tokenizer& tokenizer() const override { return tokenizer_; }
  int64_t context() const override { return context_; }
  std::vector<Written> write(const std::vector<std::string>&, const generate::TextOptions&) const override {
    return {};
  }
  Written chat(const std::vector<text::Message>&, const generate::TextOptions&) const override { return {}; }
  std::vector<int32_t> chat_prompt(const std::vector<text::Message>&) const override { return {}; }
  std::vector<std::vector<ScoredToken>> score(const std::vector<ScoreRequest>& requests,
                                              int64_t* /*positions*/ = nullptr) const override {
    std::vector<std::vector<ScoredToken>> all;
    for (const ScoreRequest& request : requests) {
      longest_ = std::max(longest_, std::ssize(request.prompt) + std::ssize(request.continuation) - 1);
      auto& scored = all.emplace_back();
      std::vector<int32_t> before = request.prompt;
      for (const int32_t id : request.continuation) {
        scored.push_back({.id = id, .log_probability = law_(before, id)});
        before.push_back(id);
      }
    }
    return all;
  }
  /// Tokens that a pass has read at most.
  int64_t longest() const { return longest_; }

 private:
  generate::testing::ToyTokenizer tokenizer_;
  Law law_;
  int64_t context_;
  mutable int64_t longest_ = 0;
};

/// Every byte costs one nat, but for those of "z", which cost `dear`.
inline ToyWriter bytes_cost(double dear) {
  return {[=](const std::vector<int32_t>&, int32_t next) { return next == 'z' ? -dear : -1.0; }, 1000};
}

}  // namespace tessera::eval::testing
