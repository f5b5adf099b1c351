// The order of work: every thread goes through the same phases, takes shares of each, and waits where the next one reads what
// others have written. What every thread needs whole and is small (normed rows, rounded inputs) each makes for itself.
#include "models/lm/text/plain_pass.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>

#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>

#include "nn/kernels/token_loops.h"

namespace tessera::lm {

namespace {

namespace loops = nn::loops;

std::vector<float> floats_of(const Tensor& tensor) {
  if (!present(tensor)) return {};
  const Tensor wide = tensor.to(at::kFloat).contiguous();
  return {wide.const_data_ptr<float>(), wide.const_data_ptr<float>() + wide.numel()};
}

std::vector<float> norm_weight(const std::optional<nn::RmsNorm>& norm) {
  if (!norm) return {};
  std::vector<float> weight = floats_of(norm->weight);
  if (norm->plus_one) {
    for (float& w : weight) w += 1;
  }
  return weight;
}

bool is_plain(const nn::Linear& linear) { return !linear.lora && !linear.fp8 && linear.observer == nullptr; }

std::shared_ptr<const nn::RowProduct> product_of(const nn::Linear& linear) {
  return linear.packed ? linear.packed->row_product() : nn::row_product_of(linear.weight, linear.bf16_products);
}

}  // namespace

std::unique_ptr<PlainPass> PlainPass::of(const DecoderLm& model) {
  if (!model.embed_tokens.device().is_cpu() || model.config.linear || model.config.attention_gate) return nullptr;
  std::unique_ptr<PlainPass> pass(new PlainPass(model));
  return pass->add_layers() ? std::move(pass) : nullptr;
}

PlainPass::PlainPass(const DecoderLm& model)
    : model_(&model), team_(at::get_num_threads()), scratch_(static_cast<size_t>(team_.size())),
      shares_(model.layers.size() * 10 + 4), phase_(static_cast<size_t>(team_.size())) {}

bool PlainPass::add_layers() {
  bool all = true;
  const auto layer_of = [&](const nn::Linear& linear) {
    Layer layer{.product = is_plain(linear) ? product_of(linear) : nullptr, .bias = floats_of(linear.bias)};
    all = all && layer.product != nullptr;
    takes_long_ = takes_long_ && all && layer.product->takes_many();
    return layer;
  };
  const bool norm_after = model_->config.norm_after;
  for (const Block& block : model_->layers) {
    const Attention& attention = *block.self_attn;
    const GatedFeedForward& mlp = block.mlp;
    const auto& before_mlp = norm_after ? block.pre_feedforward_layernorm : block.post_attention_layernorm;
    blocks_.push_back({.q = layer_of(attention.q_proj),
                       .k = layer_of(attention.k_proj),
                       .v = layer_of(attention.v_proj),
                       .o = layer_of(attention.o_proj),
                       .gate = layer_of(mlp.gate_proj),
                       .up = layer_of(mlp.up_proj),
                       .down = layer_of(mlp.down_proj),
                       .before_attention = norm_weight(block.input_layernorm),
                       .after_attention = norm_after ? norm_weight(block.post_attention_layernorm) : Norm{},
                       .before_mlp = norm_weight(before_mlp),
                       .after_mlp = norm_weight(block.post_feedforward_layernorm),
                       .q_norm = norm_weight(attention.q_norm),
                       .k_norm = norm_weight(attention.k_norm)});
    if (!all) return false;
  }
  last_norm_ = norm_weight(model_->norm);
  const bool takes_long = takes_long_;  // long pieces do without the head
  const nn::Linear head = model_->head();
  head_ = layer_of(head);
  takes_long_ = takes_long;
  return all;
}

void PlainPass::begin(const Tensor& embeddings, const std::vector<int64_t>& indexes, nn::BlockCache& cache) {
  const LmConfig& c = model_->config;
  const Tensor from = embeddings.to(at::kFloat).contiguous();  // [n, C]
  const int64_t n = from.size(0), end = *std::ranges::max_element(indexes) + 1;
  const auto room = [&](std::vector<float>& buffer, int64_t width) {
    if (std::ssize(buffer) < n * width) buffer.resize(static_cast<size_t>(n * width));
  };
  x_.assign(from.const_data_ptr<float>(), from.const_data_ptr<float>() + from.numel());
  room(q_, c.heads * c.head_dim);
  room(k_, c.kv_heads * c.head_dim);
  room(v_, c.kv_heads * c.head_dim);
  room(attended_, c.heads * c.head_dim);
  room(sums_, c.width);
  room(gate_, c.hidden);
  room(up_, c.hidden);
  cache.make_room(model_->norm.weight.scalar_type(), c.kv_heads, c.head_dim);
  pass_ = {.n = n,
           .rope = model_->rotary->range(0, end, at::kCPU),
           .window_rope = {},
           .indexes = &indexes,
           .places = cache.places(),
           .cache = &cache};
  if (model_->window_rotary) pass_.window_rope = model_->window_rotary->range(0, end, at::kCPU);
  for (nn::Shares& shares : shares_) shares.reset();
  std::ranges::fill(phase_, size_t{0});
}

PlainPass::Result PlainPass::run(const Tensor& embeddings, const std::vector<int64_t>& indexes, nn::BlockCache& cache,
                                 bool with_logits) {
  begin(embeddings, indexes, cache);
  Result result{.hidden = at::empty({pass_.n, model_->config.width}, at::kFloat), .logits = {}};
  pass_.hidden = result.hidden.mutable_data_ptr<float>();
  if (with_logits) {
    result.logits = room_for_logits();
    pass_.logits = result.logits.mutable_data_ptr<float>();
  }
  team_.run([this](int index) { work(index); });
  return result;
}

/// [n, V] fp32. Fresh memory of some megabytes would be given back and cleared again with every step.
Tensor PlainPass::room_for_logits() {
  const bool free = logits_.defined() && logits_.storage().use_count() == 1 && logits_.size(0) >= pass_.n;
  if (!free) logits_ = at::empty({pass_.n, head_.product->out()}, at::kFloat);
  return logits_.narrow(0, 0, pass_.n);
}

void PlainPass::work(int index) {
  for (size_t layer = 0; layer < blocks_.size(); ++layer) run_block(layer, index);
  Scratch& own = scratch_[static_cast<size_t>(index)];
  norm_rows(x_.data(), last_norm_, own.normed);
  if (index == 0) std::memcpy(pass_.hidden, own.normed.data(), own.normed.size() * sizeof(float));
  if (pass_.logits == nullptr) return;
  multiply(std::array{Target{&head_, pass_.logits}}, own.normed.data(), index);
}

/// As Block::forward.
void PlainPass::run_block(size_t layer, int index) {
  const BlockLayers& block = blocks_[layer];
  Scratch& own = scratch_[static_cast<size_t>(index)];
  norm_rows(x_.data(), block.before_attention, own.normed);
  multiply(std::array{Target{&block.q, q_.data()}, Target{&block.k, k_.data()}, Target{&block.v, v_.data()}},
           own.normed.data(), index);
  team_.barrier();
  write_keys(layer, index);
  team_.barrier();
  attend(layer, index);
  team_.barrier();
  multiply(std::array{Target{&block.o, sums_.data()}}, attended_.data(), index);
  team_.barrier();
  add_to_stream(block.after_attention, sums_, index);
  team_.barrier();
  norm_rows(x_.data(), block.before_mlp, own.normed);
  multiply_gated({&block.gate, gate_.data()}, {&block.up, up_.data()}, own.normed.data(), index);
  team_.barrier();
  multiply(std::array{Target{&block.down, sums_.data()}}, gate_.data(), index);
  team_.barrier();
  add_to_stream(block.after_mlp, sums_, index);
  team_.barrier();
}

/// All rows of `from` [n, C], normed; as they are where there is no norm.
void PlainPass::norm_rows(const float* from, const Norm& norm, std::vector<float>& to) const {
  const LmConfig& c = model_->config;
  to.resize(static_cast<size_t>(pass_.n * c.width));
  if (norm.empty()) {
    std::memcpy(to.data(), from, to.size() * sizeof(float));
    return;
  }
  for (int64_t r = 0; r < pass_.n; ++r)
    loops::rms_row(from + r * c.width, norm.data(), 0, static_cast<float>(c.norm_eps), c.width,
                   to.data() + r * c.width);
}

int64_t PlainPass::chunk_of(int64_t columns) const {
  constexpr int64_t tile = 16;
  // One row reads memory as fast as it comes, which long chunks are good for; several rows compute, and share out evenly.
  const int64_t chunks = pass_.n < 4 ? 4 : 16, each = columns / (chunks * team_.size());
  return std::max(tile, each / tile * tile);
}

void PlainPass::columns(const Target& target, const float* x, int64_t begin, int64_t end, int index) {
  Scratch& own = scratch_[static_cast<size_t>(index)];
  const nn::RowProduct& product = *target.layer->product;
  if (target.rounded == nullptr && own.preparation != product.preparation()) {
    product.prepare(x, pass_.n, own.rounded);
    own.preparation = product.preparation();
  }
  product.multiply(x, pass_.n, target.rounded == nullptr ? own.rounded : *target.rounded, begin, end, target.to);
  const std::vector<float>& bias = target.layer->bias;
  if (bias.empty()) return;
  for (int64_t r = 0; r < pass_.n; ++r) {
    for (int64_t o = begin; o < end; ++o) target.to[r * product.out() + o] += bias[static_cast<size_t>(o)];
  }
}

/// All columns of the layers, in one phase.
void PlainPass::multiply(std::span<const Target> targets, const float* x, int index) {
  nn::Shares& shares = shares_[phase_[static_cast<size_t>(index)]++];
  scratch_[static_cast<size_t>(index)].preparation = 0;
  int64_t total = 0;
  for (const Target& target : targets) total += target.layer->product->out();
  const int64_t chunk = chunk_of(total);
  int64_t task = shares.take(1), before = 0;
  for (const Target& target : targets) {
    const int64_t out = target.layer->product->out(), count = (out + chunk - 1) / chunk;
    for (; task < before + count; task = shares.take(1))
      columns(target, x, (task - before) * chunk, std::min(out, (task - before + 1) * chunk), index);
    before += count;
  }
}

/// act(gate) * up, in the place of gate.
void PlainPass::multiply_gated(const Target& gate, const Target& up, const float* x, int index) {
  nn::Shares& shares = shares_[phase_[static_cast<size_t>(index)]++];
  Scratch& own = scratch_[static_cast<size_t>(index)];
  own.preparation = 0;
  const int64_t out = gate.layer->product->out(), chunk = chunk_of(out);
  own.other.resize(static_cast<size_t>(chunk));
  for (int64_t begin = shares.take(1) * chunk; begin < out; begin = shares.take(1) * chunk) {
    const int64_t end = std::min(out, begin + chunk);
    columns(gate, x, begin, end, index);
    columns(up, x, begin, end, index);
    for (int64_t r = 0; r < pass_.n; ++r) {
      float* const to = gate.to + r * out + begin;
      if (model_->config.gelu) loops::gated_gelu(to, up.to + r * out + begin, end - begin, own.other.data());
      else loops::gated_silu(to, up.to + r * out + begin, end - begin, own.other.data());
      std::memcpy(to, own.other.data(), static_cast<size_t>(end - begin) * sizeof(float));
    }
  }
}

/// The queries or keys of a position, normed in place: all together, or each head by itself where the norm is as wide as one.
void PlainPass::norm_heads(float* x, const Norm& norm, int64_t heads, std::vector<float>& room) const {
  if (norm.empty()) return;
  const LmConfig& c = model_->config;
  const int64_t width = std::ssize(norm), all = heads * c.head_dim;
  for (int64_t at = 0; at < all; at += width)
    loops::rms_row(x + at, norm.data(), 0, static_cast<float>(c.norm_eps), width, room.data() + at);
  std::memcpy(x, room.data(), static_cast<size_t>(all) * sizeof(float));
}

/// As DecoderLm turns a head, if the block turns any.
void PlainPass::turn_head(size_t layer, int64_t position, const float* from, float* to) const {
  const LmConfig& c = model_->config;
  const int64_t turned = c.rotated(layer) ? c.turned() : 0, half = turned / 2;
  if (turned > 0) {
    const bool own = c.windowed(layer) && present(pass_.window_rope.cos);
    const nn::Rope1d& rope = own ? pass_.window_rope : pass_.rope;
    loops::rotate_head(from, rope.cos.const_data_ptr<float>() + position * half,
                       rope.sin.const_data_ptr<float>() + position * half, 1, half, to);
  }
  std::copy(from + turned, from + c.head_dim, to + turned);
}

/// Queries and keys are normed where they have norms; keys are turned and written with their values.
void PlainPass::write_keys(size_t layer, int index) {
  const LmConfig& c = model_->config;
  const BlockLayers& block = blocks_[layer];
  Scratch& own = scratch_[static_cast<size_t>(index)];
  own.head.resize(static_cast<size_t>(std::max(c.heads, c.kv_heads) * c.head_dim));
  nn::Shares& shares = shares_[phase_[static_cast<size_t>(index)]++];
  const int64_t keys = c.kv_heads * c.head_dim, queries = c.heads * c.head_dim;
  for (int64_t r = shares.take(1); r < pass_.n; r = shares.take(1)) {
    float *q = q_.data() + r * queries, *k = k_.data() + r * keys;
    norm_heads(q, block.q_norm, c.heads, own.head);
    norm_heads(k, block.k_norm, c.kv_heads, own.head);
    const int64_t at = (*pass_.indexes)[static_cast<size_t>(r)];
    for (int64_t g = 0; g < c.kv_heads; ++g) {
      turn_head(layer, at, k + g * c.head_dim, own.head.data());
      pass_.cache->write_head(layer, pass_.places[static_cast<size_t>(r)], g, own.head.data(),
                              v_.data() + r * keys + g * c.head_dim);
    }
  }
}

/// A head's query, turned and scaled.
void PlainPass::turn_query(size_t layer, int64_t row, int64_t head, float* to) const {
  const LmConfig& c = model_->config;
  turn_head(layer, (*pass_.indexes)[static_cast<size_t>(row)], q_.data() + (row * c.heads + head) * c.head_dim, to);
  const auto scale = static_cast<float>(c.softmax_scale());
  for (int64_t i = 0; i < c.head_dim; ++i) to[i] *= scale;
}

/// A share is one position with the heads of one group; with few of those, a single head.
void PlainPass::attend(size_t layer, int index) {
  const LmConfig& c = model_->config;
  Scratch& own = scratch_[static_cast<size_t>(index)];
  nn::Shares& shares = shares_[phase_[static_cast<size_t>(index)]++];
  const int64_t group = c.heads / c.kv_heads;
  const bool by_head = pass_.n * c.kv_heads < 2 * team_.size();
  const int64_t each = by_head ? 1 : group, parts = c.heads / each;
  const bool windowed = c.windowed(layer);
  own.head.resize(static_cast<size_t>(std::max(c.heads, c.kv_heads) * c.head_dim));
  for (int64_t task = shares.take(1); task < pass_.n * parts; task = shares.take(1)) {
    const int64_t r = task / parts, first = task % parts * each;  // of the query heads
    const nn::BlockCache::Place& place = pass_.places[static_cast<size_t>(r)];
    for (int64_t h = 0; h < each; ++h) turn_query(layer, r, first + h, own.head.data() + h * c.head_dim);
    pass_.cache->attend_head(layer, place, first / group,
                             {.q = own.head.data(),
                              .heads = each,
                              .head_dim = c.head_dim,
                              .begin = windowed ? std::max<int64_t>(0, place.index + 1 - *c.window) : 0,
                              .end = place.index + 1,
                              .cap = static_cast<float>(c.attention_cap.value_or(0)),
                              .out = attended_.data() + (r * c.heads + first) * c.head_dim},
                             own.views, own.scores);
  }
}

/// x += from, normed first where the model has a norm there.
void PlainPass::add_to_stream(const Norm& after, const std::vector<float>& from, int index) {
  const LmConfig& c = model_->config;
  Scratch& own = scratch_[static_cast<size_t>(index)];
  nn::Shares& shares = shares_[phase_[static_cast<size_t>(index)]++];
  for (int64_t r = shares.take(1); r < pass_.n; r = shares.take(1)) add_row(after, from.data() + r * c.width, r, own);
}

void PlainPass::add_row(const Norm& after, const float* add, int64_t row, Scratch& own) {
  const LmConfig& c = model_->config;
  if (!after.empty()) {
    own.other.resize(static_cast<size_t>(c.width));
    loops::rms_row(add, after.data(), 0, static_cast<float>(c.norm_eps), c.width, own.other.data());
    add = own.other.data();
  }
  float* const x = x_.data() + row * c.width;
  for (int64_t i = 0; i < c.width; ++i) x[i] += add[i];
}

}  // namespace tessera::lm
