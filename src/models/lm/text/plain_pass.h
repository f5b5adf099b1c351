// A pass on plain memory: what a decoding step is, and a long piece of a prompt where weights lie in blocks or are multiplied in
// bf16. The same layers as DecoderLm::forward, in fp32 between the weights, but each is a few shares of work among threads that stay
// awake (nn/kernels/thread_team.h), and nothing is allocated once it has run.
#pragma once

#include <array>
#include <initializer_list>
#include <memory>
#include <span>
#include <vector>

#include "models/lm/architecture/module.h"
#include "nn/attention/block_cache.h"
#include "nn/kernels/row_product.h"
#include "nn/kernels/thread_team.h"

namespace tessera::lm {

class PlainPass {
 public:
  /// Null where the model cannot be run so: not on the CPU, with gated DeltaNets, adapters, 8-bit floating point or someone who observes
  /// its inputs, or in a format that no kernel multiplies. `model` must outlive it.
  static std::unique_ptr<PlainPass> of(const DecoderLm& model);

  struct Result {
    Tensor hidden;  // [n, C] fp32, after the last norm
    Tensor logits;  // [n, V] fp32 without the cap; absent unless asked for
  };
  /// embeddings [n, C] of the positions `indexes` of the pass that `cache` has begun. A position's numbers depend on its own row alone,
  /// bit for bit, whatever the number of threads.
  Result run(const Tensor& embeddings, const std::vector<int64_t>& indexes, nn::BlockCache& cache, bool with_logits);

  /// Whether run_long() can be used: the kernels of all linear layers but the head multiply many rows well.
  bool takes_long() const { return takes_long_; }
  /// Hidden states [n, C] after the last norm of a pass of one piece of one row. Whatever the number of threads, the bits are the same.
  Tensor run_long(const Tensor& embeddings, const std::vector<int64_t>& indexes, nn::BlockCache& cache);

 private:
  using Product = std::shared_ptr<const nn::RowProduct>;
  /// A linear layer: its product and its bias in fp32, empty when there is none.
  struct Layer {
    Product product;
    std::vector<float> bias;
  };
  /// A norm's weight in fp32, with what is added to it; empty when there is none.
  using Norm = std::vector<float>;
  struct BlockLayers {
    Layer q, k, v, o, gate, up, down;
    Norm before_attention, after_attention, before_mlp, after_mlp, q_norm, k_norm;
  };
  /// A thread's own room.
  struct Scratch {
    std::vector<float> normed, head, scores, other;
    std::vector<nn::blocks::Block> views;
    nn::RowScratch rounded;
    int64_t preparation = 0;  // that made `rounded` of the phase's inputs; 0: none
  };
  /// Inputs of the products of one phase as these want them: products that make the same of them share what the first has made.
  struct Inputs {
    static constexpr size_t most = 3;
    std::array<const Layer*, most> layers = {};
    std::array<nn::RowScratch, most> rounded;
    size_t maker(size_t index) const;
  };
  /// The pass under way.
  struct Pass {
    int64_t n = 0;
    nn::Rope1d rope, window_rope;  // [1, positions, turned / 2] fp32, views of the model's tables
    const std::vector<int64_t>* indexes = nullptr;
    std::vector<nn::BlockCache::Place> places;
    nn::BlockCache* cache = nullptr;
    float* hidden = nullptr;
    float* logits = nullptr;
  };

  explicit PlainPass(const DecoderLm& model);
  bool add_layers();
  void begin(const Tensor& embeddings, const std::vector<int64_t>& indexes, nn::BlockCache& cache);
  void work(int index);
  void run_block(size_t layer, int index);
  void attend(size_t layer, int index);
  void turn_query(size_t layer, int64_t row, int64_t head, float* to) const;
  void write_keys(size_t layer, int index);
  void norm_heads(float* x, const Norm& norm, int64_t heads, std::vector<float>& room) const;
  void turn_head(size_t layer, int64_t position, const float* from, float* to) const;
  void add_to_stream(const Norm& after, const std::vector<float>& from, int index);
  void add_row(const Norm& after, const float* add, int64_t row, Scratch& own);
  void norm_rows(const float* from, const Norm& norm, std::vector<float>& to) const;
  /// A layer and where its product goes, [n, out]; inputs that are rounded already, or null: each thread rounds them for itself.
  struct Target {
    const Layer* layer;
    float* to;
    const nn::RowScratch* rounded = nullptr;
  };
  void multiply(std::span<const Target> targets, const float* x, int index);
  void multiply_gated(const Target& gate, const Target& up, const float* x, int index);
  void columns(const Target& target, const float* x, int64_t begin, int64_t end, int index);
  int64_t chunk_of(int64_t columns) const;
  Tensor room_for_logits();

  // long_piece.cc
  void work_long(int index);
  void run_long_block(size_t layer, int index);
  void multiply_gated_long(const Target& gate, const Target& up, int index);
  void attend_long(size_t layer, int index);
  void make_room(Inputs& inputs, std::initializer_list<const Layer*> layers);
  void round(Inputs& inputs, const nn::blocks::Part& part) const;
  void round_shares(Inputs& inputs, const std::vector<float>& x, int index);
  void norm_shares(const Norm* after, const Norm& before, Inputs* inputs, float* to, int index);
  nn::Shares& next_shares(int index) { return shares_[phase_[static_cast<size_t>(index)]++]; }

  const DecoderLm* model_;
  std::vector<BlockLayers> blocks_;
  Norm last_norm_;
  Layer head_;
  bool takes_long_ = true;
  nn::ThreadTeam team_;
  std::vector<Scratch> scratch_;                                    // of each thread
  std::vector<nn::Shares> shares_;                                  // of each phase of a pass, in order
  std::vector<size_t> phase_;                                       // that each thread is in
  std::vector<float> x_, q_, k_, v_, attended_, sums_, gate_, up_;  // [n, ...] of the pass
  std::vector<float> normed_;                                       // [n, C], long pieces only
  Inputs for_qkv_, for_o_, for_gate_up_, for_down_;                 // likewise
  Pass pass_;
  Tensor logits_;  // [rows, V] of earlier passes, written again when nobody holds them any more
};

}  // namespace tessera::lm
