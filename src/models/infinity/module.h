// The Infinity transformer: a prompt and the sums of codes so far go in, two logits for every bit of every scale come out.
// Tensor names are those of the released checkpoints, with `blocks.N.` for `block_chunks.i.module.j.`.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "models/infinity/config.h"
#include "models/infinity/schedule.h"
#include "nn/attention/attention.h"
#include "nn/attention/rope.h"
#include "nn/attention/scale_cache.h"
#include "nn/layers/linear.h"
#include "nn/layers/norm.h"
#include "nn/layers/text_encoder.h"

namespace tessera::infinity {

/// What a schedule fixes for every picture: levels, rotary angles and the block-causal mask of its L positions.
struct Positions {
  Schedule schedule;
  Tensor levels;    // [L] int64: the scale of each position
  nn::Rope2d rope;  // [L, head_dim / 2]
  Tensor mask;  // [1, 1, L, L]: 0 where a position may look (its own scale and earlier ones), -inf elsewhere; or absent
};
/// `with_mask`: false where scales go through one by one and need none; at 10,521 positions it has 443 MB.
Positions positions_of(const InfinityConfig& config, const Schedule& schedule, at::Device device,
                       bool with_mask = true);

/// A batch of prompts as the blocks see them.
struct Condition {
  Tensor pooled;      // [B, C]: start token and AdaLN condition
  Tensor modulation;  // [B, 1, 6, C]: shared part of every block's gates, scales and shifts
  Tensor prompt;      // [B, T, C]
  Tensor padding;     // [B, 1, 1, T] additive, or absent
};

/// Gates, scales and shifts of one block, each [B, 1, C].
struct Modulation {
  Tensor gate_attention, gate_feed_forward, scale_attention, scale_feed_forward, shift_attention, shift_feed_forward;
};

/// What a block keeps for a prompt while a picture is drawn scale by scale.
struct BlockCondition {
  Modulation modulation;
  nn::CosineConstants attention;
  nn::PromptKeys prompt;
  Tensor padding;
};

/// State of a drawing: per block the prompt's part, computed once, and the keys and values of the scales so far.
struct DrawState {
  std::vector<BlockCondition> blocks;
  nn::ScaleCache cache;
  Condition condition;
  bool keeps_hidden = false;
  Tensor hidden,
      hidden_before;  // what left the last block at the last scale and at the one before, [B, C, h, w]; where it is kept

  /// Goes on with the first `rows` rows alone.
  void keep_rows(int64_t rows);
};

/// Classifier-free guidance on hidden states: what leaves one of the blocks `after` (from 0) becomes cfg * conditional + (1 - cfg) *
/// unconditional in both halves of the batch, of which the first is the conditional one. A cfg of exactly 1 leaves the halves as they are.
struct HiddenGuidance {
  double cfg = 1;
  std::vector<int64_t> after;
};

/// How one scale goes through.
struct StepOptions {
  HiddenGuidance guidance;
  /// Share of the scale's tokens that do not go through the blocks: those where what left the last block changed least between the two scales
  /// before. Theirs is that of the scale before, grown. Wants `keeps_hidden` and a state of one picture.
  double settled = 0;
};

/// Adaptive self attention, cross attention to the prompt, adaptive feed-forward.
struct InfinityBlock {
  Tensor ada_gss;  // [1, 1, 6, C]
  nn::CosineSelfAttention sa;
  nn::CrossAttention ca;
  nn::FeedForward ffn;
  nn::LayerNorm ca_norm;

  InfinityBlock() = default;
  explicit InfinityBlock(const InfinityConfig& config);

