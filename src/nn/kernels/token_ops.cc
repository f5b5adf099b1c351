// Autograd around the loops. The gradient of a norm's weight is summed over fixed pieces of rows, so that a step gives
// the same bytes whatever the number of threads.
#include "nn/kernels/token_ops.h"

#include <ATen/Parallel.h>
#include <ATen/autocast_mode.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/rms_norm.h>
#include <ATen/ops/silu.h>
#include <ATen/ops/zeros.h>
#include <torch/csrc/autograd/custom_function.h>

#include "nn/kernels/token_loops.h"

namespace tessera::nn {

namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

constexpr int64_t piece = 64;  // rows whose part of a gradient is summed by one thread

bool is_single(const Tensor& t) { return t.scalar_type() == at::kFloat; }
bool is_bf16(const Tensor& t) { return t.scalar_type() == at::kBFloat16; }
bool runs_by_hand(const Tensor& t) { return t.device().is_cpu() && (is_single(t) || is_bf16(t)) && t.numel() > 0; }
bool autocasts() {
  return at::autocast::is_autocast_enabled(at::kCPU) && at::autocast::get_autocast_dtype(at::kCPU) == at::kBFloat16;
}
/// Rows that are worth a thread of their own: about 16k numbers.
int64_t rows_per_thread(int64_t width) { return std::max<int64_t>(1, 16384 / width); }

const float* singles(const Tensor& t) { return t.const_data_ptr<float>(); }
float* singles_out(Tensor& t) { return t.mutable_data_ptr<float>(); }
const loops::Bf16* bf16s(const Tensor& t) { return static_cast<const loops::Bf16*>(t.const_data_ptr()); }
loops::Bf16* bf16_out(Tensor& t) { return static_cast<loops::Bf16*>(t.mutable_data_ptr()); }

/// Calls `row(begin, end)` over rows, on as many threads as pay.
template <class F> void over_rows(int64_t rows, int64_t width, F row) {
  at::parallel_for(0, rows, rows_per_thread(width), row);
}

struct Normed {
  Tensor out, inverse;  // inverse [rows]: 1 / root mean square
};

Normed norm_rows(const Tensor& x, const Tensor& weight, double eps, double offset, at::ScalarType type) {
  const int64_t width = x.size(-1), rows = x.numel() / width;
  Normed n{at::empty(x.sizes(), x.options().dtype(type)), at::empty({rows}, x.options().dtype(at::kFloat))};
  const float *w = singles(weight), o = static_cast<float>(offset), e = static_cast<float>(eps);
  float* kept = singles_out(n.inverse);
  const auto run = [&](const auto* from, auto* to) {
    over_rows(rows, width, [&](int64_t begin, int64_t end) {
      for (int64_t r = begin; r < end; ++r) kept[r] = loops::rms_row(from + r * width, w, o, e, width, to + r * width);
    });
  };
  if (is_bf16(x)) run(bf16s(x), bf16_out(n.out));
  else if (is_bf16(n.out)) run(singles(x), bf16_out(n.out));
  else run(singles(x), singles_out(n.out));
  return n;
}

struct RmsNormStep : torch::autograd::Function<RmsNormStep> {
  static Tensor forward(AutogradContext* context, const Tensor& x, const Tensor& weight, double eps, double offset,
                        at::ScalarType type) {
    Normed n = norm_rows(x, weight, eps, offset, type);
    context->save_for_backward({x, weight, n.inverse});
    context->saved_data["offset"] = offset;
    return n.out;
  }

