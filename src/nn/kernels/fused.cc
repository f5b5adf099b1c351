// Autograd around the loops. Gradients that sum over positions are summed within one picture by one thread, so that a
// step gives the same bytes for any number of threads.
#include "nn/kernels/fused.h"

#include <ATen/Parallel.h>
#include <ATen/autocast_mode.h>
#include <ATen/ops/addcmul.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/layer_norm.h>
#include <ATen/ops/linalg_vector_norm.h>
#include <ATen/ops/zeros.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>
#include <initializer_list>

#include "nn/kernels/fused_loops.h"

namespace tessera::nn {

namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

/// The loops read fp32. Under autocast the results of products are bf16, and are widened for them.
bool runs_by_hand(std::initializer_list<Tensor> all) {
  const bool autocasts = at::autocast::is_autocast_enabled(at::kCPU);
  return std::ranges::all_of(all, [&](const Tensor& t) {
    return t.device().is_cpu() && (t.scalar_type() == at::kFloat || (autocasts && t.scalar_type() == at::kBFloat16));
  });
}
Tensor wide(const Tensor& t) { return t.to(at::kFloat).contiguous(); }

/// Rows that are worth a thread of their own: about 16k numbers.
int64_t grain(int64_t width) { return std::max<int64_t>(1, 16384 / width); }

/// x / max(|x|, 1e-12) over the last dimension.
Tensor l2_normalised(const Tensor& x) {
  return x / at::linalg_vector_norm(x, 2, at::IntArrayRef{-1}, /*keepdim=*/true).clamp_min(1e-12);
}

/// Sizes of a fused projection.
struct QkvShape {
  int64_t batch, length, heads, head_dim;
  explicit QkvShape(const Tensor& qkv, const Tensor& scale)
      : batch(qkv.size(0)), length(qkv.size(1)), heads(scale.numel()), head_dim(qkv.size(2) / (3 * scale.numel())) {}
  int64_t row() const { return heads * head_dim; }
};

/// q, k and v [B, L, H, head_dim] from qkv [B, L, 3C].
class CosineHeads : public torch::autograd::Function<CosineHeads> {
 public:
  static variable_list forward(AutogradContext* context, const Tensor& qkv, const Tensor& scale, const Tensor& cos,
                               const Tensor& sin) {
    const QkvShape s(qkv, scale);
    variable_list out;
    for (int i = 0; i < 3; ++i) out.push_back(at::empty({s.batch, s.length, s.heads, s.head_dim}, qkv.options()));
    Tensor inverse = at::empty({s.batch, s.length, 2, s.heads}, qkv.options());
    const float *x = qkv.const_data_ptr<float>(), *by = scale.const_data_ptr<float>();
    const float *c = cos.const_data_ptr<float>(), *n = sin.const_data_ptr<float>();
    float *q = out[0].mutable_data_ptr<float>(), *k = out[1].mutable_data_ptr<float>(),
          *v = out[2].mutable_data_ptr<float>();
    float* kept = inverse.mutable_data_ptr<float>();
    const int64_t row = s.row(), pairs = s.head_dim / 2;
    at::parallel_for(0, s.batch * s.length, grain(3 * row), [&](int64_t begin, int64_t end) {
      for (int64_t r = begin; r < end; ++r) {
        const float *from = x + r * 3 * row, *turn_c = c + (r % s.length) * pairs, *turn_s = n + (r % s.length) * pairs;
        for (int64_t h = 0; h < s.heads; ++h) {
          const int64_t at = h * s.head_dim;
          kept[r * 2 * s.heads + h] =
              loops::normalise_and_rotate(from + at, turn_c, turn_s, by[h], pairs, q + r * row + at);
          kept[(r * 2 + 1) * s.heads + h] =
              loops::normalise_and_rotate(from + row + at, turn_c, turn_s, 1, pairs, k + r * row + at);
        }
        std::copy(from + 2 * row, from + 3 * row, v + r * row);
      }
    });
    context->save_for_backward({qkv, scale, cos, sin, inverse});
    return out;
  }

