// A long piece of one row on plain memory. What a phase reads whole (rounded inputs) is made once, by whoever takes its rows, and
// passed over to the next phase at a barrier; results depend neither on who took what nor on how many threads there are.
#include <algorithm>
#include <cstring>

#include <ATen/ops/empty.h>

#include "models/lm/text/plain_pass.h"
#include "nn/kernels/token_loops.h"

namespace tessera::lm {

namespace {
constexpr int64_t rows_of_a_share = 8;      // of norms and rounding
constexpr int64_t queries_of_a_tile = 128;  // with all heads of a group: a span's keys are transposed once for so many
}  // namespace

/// The first of the layers whose product makes the same of its inputs as that of layer `index`.
size_t PlainPass::Inputs::maker(size_t index) const {
  size_t first = 0;
  while (layers[first]->product->preparation() != layers[index]->product->preparation()) ++first;
  return first;
}

Tensor PlainPass::run_long(const Tensor& embeddings, const std::vector<int64_t>& indexes, nn::BlockCache& cache) {
  begin(embeddings, indexes, cache);
  const Tensor hidden = at::empty({pass_.n, model_->config.width}, at::kFloat);
  pass_.hidden = hidden.mutable_data_ptr<float>();
  if (normed_.size() < x_.size()) normed_.resize(x_.size());
  if (!blocks_.empty()) make_room(for_qkv_, {&blocks_[0].q, &blocks_[0].k, &blocks_[0].v});
  team_.run([this](int index) { work_long(index); });
  return hidden;
}

void PlainPass::work_long(int index) {
  if (blocks_.empty()) return norm_shares(nullptr, last_norm_, nullptr, pass_.hidden, index);
  norm_shares(nullptr, blocks_[0].before_attention, &for_qkv_, normed_.data(), index);
  team_.barrier();
  for (size_t layer = 0; layer < blocks_.size(); ++layer) run_long_block(layer, index);
}

/// As run_block(), from rounded inputs of the attention to those of the next block's; after the last block, the last norm.
void PlainPass::run_long_block(size_t layer, int index) {
  const BlockLayers& block = blocks_[layer];
  const BlockLayers* const next = layer + 1 < blocks_.size() ? &blocks_[layer + 1] : nullptr;
  const auto target = [](const Inputs& inputs, size_t i, std::vector<float>& to) {
    return Target{inputs.layers[i], to.data(), &inputs.rounded[inputs.maker(i)]};
  };
  multiply(std::array{target(for_qkv_, 0, q_), target(for_qkv_, 1, k_), target(for_qkv_, 2, v_)}, normed_.data(),
           index);
  team_.barrier();
  if (index == 0) {  // what was rounded for the phases to come is read by nobody any more
    make_room(for_o_, {&block.o});
    make_room(for_gate_up_, {&block.gate, &block.up});
    make_room(for_down_, {&block.down});
    if (next != nullptr) make_room(for_qkv_, {&next->q, &next->k, &next->v});
  }
  write_keys(layer, index);
  team_.barrier();
  attend_long(layer, index);
  team_.barrier();
  round_shares(for_o_, attended_, index);
  team_.barrier();
  multiply(std::array{target(for_o_, 0, sums_)}, attended_.data(), index);
  team_.barrier();
  norm_shares(&block.after_attention, block.before_mlp, &for_gate_up_, normed_.data(), index);
  team_.barrier();
  multiply_gated_long(target(for_gate_up_, 0, gate_), target(for_gate_up_, 1, up_), index);
  team_.barrier();
  multiply(std::array{target(for_down_, 0, sums_)}, gate_.data(), index);
  team_.barrier();
  if (next != nullptr) norm_shares(&block.after_mlp, next->before_attention, &for_qkv_, normed_.data(), index);
  else norm_shares(&block.after_mlp, last_norm_, nullptr, pass_.hidden, index);
  team_.barrier();
}

void PlainPass::make_room(Inputs& inputs, std::initializer_list<const Layer*> layers) {
  inputs.layers = {};
  std::ranges::copy(layers, inputs.layers.begin());
  for (size_t i = 0; i < layers.size(); ++i) {
    if (inputs.maker(i) == i) inputs.layers[i]->product->make_room(pass_.n, inputs.rounded[i]);
  }
}

/// Rounds a part for each of the layers.
void PlainPass::round(Inputs& inputs, const nn::blocks::Part& part) const {
  for (size_t i = 0; i < inputs.layers.size() && inputs.layers[i] != nullptr; ++i) {
    if (inputs.maker(i) == i) inputs.layers[i]->product->round(part, inputs.rounded[i]);
  }
}

/// Rows of x, for each of the layers.
void PlainPass::round_shares(Inputs& inputs, const std::vector<float>& x, int index) {
  nn::Shares& shares = next_shares(index);
  const int64_t in = inputs.layers[0]->product->in();
  for (int64_t r = shares.take(rows_of_a_share); r < pass_.n; r = shares.take(rows_of_a_share)) {
    const int64_t end = std::min(pass_.n, r + rows_of_a_share);
    round(inputs, {.x = x.data() + r * in, .stride = in, .begin = r, .end = end, .first = 0, .last = in});
  }
}

/// act(gate) * up, rounded for the layer that follows as soon as columns are there.
void PlainPass::multiply_gated_long(const Target& gate, const Target& up, int index) {
  constexpr int64_t step = 32;  // inputs that are rounded together, at most
  Scratch& own = scratch_[static_cast<size_t>(index)];
  nn::Shares& shares = next_shares(index);
  const int64_t out = gate.layer->product->out(), chunk = (chunk_of(out) + step - 1) / step * step;
  own.other.resize(static_cast<size_t>(rows_of_a_share * chunk));
  for (int64_t first = shares.take(1) * chunk; first < out; first = shares.take(1) * chunk) {
    const int64_t last = std::min(out, first + chunk);
    columns(gate, normed_.data(), first, last, index);
    columns(up, normed_.data(), first, last, index);
    for (int64_t begin = 0; begin < pass_.n; begin += rows_of_a_share) {
      const int64_t end = std::min(pass_.n, begin + rows_of_a_share);
      for (int64_t r = begin; r < end; ++r) {
        const float *g = gate.to + r * out + first, *u = up.to + r * out + first;
        float* const to = own.other.data() + (r - begin) * chunk;
        if (model_->config.gelu) nn::loops::gated_gelu(g, u, last - first, to);
        else nn::loops::gated_silu(g, u, last - first, to);
      }
      round(for_down_,
            {.x = own.other.data(), .stride = chunk, .begin = begin, .end = end, .first = first, .last = last});
    }
  }
}

/// x += sums where there is a norm `after` the layer (an empty one leaves the sums as they are), then to = norm(x), rounded for `inputs`.
void PlainPass::norm_shares(const Norm* after, const Norm& before, Inputs* inputs, float* to, int index) {
  const int64_t width = model_->config.width;
  const auto eps = static_cast<float>(model_->config.norm_eps);
  Scratch& own = scratch_[static_cast<size_t>(index)];
  nn::Shares& shares = next_shares(index);
  for (int64_t begin = shares.take(rows_of_a_share); begin < pass_.n; begin = shares.take(rows_of_a_share)) {
    const int64_t end = std::min(pass_.n, begin + rows_of_a_share);
    for (int64_t r = begin; r < end; ++r) {
      if (after != nullptr) add_row(*after, sums_.data() + r * width, r, own);
      const float* const x = x_.data() + r * width;
      if (before.empty()) std::memcpy(to + r * width, x, static_cast<size_t>(width) * sizeof(float));
      else nn::loops::rms_row(x, before.data(), 0, eps, width, to + r * width);
    }
    if (inputs != nullptr)
      round(*inputs, {.x = to + begin * width, .stride = width, .begin = begin, .end = end, .first = 0, .last = width});
  }
}

/// A share is a tile of positions with the heads of one group, the costliest tiles first.
void PlainPass::attend_long(size_t layer, int index) {
  const LmConfig& c = model_->config;
  Scratch& own = scratch_[static_cast<size_t>(index)];
  nn::Shares& shares = next_shares(index);
  const int64_t group = c.heads / c.kv_heads, width = c.heads * c.head_dim;
  const int64_t length = std::max<int64_t>(1, queries_of_a_tile / group);  // positions
  const int64_t tiles = (pass_.n + length - 1) / length;
  own.head.resize(static_cast<size_t>(std::max(length * group, c.kv_heads) * c.head_dim));
  for (int64_t task = shares.take(1); task < tiles * c.kv_heads; task = shares.take(1)) {
    const int64_t head = task % c.kv_heads, begin = (tiles - 1 - task / c.kv_heads) * length;
    const int64_t end = std::min(pass_.n, begin + length);
    float* to = own.head.data();
    for (int64_t r = begin; r < end; ++r) {
      for (int64_t h = 0; h < group; ++h, to += c.head_dim) turn_query(layer, r, head * group + h, to);
    }
    pass_.cache->attend_tile(layer, pass_.places[static_cast<size_t>(end - 1)], head,
                             {.q = own.head.data(),
                              .positions = end - begin,
                              .heads = group,
                              .head_dim = c.head_dim,
                              .first = pass_.places[static_cast<size_t>(begin)].index,
                              .window = c.windowed(layer) ? *c.window : 0,
                              .block_size = 0,
                              .blocks = nullptr,
                              .cap = static_cast<float>(c.attention_cap.value_or(0)),
                              .out = attended_.data() + begin * width + head * group * c.head_dim,
                              .stride = width},
                             own.views, own.scores);
  }
}

}  // namespace tessera::lm
