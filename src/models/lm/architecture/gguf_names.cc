// Names of tensors, in both directions (gguf-py, tensor_mapping.py), and the order of rows within rotated heads.
#include <array>
#include <charconv>
#include <utility>

#include "models/lm/architecture/gguf_model.h"

namespace tessera::lm {

namespace {

using Pair = std::pair<std::string_view, std::string_view>;

constexpr std::array whole_names{Pair{"token_embd.weight", "model.embed_tokens.weight"},
                                 Pair{"output_norm.weight", "model.norm.weight"},
                                 Pair{"output.weight", "lm_head.weight"}};

// In front of ".weight" or ".bias".
constexpr std::array block_names{
    Pair{"attn_q", "self_attn.q_proj"},
    Pair{"attn_k", "self_attn.k_proj"},
    Pair{"attn_v", "self_attn.v_proj"},
    Pair{"attn_qkv", "self_attn.qkv_proj"},
    Pair{"attn_output", "self_attn.o_proj"},
    Pair{"attn_q_norm", "self_attn.q_norm"},
    Pair{"attn_k_norm", "self_attn.k_norm"},
    Pair{"ffn_gate", "mlp.gate_proj"},
    Pair{"ffn_up", "mlp.up_proj"},
    Pair{"ffn_down", "mlp.down_proj"},
    Pair{"attn_norm", "input_layernorm"},
    Pair{"post_attention_norm", "post_attention_layernorm"},
    Pair{"post_ffw_norm", "post_feedforward_layernorm"},
};

// Of a gated DeltaNet, with their endings, where a file has "blk.3." and a checkpoint "model.layers.3.linear_attn.".
constexpr std::array delta_net_names{Pair{"attn_qkv.weight", "in_proj_qkv.weight"},
                                     Pair{"attn_gate.weight", "in_proj_z.weight"},
                                     Pair{"ssm_beta.weight", "in_proj_b.weight"},
                                     Pair{"ssm_alpha.weight", "in_proj_a.weight"},
                                     Pair{"ssm_conv1d.weight", "conv1d.weight"},
                                     Pair{"ssm_dt.bias", "dt_bias"},
                                     Pair{"ssm_a", "A_log"},
                                     Pair{"ssm_norm.weight", "norm.weight"},
                                     Pair{"ssm_out.weight", "out_proj.weight"}};
constexpr std::string_view delta_net = "linear_attn.";

/// The norm before the feed-forward layer has two names in checkpoints: where one follows attention too, that one has taken
/// post_attention_layernorm.
std::string_view feed_forward_norm(std::string_view architecture) {
  return architecture.starts_with("gemma2") || architecture.starts_with("gemma3") ? "pre_feedforward_layernorm"
                                                                                  : "post_attention_layernorm";
}

/// "blk.3.attn_q.weight" -> {"3", "attn_q", ".weight"}; the middle is "" for what is no block's tensor.
struct BlockName {
  std::string_view block, middle, suffix, rest;  // the last: all behind the block's number
};
BlockName split_block(std::string_view name, std::string_view prefix) {
  if (!name.starts_with(prefix)) return {};
  const std::string_view rest = name.substr(prefix.size());
  const size_t dot = rest.find('.'), last = rest.rfind('.');
  if (dot == std::string_view::npos) return {};
  const std::string_view block = rest.substr(0, dot), behind = rest.substr(dot + 1);
  if (last == dot) return {block, "", "", behind};
  return {block, rest.substr(dot + 1, last - dot - 1), rest.substr(last), behind};
}

}  // namespace

std::string huggingface_name(std::string_view architecture, std::string_view stored) {
  for (const auto& [ours, theirs] : whole_names) {
    if (ours == stored) return std::string(theirs);
  }
  const BlockName name = split_block(stored, "blk.");
  const auto full = [&](std::string_view middle) {
    return "model.layers." + std::string(name.block) + "." + std::string(middle) + std::string(name.suffix);
  };
  for (const auto& [ours, theirs] : delta_net_names) {
    if (ours == name.rest && architecture == "qwen35")
      return "model.layers." + std::string(name.block) + "." + std::string(delta_net) + std::string(theirs);
  }
  if (name.middle == "ffn_up" && architecture == "phi3") return full("mlp.gate_up_proj");  // with the gate's rows first
  if (name.middle == "ffn_norm") return full(feed_forward_norm(architecture));
  for (const auto& [ours, theirs] : block_names) {
    if (ours == name.middle) return full(theirs);
  }
  return std::string(stored);  // a tensor that no module has is refused under its own name
}

std::string gguf_name(std::string_view architecture, std::string_view name) {
  for (const auto& [ours, theirs] : whole_names) {
    if (theirs == name) return std::string(ours);
  }
  const BlockName parts = split_block(name, "model.layers.");
  const auto full = [&](std::string_view middle) {
    return "blk." + std::string(parts.block) + "." + std::string(middle) + std::string(parts.suffix);
  };
  for (const auto& [ours, theirs] : delta_net_names) {
    if (parts.rest.starts_with(delta_net) && parts.rest.substr(delta_net.size()) == theirs)
      return "blk." + std::string(parts.block) + "." + std::string(ours);
  }
  const bool other_name = architecture == "olmo2" || architecture == "qwen35";
  if (!parts.middle.empty() && parts.middle == feed_forward_norm(architecture) && !other_name) return full("ffn_norm");
  if (parts.middle == "mlp.gate_up_proj") return full("ffn_up");
  for (const auto& [ours, theirs] : block_names) {
    if (theirs == parts.middle) return full(ours);
  }
  return "";
}

// llama.cpp rotates neighbours, Hugging Face the first half of a head against the second.
int64_t interleaved_row(int64_t row, int64_t head_dim) {
  const int64_t head = row / head_dim, within = row % head_dim, half = head_dim / 2;
  return head * head_dim + within % half * 2 + within / half;
}

int64_t separate_row(int64_t row, int64_t head_dim) {
  const int64_t head = row / head_dim, within = row % head_dim;
  return head * head_dim + within % 2 * (head_dim / 2) + within / 2;
}

}  // namespace tessera::lm
