// A decoder language model: token embedding, blocks of causal attention and gated feed-forward, final norm, head.
// Tensor names are those of the Hugging Face checkpoints.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "models/lm/architecture/config.h"
#include "models/lm/architecture/gated_delta_net.h"
#include "nn/attention/kv_cache.h"
#include "nn/attention/rope.h"
#include "nn/layers/embedding.h"
#include "nn/layers/linear.h"
#include "nn/layers/norm.h"

namespace tessera::lm {

/// Positions, rotary angles and attention masks of one forward pass. Made by positions_of(), packed_positions() and
/// cached_positions().
struct Positions {
  nn::Rope1d rope;         // [B or 1, L, turned / 2]: rotary angles of every position
  nn::Rope1d window_rope;  // those of blocks with a sliding window; absent where `rope` serves them too
  Tensor mask;  // additive fp32 [B or 1, 1, L, L]; absent: plain causal. With a cache, what is seen is its matter
  Tensor window_mask;  // the same for blocks with a sliding window; absent where `mask` serves them too
  Tensor since;        // [B or 1, L] int64: where each position's own sequence began; absent: at 0. Masks say the same
  bool recompute = false;  // blocks are computed again in the backward pass instead of kept (gradient checkpointing)
};

struct Attention {
  nn::Linear q_proj, k_proj, v_proj, o_proj;  // q_proj gives each head's query and, with attention_gate, its gate
  std::optional<nn::RmsNorm> q_norm, k_norm;

  Attention() = default;
  explicit Attention(const LmConfig& config);
  /// x [B, L, C] -> [B, L, C]. `layer` says which block this is, of the cache and of those with a window.
  Tensor forward(const LmConfig& config, const Tensor& x, const Positions& positions, size_t layer,
                 nn::KvCache* cache) const;
};
template <class V> void tensors(V& v, Attention& m) {
  v("q_proj", m.q_proj), v("k_proj", m.k_proj), v("v_proj", m.v_proj), v("o_proj", m.o_proj);
  v("q_norm", m.q_norm), v("k_norm", m.k_norm);
}

/// down(act(gate(x)) * up(x)).
struct GatedFeedForward {
  nn::Linear gate_proj, up_proj, down_proj;

  GatedFeedForward() = default;
  explicit GatedFeedForward(const LmConfig& config);
  /// x [..., C] -> [..., C].
  Tensor forward(const LmConfig& config, const Tensor& x) const;
};
template <class V> void tensors(V& v, GatedFeedForward& m) {
  v("gate_proj", m.gate_proj), v("up_proj", m.up_proj), v("down_proj", m.down_proj);
}

struct Block {
  std::optional<Attention> self_attn;  // or
  std::optional<GatedDeltaNet> linear_attn;
  GatedFeedForward mlp;
  // Which of them are there is the config's matter. With norms before alone (Llama, Qwen2, Gemma) the checkpoints call the
  // one before the feed-forward post_attention_layernorm; with norms after (OLMo 2, Gemma 2) that name is what it says.
  std::optional<nn::RmsNorm> input_layernorm, post_attention_layernorm, pre_feedforward_layernorm,
      post_feedforward_layernorm;

  Block() = default;
  Block(const LmConfig& config, size_t layer);
  /// x [B, L, C] -> [B, L, C], a function of x alone but for the cache.
  Tensor forward(const LmConfig& config, const Tensor& x, const Positions& positions, size_t layer,
                 nn::KvCache* cache) const;
};
template <class V> void tensors(V& v, Block& m) {
  v("self_attn", m.self_attn), v("linear_attn", m.linear_attn), v("mlp", m.mlp);
  v("input_layernorm", m.input_layernorm);
  v("post_attention_layernorm", m.post_attention_layernorm),
      v("pre_feedforward_layernorm", m.pre_feedforward_layernorm);
  v("post_feedforward_layernorm", m.post_feedforward_layernorm);
}

struct DecoderLm {
  LmConfig config;
  nn::Embedding embed_tokens;  // [V, C]
  std::vector<Block> layers;
  nn::RmsNorm norm;
  nn::Linear lm_head;                                    // undefined when tied
  std::shared_ptr<const nn::RotaryTable> rotary;         // angles of all positions; follows from the config
  std::shared_ptr<const nn::RotaryTable> window_rotary;  // those of blocks with a window, where they differ; else null

  DecoderLm() = default;
  /// Checks `config` and builds the layers with undefined weights. Throws UserError.
  explicit DecoderLm(const LmConfig& config);

  /// ids [B, L] int64 -> [B, L, C].
  Tensor embed(const Tensor& ids) const;
  /// embeddings [B, L, C] -> final hidden states [B, L, C], after the last norm. With a cache B is 1: the positions are those of the
  /// pass that the cache has begun, which attend to what it holds too and are added to it.
  Tensor forward(const Tensor& embeddings, const Positions& positions, nn::KvCache* cache = nullptr) const;
  /// lm_head, or the embedding's rows where the two are tied.
  nn::Linear head() const;
  /// hidden [..., C] -> [..., V] in fp32.
  Tensor logits(const Tensor& hidden) const;
  /// Logits [..., V] as the config's cap leaves them.
  Tensor capped(const Tensor& logits) const;
};
template <class V> void tensors(V& v, DecoderLm& m) {
  v("model.embed_tokens", m.embed_tokens), v("model.layers", m.layers), v("model.norm", m.norm),
      v("lm_head", m.lm_head);
}

/// The first `length` positions of every row. pad [B] int64: how many positions at each row's beginning are padding (rows of
/// different lengths are padded on the left); absent: none.
Positions positions_of(const DecoderLm& model, int64_t length, const Tensor& pad, at::Device device);
/// Positions of packed rows: segments [B, L] int64; a position sees earlier ones of its own segment, and positions count from each
/// segment's beginning.
Positions packed_positions(const DecoderLm& model, const Tensor& segments);
/// Positions of a pass against a cache: `indexes` [T] int64, each below `end`; what they see is the cache's matter.
Positions cached_positions(const DecoderLm& model, const Tensor& indexes, int64_t end);
/// What Llama 3's scaling divides each of the dim / 2 rotary frequencies by, fp32.
Tensor llama3_divisors(const RopeScaling& scaling, double theta, int64_t dim);
/// The rotary angles that a config asks for. What transformers makes depend on the length of a sequence is decided by the context: a
/// "longrope" model has its long factors when it admits more than the original context, and "dynamic" changes nothing within it.
std::shared_ptr<const nn::RotaryTable> rotary_table(const LmConfig& config);
/// Those of blocks with a sliding window; null where they are the same.
std::shared_ptr<const nn::RotaryTable> window_rotary_table(const LmConfig& config);

/// Normal weights (deviation 0.02 cut at two of them, output projections divided by sqrt(2 depth)), biases zero, norms at
/// their identity; a pure function of the seed.
void initialise(DecoderLm& model, uint64_t seed);

}  // namespace tessera::lm