  static variable_list backward(AutogradContext* context, variable_list grads) {
    const variable_list saved = context->get_saved_variables();
    const Tensor &qkv = saved[0], &scale = saved[1];
    const QkvShape s(qkv, scale);
    for (Tensor& g : grads)
      g = g.defined() ? g.contiguous() : at::zeros({s.batch, s.length, s.heads, s.head_dim}, qkv.options());
    Tensor qkv_grad = at::empty_like(qkv), scale_grad = at::zeros({s.batch, s.heads}, qkv.options());
    const float *x = qkv.const_data_ptr<float>(), *by = scale.const_data_ptr<float>(),
                *kept = saved[4].const_data_ptr<float>();
    const float *c = saved[2].const_data_ptr<float>(), *n = saved[3].const_data_ptr<float>();
    const float *gq = grads[0].const_data_ptr<float>(), *gk = grads[1].const_data_ptr<float>(),
                *gv = grads[2].const_data_ptr<float>();
    float *to = qkv_grad.mutable_data_ptr<float>(), *sum = scale_grad.mutable_data_ptr<float>();
    const int64_t row = s.row(), pairs = s.head_dim / 2;
    at::parallel_for(0, s.batch, 1, [&](int64_t begin, int64_t end) {
      for (int64_t r = begin * s.length; r < end * s.length; ++r) {
        const float *from = x + r * 3 * row, *turn_c = c + (r % s.length) * pairs, *turn_s = n + (r % s.length) * pairs;
        float *out = to + r * 3 * row, *scale_sum = sum + r / s.length * s.heads, unused = 0;
        for (int64_t h = 0; h < s.heads; ++h) {
          const int64_t at = h * s.head_dim;
          loops::normalise_and_rotate_backward(gq + r * row + at, from + at, kept[r * 2 * s.heads + h], turn_c, turn_s,
                                               by[h], pairs, out + at, scale_sum + h);
          loops::normalise_and_rotate_backward(gk + r * row + at, from + row + at, kept[(r * 2 + 1) * s.heads + h],
                                               turn_c, turn_s, 1, pairs, out + row + at, &unused);
        }
        std::copy(gv + r * row, gv + (r + 1) * row, out + 2 * row);
      }
    });
    return {qkv_grad, scale_grad.sum(0), Tensor(), Tensor()};
  }
};

class ModulatedNorm : public torch::autograd::Function<ModulatedNorm> {
 public:
  static Tensor forward(AutogradContext* context, const Tensor& x, const Tensor& scale, const Tensor& shift,
                        double eps) {
    const int64_t length = x.size(1), width = x.size(2), rows = x.size(0) * length;
    Tensor out = at::empty_like(x), moments = at::empty({rows, 2}, x.options());
    const float *from = x.const_data_ptr<float>(), *by = scale.const_data_ptr<float>(),
                *plus = shift.const_data_ptr<float>();
    float* to = out.mutable_data_ptr<float>();
    auto* kept = reinterpret_cast<loops::Moments*>(moments.mutable_data_ptr<float>());
    at::parallel_for(0, rows, grain(width), [&](int64_t begin, int64_t end) {
      for (int64_t r = begin; r < end; ++r) {
        const int64_t picture = r / length * width;
        kept[r] = loops::modulate_row(from + r * width, by + picture, plus + picture, static_cast<float>(eps), width,
                                      to + r * width);
      }
    });
    context->save_for_backward({x, scale, moments});
    return out;
  }

