// A toy tokenizer and toy models for tests of text generation. Their laws are simple enough to be written out a
// second time in a test.
#pragma once

#include <algorithm>
#include <functional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <ATen/ops/empty.h>
#include <ATen/ops/full.h>

#include "core/error.h"
#include "core/rng.h"
#include "generate/text_sequence.h"

namespace tessera::generate::testing {

/// Ids 0..255 are bytes, then come whole words, then the special tokens.
class ToyTokenizer : public text::Tokenizer {
 public:
  explicit ToyTokenizer(std::vector<std::string> words = {}, std::vector<std::string> special = {"<end>"})
      : words_(std::move(words)), special_(std::move(special)) {}

  std::vector<int32_t> encode(std::string_view text, const text::EncodeOptions& = {}) const override {
    std::vector<int32_t> ids;
    for (const char c : text) ids.push_back(static_cast<unsigned char>(c));
    return ids;
  }
  std::string decode(const std::vector<int32_t>& ids, bool skip_special = true) const override {
    std::string text;
    for (const int32_t id : ids) {
      if (!skip_special || !is_special(id)) text += token_of(id);
    }
    return text;
  }
  int64_t vocabulary() const override { return 256 + std::ssize(words_) + std::ssize(special_); }
  std::optional<int32_t> id_of(std::string_view token) const override {
    for (int32_t id = 0; id < vocabulary(); ++id) {
      if (token_of(id) == token) return id;
    }
    return std::nullopt;
  }
  std::string token_of(int32_t id) const override {
    if (id < 0 || id >= vocabulary()) throw UserError("[toy] id {} is out of range", id);
    if (id < 256) return std::string(1, static_cast<char>(id));
    const size_t word = static_cast<size_t>(id) - 256;
    return word < words_.size() ? words_[word] : special_[word - words_.size()];
  }
  bool is_special(int32_t id) const override { return id >= 256 + std::ssize(words_); }
  std::optional<int32_t> begin_token() const override { return std::nullopt; }
  std::optional<int32_t> end_token() const override { return static_cast<int32_t>(vocabulary() - 1); }
  std::optional<int32_t> pad_token() const override { return std::nullopt; }

 private:
  std::vector<std::string> words_, special_;
};

/// A model whose logits are a function of the row's tokens so far.
class ToySteps : public TokenSteps {
 public:
  using Model = std::function<Tensor(const std::vector<int32_t>& tokens)>;  // gives logits [V]
  explicit ToySteps(Model model) : model_(std::move(model)) {}

  Tensor join(std::span<const Prompt* const> prompts) override {
    std::vector<Tensor> all;
    for (const Prompt* prompt : prompts) all.push_back(model_(rows_.emplace_back(prompt->ids)));
    passes_.push_back(std::ssize(prompts));
    return at::stack(all);
  }
  Tensor next(std::span<const int32_t> ids) override {
    std::vector<std::vector<int32_t>> each;
    for (const int32_t id : ids) each.push_back({id});
    return verify(each);
  }
  Tensor verify(const std::vector<std::vector<int32_t>>& ids) override {
    std::vector<Tensor> all;
    for (size_t r = 0; r < rows_.size(); ++r) {
      for (const int32_t id : ids[r]) {
        rows_[r].push_back(id);
        all.push_back(model_(rows_[r]));
      }
    }
    passes_.push_back(std::ssize(rows_));
    return at::stack(all);
  }
  void rewind(size_t row, int64_t length) override { rows_[row].resize(static_cast<size_t>(length)); }
  void keep(std::span<const size_t> rows) override {
    std::vector<std::vector<int32_t>> kept;
    for (const size_t row : rows) kept.push_back(rows_[row]);
    rows_ = std::move(kept);
  }
  size_t rows() const override { return rows_.size(); }
  int64_t length(size_t row) const override { return std::ssize(rows_[row]); }
  const std::vector<int64_t>& passes() const { return passes_; }  // rows of every pass

 private:
  std::vector<std::vector<int32_t>> rows_;
  Model model_;
  std::vector<int64_t> passes_;
};

/// A constraint that is a function of the tokens so far, of the prompt too.
inline ConstraintMaker constraint_of(std::function<void(const std::vector<int32_t>& tokens, Tensor& logits)> rule) {
  struct Rule final : Constraint {
    Rule(std::function<void(const std::vector<int32_t>&, Tensor&)> f, std::vector<int32_t> t)
        : rule(std::move(f)), tokens(std::move(t)) {}
    void mask(Tensor& logits) override { rule(tokens, logits); }
    void advance(int32_t id) override { tokens.push_back(id); }
    std::function<void(const std::vector<int32_t>&, Tensor&)> rule;
    std::vector<int32_t> tokens;
  };
  return [rule = std::move(rule)](const std::vector<int32_t>& prompt) { return std::make_unique<Rule>(rule, prompt); };
}

inline std::vector<Prompt> prompts_of(const std::vector<std::vector<int32_t>>& rows) {
  std::vector<Prompt> prompts;
  for (const auto& row : rows) prompts.push_back({.ids = row});
  return prompts;
}

/// Logits [V] like noise, a function of the tokens and `seed`.
inline ToySteps::Model noise(int64_t vocabulary, uint64_t seed) {
  return [=](const std::vector<int32_t>& tokens) {
    uint64_t key = seed;
    for (const int32_t id : tokens) key = mix64(key ^ static_cast<uint64_t>(id));
    Tensor logits = at::empty({vocabulary}, at::kFloat);
    Rng rng(key);
    for (int64_t i = 0; i < vocabulary; ++i)
      logits.mutable_data_ptr<float>()[i] = static_cast<float>(rng.uniform(-4, 4));
    return logits;
  };
}

/// Says these tokens after a prompt of `prompt` tokens, and then the last of them for ever.
inline ToySteps::Model script(int64_t vocabulary, size_t prompt, std::vector<int32_t> said) {
  return [=](const std::vector<int32_t>& tokens) {
    Tensor logits = at::full({vocabulary}, -1.0f);
    logits[said[std::min(tokens.size() - prompt, said.size() - 1)]] = 1.0f;
    return logits;
  };
}

}  // namespace tessera::generate::testing
