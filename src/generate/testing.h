// A toy tokenizer and toy models for tests of text generation. Their laws are simple enough to be written out a
// second time in a test.
#pragma once

#include <algorithm>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include <ATen/ops/empty.h>
#include <ATen/ops/full.h>

#include "core/error.h"
#include "core/rng.h"
#include "generate/text_loop.h"

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
  ToySteps(std::vector<std::vector<int32_t>> prompts, Model model)
      : rows_(std::move(prompts)), model_(std::move(model)) {}

  Tensor start() override { return logits(); }
  Tensor next(const Tensor& ids) override {
    for (size_t r = 0; r < rows_.size(); ++r)
      rows_[r].push_back(static_cast<int32_t>(ids[static_cast<int64_t>(r)].item<int64_t>()));
    return logits();
  }
  void keep(const Tensor& rows) override {
    std::vector<std::vector<int32_t>> kept;
    for (int64_t i = 0; i < rows.numel(); ++i) kept.push_back(rows_[static_cast<size_t>(rows[i].item<int64_t>())]);
    rows_ = std::move(kept);
  }
  const std::vector<int64_t>& batches() const { return batches_; }  // rows of every pass

 private:
  Tensor logits() {
    batches_.push_back(std::ssize(rows_));
    std::vector<Tensor> all;
    for (const auto& row : rows_) all.push_back(model_(row));
    return at::stack(all);
  }
  std::vector<std::vector<int32_t>> rows_;
  Model model_;
  std::vector<int64_t> batches_;
};

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