  static variable_list backward(AutogradContext* context, const variable_list& grads) {
    const variable_list saved = context->get_saved_variables();
    const Tensor &x = saved[0], &scale = saved[1], grad = grads[0].contiguous();
    const int64_t length = x.size(1), width = x.size(2);
    Tensor x_grad = at::empty_like(x), scale_grad = at::zeros(scale.sizes(), x.options()),
           shift_grad = at::zeros(scale.sizes(), x.options());
    const float *g = grad.const_data_ptr<float>(), *from = x.const_data_ptr<float>(),
                *by = scale.const_data_ptr<float>();
    const auto* kept = reinterpret_cast<const loops::Moments*>(saved[2].const_data_ptr<float>());
    float *to = x_grad.mutable_data_ptr<float>(), *to_scale = scale_grad.mutable_data_ptr<float>(),
          *to_shift = shift_grad.mutable_data_ptr<float>();
    at::parallel_for(0, x.size(0), 1, [&](int64_t begin, int64_t end) {
      for (int64_t r = begin * length; r < end * length; ++r) {
        const int64_t picture = r / length * width;
        loops::modulate_row_backward(g + r * width, from + r * width, kept[r], by + picture, width, to + r * width,
                                     to_scale + picture, to_shift + picture);
      }
    });
    return {x_grad, scale_grad, shift_grad, Tensor()};
  }
};

class GatedAdd : public torch::autograd::Function<GatedAdd> {
 public:
  static Tensor forward(AutogradContext* context, const Tensor& x, const Tensor& gate, const Tensor& y) {
    const int64_t length = x.size(1), width = x.size(2);
    Tensor out = at::empty_like(x);
    const float *from = x.const_data_ptr<float>(), *by = gate.const_data_ptr<float>(),
                *plus = y.const_data_ptr<float>();
    float* to = out.mutable_data_ptr<float>();
    at::parallel_for(0, x.size(0) * length, grain(width), [&](int64_t begin, int64_t end) {
      for (int64_t r = begin; r < end; ++r)
        loops::gate_row(from + r * width, by + r / length * width, plus + r * width, width, to + r * width);
    });
    context->save_for_backward({gate, y});
    return out;
  }

  static variable_list backward(AutogradContext* context, const variable_list& grads) {
    const variable_list saved = context->get_saved_variables();
    const Tensor &gate = saved[0], &y = saved[1], grad = grads[0].contiguous();
    const int64_t length = y.size(1), width = y.size(2);
    Tensor y_grad = at::empty_like(y), gate_grad = at::zeros(gate.sizes(), y.options());
    const float *g = grad.const_data_ptr<float>(), *by = gate.const_data_ptr<float>(), *of = y.const_data_ptr<float>();
    float *to = y_grad.mutable_data_ptr<float>(), *to_gate = gate_grad.mutable_data_ptr<float>();
    at::parallel_for(0, y.size(0), 1, [&](int64_t begin, int64_t end) {
      for (int64_t r = begin * length; r < end * length; ++r) {
        const int64_t picture = r / length * width;
        loops::gate_row_backward(g + r * width, by + picture, of + r * width, width, to + r * width, to_gate + picture);
      }
    });
    return {grad, gate_grad, y_grad};
  }
};

}  // namespace

Heads cosine_heads(const Tensor& qkv, const Tensor& scale, const Rope2d& rope) {
  if (!runs_by_hand({qkv, scale})) return cosine_heads_composed(qkv, scale, rope);
  const variable_list out = CosineHeads::apply(wide(qkv), wide(scale), rope.cos.contiguous(), rope.sin.contiguous());
  return {out[0].transpose(1, 2), out[1].transpose(1, 2), out[2].transpose(1, 2)};
}

Heads cosine_heads_composed(const Tensor& qkv, const Tensor& scale, const Rope2d& rope) {
  const QkvShape s(qkv, scale);
  const Tensor split = qkv.unflatten(-1, {3, s.heads, s.head_dim});  // [B, L, 3, H, head_dim]
  const Tensor q = rotate(l2_normalised(split.select(2, 0)) * scale.view({s.heads, 1}), rope);
  const Tensor k = rotate(l2_normalised(split.select(2, 1)), rope);
  return {q.transpose(1, 2), k.transpose(1, 2), split.select(2, 2).transpose(1, 2)};
}

Tensor modulated_norm(const Tensor& x, const Tensor& scale, const Tensor& shift, double eps) {
  if (!runs_by_hand({x, scale, shift})) return modulated_norm_composed(x, scale, shift, eps);
  return ModulatedNorm::apply(wide(x), wide(scale), wide(shift), eps);
}

Tensor modulated_norm_composed(const Tensor& x, const Tensor& scale, const Tensor& shift, double eps) {
  return at::addcmul(shift, at::layer_norm(x, {x.size(-1)}, {}, {}, eps), scale + 1);
}

Tensor gated_add(const Tensor& x, const Tensor& gate, const Tensor& y) {
  if (!runs_by_hand({x, gate, y})) return at::addcmul(x, gate, y);
  return GatedAdd::apply(wide(x), wide(gate), wide(y));
}

}  // namespace tessera::nn