  static variable_list backward(AutogradContext* context, const variable_list& grads) {
    const variable_list saved = context->get_saved_variables();
    const Tensor &x = saved[0], &weight = saved[1], grad = grads[0].contiguous();
    const int64_t width = x.size(-1), rows = x.numel() / width, pieces = (rows + piece - 1) / piece;
    Tensor x_grad = at::empty_like(x), sums = at::zeros({pieces, width}, weight.options());
    const float *w = singles(weight), *kept = singles(saved[2]);
    const auto o = static_cast<float>(context->saved_data["offset"].toDouble());
    float* sum = singles_out(sums);
    const auto run = [&](const auto* g, const auto* from, auto* to) {
      at::parallel_for(0, pieces, 1, [&](int64_t begin, int64_t end) {
        for (int64_t r = begin * piece; r < std::min(end * piece, rows); ++r) {
          loops::rms_row_backward(g + r * width, from + r * width, kept[r], w, o, width, to + r * width,
                                  sum + r / piece * width);
        }
      });
    };
    if (is_bf16(x)) run(bf16s(grad), bf16s(x), bf16_out(x_grad));
    else if (is_bf16(grad)) run(bf16s(grad), singles(x), singles_out(x_grad));
    else run(singles(grad), singles(x), singles_out(x_grad));
    return {x_grad, sums.sum(0), Tensor(), Tensor(), Tensor()};
  }
};

/// Turns every head of `from` into `to`, both seen as [B, L, H, head_dim] with any strides but a last one of 1.
template <class T>
void turn_all(const Tensor& from, const Tensor& cos, const Tensor& sin, float direction, const Tensor& to, const T* x,
              T* y) {
  const int64_t length = from.size(1), heads = from.size(2), half = from.size(3) / 2;
  const float *c = singles(cos), *s = singles(sin);
  const int64_t batch_step = cos.size(0) == 1 ? 0 : length;
  over_rows(from.size(0) * length, heads * 2 * half, [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) {
      const int64_t b = r / length, l = r % length, angle = (b * batch_step + l) * half;
      for (int64_t h = 0; h < heads; ++h) {
        loops::rotate_head(x + b * from.stride(0) + l * from.stride(1) + h * from.stride(2), c + angle, s + angle,
                           direction, half, y + b * to.stride(0) + l * to.stride(1) + h * to.stride(2));
      }
    }
  });
}

/// `x` and the result are [B, L, H, head_dim]; the result lies in memory as [B, H, L, head_dim] when `by_head`.
Tensor turned(const Tensor& x, const Tensor& cos, const Tensor& sin, float direction, bool by_head) {
  const Tensor from = x.stride(-1) == 1 ? x : x.contiguous();
  Tensor to = by_head ? at::empty({x.size(0), x.size(2), x.size(1), x.size(3)}, x.options()).transpose(1, 2)
                      : at::empty(x.sizes(), x.options());
  if (is_bf16(x)) turn_all(from, cos, sin, direction, to, bf16s(from), bf16_out(to));
  else turn_all(from, cos, sin, direction, to, singles(from), singles_out(to));
  return to;
}

struct TurnStep : torch::autograd::Function<TurnStep> {
  static Tensor forward(AutogradContext* context, const Tensor& x, const Tensor& cos, const Tensor& sin) {
    context->save_for_backward({cos, sin});
    return turned(x, cos, sin, 1, true).transpose(1, 2);
  }
  static variable_list backward(AutogradContext* context, const variable_list& grads) {
    const variable_list saved = context->get_saved_variables();
    return {turned(grads[0].transpose(1, 2), saved[0], saved[1], -1, false), Tensor(), Tensor()};
  }
};

Tensor gated(const Tensor& gate, const Tensor& up) {
  Tensor out = at::empty_like(gate);
  const auto run = [&](const auto* g, const auto* u, auto* to) {
    // whole rows, so that the numbers of a row do not depend on how many there are
    const int64_t width = gate.size(-1);
    at::parallel_for(0, gate.numel() / std::max<int64_t>(width, 1),
                     std::max<int64_t>(1, 4096 / std::max<int64_t>(width, 1)), [&](int64_t begin, int64_t end) {
                       for (int64_t r = begin; r < end; ++r)
                         loops::gated_silu(g + r * width, u + r * width, width, to + r * width);
                     });
  };
  if (is_bf16(gate)) run(bf16s(gate), bf16s(up), bf16_out(out));
  else run(singles(gate), singles(up), singles_out(out));
  return out;
}