  BlockCondition prepare(const Condition& condition) const;
  /// x [B, L, C] -> [B, L, C].
  Tensor forward(Tensor x, const BlockCondition& condition, const nn::Rope2d& rope, const Tensor& mask, size_t layer,
                 nn::KvCache* cache) const;
};
template <class V> void tensors(V& v, InfinityBlock& m) {
  v("ada_gss", m.ada_gss);
  v("sa", m.sa);
  v("ca", m.ca);
  v("ffn", m.ffn);
  v("ca_norm", m.ca_norm);
}

/// SiLU, then a linear map: what makes AdaLN's numbers from a condition.
struct SiluLinear {
  nn::Linear linear;
  Tensor forward(const Tensor& condition) const;
};
template <class V> void tensors(V& v, SiluLinear& m) { v("1", m.linear); }

/// The norm before the head, its scale and shift made from the condition.
struct HeadNorm {
  SiluLinear ada_lin;
};
template <class V> void tensors(V& v, HeadNorm& m) { v("ada_lin", m.ada_lin); }

struct TextProjection {
  nn::Linear first, second;
  Tensor forward(const Tensor& states) const;
};
template <class V> void tensors(V& v, TextProjection& m) {
  v("0", m.first);
  v("2", m.second);
}

struct StartProjection {
  nn::AttentionPool pool;
};
template <class V> void tensors(V& v, StartProjection& m) { v("ca", m.pool); }

struct Infinity {
  InfinityConfig config;
  Tensor cfg_uncond;  // [text_length, text_width]: states of "no prompt"
  Tensor pos_start;   // [1, 1, C]
  nn::RmsNorm text_norm;
  StartProjection text_proj_for_sos;
  TextProjection text_proj_for_ca;
  Tensor lvl_embed;  // [levels, C]
  nn::Linear word_embed;
  SiluLinear shared_ada_lin;
  std::vector<InfinityBlock> blocks;
  HeadNorm head_nm;
  nn::Linear head;
  std::optional<nn::ByteEncoder> text_encoder;

  Infinity() = default;
  /// Checks `config` and builds the layers with undefined weights. Throws UserError.
  explicit Infinity(const InfinityConfig& config);

  /// Prompts -> states. Throws UserError when the model has no text encoder of its own.
  nn::TextStates encode(const std::vector<std::string>& prompts) const;
  /// Replaces the states where `drop` [B] bool is true by those of "no prompt", at the prompt's own length.
  nn::TextStates without_prompt(const nn::TextStates& text, const Tensor& drop) const;
  Condition condition(const nn::TextStates& text) const;

  /// All scales at once. features [B, L - 1, bits per token]: for every scale but the first, the sum of the codes of
  /// earlier scales, resized to its grid. Returns logits [B, L, bits per token, 2] ([B, L, 2^bits] with an index head), fp32.
  Tensor forward(const Tensor& features, const Condition& condition, const Positions& positions) const;

  /// `kept`: the format of keys and values between scales, fp32, bf16 or int8. The last scale's are not kept.
  DrawState start(Condition condition, const Positions& positions, at::ScalarType kept = at::kFloat) const;
  /// Scale k alone, after scales 0..k-1 went through this state. features [B, tokens of k, bits per token], absent for
  /// k = 0. Returns its logits.
  Tensor step(size_t k, const Tensor& features, DrawState& state, const Positions& positions,
              const StepOptions& options = {}) const;

 private:
  Tensor embed(const Tensor& features, const Tensor& levels) const;
  Tensor start_token(const Condition& condition) const;
  Tensor logits(const Tensor& x, const Tensor& pooled) const;
};
template <class V> void tensors(V& v, Infinity& m) {
  v("cfg_uncond", m.cfg_uncond);
  v("pos_start", m.pos_start);
  v("text_norm", m.text_norm);
  v("text_proj_for_sos", m.text_proj_for_sos);
  v("text_proj_for_ca", m.text_proj_for_ca);
  v("lvl_embed.weight", m.lvl_embed);
  v("word_embed", m.word_embed);
  v("shared_ada_lin", m.shared_ada_lin);
  v("blocks", m.blocks);
  v("head_nm", m.head_nm);
  v("head", m.head);
  v("text_encoder", m.text_encoder);
}

/// How small the adaptive parts start; the published factors.
struct InitialScales {
  double adaptive = 1e-3;  // scales and shifts
  double gate = 5e-6;      // gates of attention and feed-forward
  double head = 0.02;
  bool operator==(const InitialScales&) const = default;
};
template <class V> void fields(V& v, InitialScales& s) {
  v("adaptive", s.adaptive, "factor on the initial AdaLN scales and shifts");
  v("gate", s.gate, "factor on the initial gates");
  v("head", s.head, "factor on the initial head");
}

/// Truncated normal weights of deviation sqrt(1 / 3C), smaller where the paper's code has them smaller; a pure function of the seed.
void initialise(Infinity& model, uint64_t seed, const InitialScales& scales = {});

/// True for stored tensors that are never trained (the zero key biases).
bool is_constant(std::string_view tensor_name);

}  // namespace tessera::infinity
