// A decoder language model part way through sequences of unlike age: prompts in pieces, then token by token against the cache.
#pragma once

#include <optional>
#include <span>
#include <unordered_map>
#include <vector>

#include "generate/id_loop.h"
#include "models/lm/architecture/module.h"
#include "models/lm/text/plain_pass.h"
#include "nn/attention/block_cache.h"

namespace tessera::lm {

struct DecodeOptions {
  bool cache_int8 = false;
  /// Keys and values in bf16 where a model on the CPU computes in fp32 beside weights in 16 bits or fewer. Models in bf16 always do so.
  bool cache_bf16 = false;
  int64_t block = 64;  // positions of a block of the cache
  /// Prompts go through the model in pieces that end at multiples of so many positions, so that memory stays bounded and a prompt
  /// is read alike whatever is known of its beginning. A multiple of the cache's blocks.
  int64_t chunk = 256;
  /// Positions for which there is memory from the start, a multiple of `block`; 0: memory grows. What rows need beyond it is refused.
  int64_t capacity = 0;
  /// The row that leaves last is kept for a prompt that begins like it: the next turn of a conversation reads only what is new.
  bool keep_last = false;
};

/// Format of the keys and values that LmSteps keeps; kChar: 8-bit integers with scales.
at::ScalarType cache_format(const DecoderLm& model, const DecodeOptions& options);

/// `model` must stand while this does. Everything is a function of the row alone, bit for bit on the CPU: pieces of at least
/// nn::BlockCache::long_piece positions go through the model by themselves, shorter ones together, row by row (nn::RowByRow).
class LmSteps final : public generate::TokenSteps {
 public:
  explicit LmSteps(const DecoderLm& model, const DecodeOptions& options = {});

  /// A prompt of ids begins with what the cache knows of it. Throws UserError for ids that the embedding has no row for.
  Tensor join(std::span<const generate::Prompt* const> prompts) override;
  Tensor next(std::span<const int32_t> ids) override;
  Tensor verify(const std::vector<std::vector<int32_t>>& ids) override;
  void rewind(size_t row, int64_t length) override;
  void keep(std::span<const size_t> rows) override;
  Ahead read_ahead(const generate::Prompt& prompt, int64_t most) override;
  void forget(const generate::Prompt& prompt) override;
  int64_t held() const override { return cache_.held() * options_.block; }
  size_t rows() const override { return rows_.size(); }
  int64_t length(size_t row) const override { return cache_.length(rows_[row].handle); }

  /// Adds a row that begins as the first `length` positions of row `row`; what they share is not copied.
  void fork(size_t row, int64_t length);
  /// Adds a row without positions.
  void add() { rows_.push_back({.handle = cache_.add()}); }
  /// As verify(), but gives each row's final hidden states [count, C].
  std::vector<Tensor> read(const std::vector<std::vector<int32_t>>& ids);

  /// Positions that went through the model so far.
  int64_t positions() const { return positions_; }
  /// Positions of the prompts joined so far that were known and did not.
  int64_t recalled() const { return recalled_; }
  const nn::BlockCache& cache() const { return cache_; }

 private:
  struct Row {
    nn::BlockCache::Row handle = 0;
    std::vector<int32_t> ids;  // of its positions; empty where embeddings stood in place of ids
  };
  /// New positions of a row: what is still to be read of them, and the hidden states of the others.
  struct Reading {
    nn::BlockCache::Row row = 0;
    Tensor rest;             // embeddings [n, C]
    bool revocable = false;  // some of it may be taken back
    std::vector<Tensor> hidden = {};
  };
  /// A prompt that has not joined.
  struct AheadRow {
    Row row;
    int64_t known = 0;
  };
  Row begun(const generate::Prompt& prompt);
  Row taken(const generate::Prompt& prompt);
  void catch_up(AheadRow& ahead);
  /// Hidden states of the pieces, one after the other, or, with `logits`, those of what follows each position.
  Tensor pass(const std::vector<Reading*>& pieces, int64_t count, bool logits = false);
  void read_but_short_end(Reading& reading, int64_t chunk);
  void read_short_ends(std::vector<Reading>& readings);
  void read_again(size_t row, int64_t length);
  Tensor embedded(std::span<const int32_t> ids) const;
  Tensor logits_of(const Tensor& hidden) const;

  const DecoderLm* model_;
  std::unique_ptr<PlainPass> plain_pass_;  // null where the model cannot be run so
  DecodeOptions options_;
  nn::BlockCache cache_;
  std::vector<Row> rows_;
  std::optional<Row> last_;  // that was kept
  std::unordered_map<const generate::Prompt*, AheadRow> ahead_;
  int64_t positions_ = 0, recalled_ = 0;
};

}  // namespace tessera::lm