struct GatedSiluStep : torch::autograd::Function<GatedSiluStep> {
  static Tensor forward(AutogradContext* context, const Tensor& gate, const Tensor& up) {
    context->save_for_backward({gate, up});
    return gated(gate, up);
  }
  static variable_list backward(AutogradContext* context, const variable_list& grads) {
    const variable_list saved = context->get_saved_variables();
    const Tensor &gate = saved[0], &up = saved[1], grad = grads[0].contiguous();
    Tensor gate_grad = at::empty_like(gate), up_grad = at::empty_like(up);
    const auto run = [&](const auto* d, const auto* g, const auto* u, auto* to_g, auto* to_u) {
      at::parallel_for(0, gate.numel(), 4096, [&](int64_t begin, int64_t end) {
        loops::gated_silu_backward(d + begin, g + begin, u + begin, end - begin, to_g + begin, to_u + begin);
      });
    };
    if (is_bf16(gate)) run(bf16s(grad), bf16s(gate), bf16s(up), bf16_out(gate_grad), bf16_out(up_grad));
    else run(singles(grad), singles(gate), singles(up), singles_out(gate_grad), singles_out(up_grad));
    return {gate_grad, up_grad};
  }
};

bool on_tape(const Tensor& a, const Tensor& b) {
  return at::GradMode::is_enabled() && (a.requires_grad() || b.requires_grad());
}

}  // namespace

Tensor rms_norm(const Tensor& x, const Tensor& weight, double eps, double offset) {
  if (x.is_cuda() && offset == 0 && x.scalar_type() == weight.scalar_type())
    return at::rms_norm(x, {x.size(-1)}, weight, eps);  // one kernel, which sums in fp32
  if (!runs_by_hand(x)) return rms_norm_composed(x, weight, eps, offset);
  const at::ScalarType type = autocasts() ? at::kBFloat16 : x.scalar_type();
  const Tensor rows = x.contiguous(), by = weight.to(at::kFloat).contiguous();
  return on_tape(rows, by) ? RmsNormStep::apply(rows, by, eps, offset, type)
                           : norm_rows(rows, by, eps, offset, type).out;
}

Tensor rms_norm_composed(const Tensor& x, const Tensor& weight, double eps, double offset) {
  const Tensor by = weight.to(at::kFloat) + offset;
  return at::rms_norm(x.to(at::kFloat), {x.size(-1)}, by, eps).to(x.scalar_type());
}

Tensor rotate_halves(const Tensor& x, const Tensor& cos, const Tensor& sin) {
  if (!runs_by_hand(x)) return rotate_halves_composed(x, cos, sin);
  const Tensor c = cos.contiguous(), s = sin.contiguous();
  return on_tape(x, x) ? TurnStep::apply(x, c, s) : turned(x, c, s, 1, true).transpose(1, 2);
}

Tensor rotate_halves_composed(const Tensor& x, const Tensor& cos, const Tensor& sin) {
  const int64_t half = x.size(-1) / 2;
  const Tensor across = x.transpose(1, 2);  // [B, H, L, head_dim]
  const Tensor low = across.narrow(-1, 0, half), high = across.narrow(-1, half, half);
  const Tensor c = cos.unsqueeze(1), s = sin.unsqueeze(1);  // [B or 1, 1, L, head_dim / 2]
  return at::cat({low * c - high * s, high * c + low * s}, -1).to(x.scalar_type());
}

Tensor gated_silu(const Tensor& gate, const Tensor& up) {
  if (!runs_by_hand(gate) || gate.scalar_type() != up.scalar_type()) return gated_silu_composed(gate, up);
  const Tensor g = gate.contiguous(), u = up.contiguous();
  return on_tape(g, u) ? GatedSiluStep::apply(g, u) : gated(g, u);
}

Tensor gated_silu_composed(const Tensor& gate, const Tensor& up) { return at::silu(gate) * up; }

}  // namespace tessera::nn
