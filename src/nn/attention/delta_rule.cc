// All decays are differences of running sums of logarithms, taken only backwards in time: no exponential is above 1. The sums are in
// fp64: a head that forgets fast adds up to some thousands in a chunk, of which fp32 would leave a difference three digits.
#include "nn/attention/delta_rule.h"

#include <algorithm>
#include <limits>
#include <vector>

#include <ATen/Parallel.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/constant_pad_nd.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/linalg_solve_triangular.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/zeros.h>
#include <c10/core/impl/LocalDispatchKeySet.h>

#include "nn/kernels/delta_step.h"

namespace tessera::nn {

namespace {

constexpr double nothing = -std::numeric_limits<double>::infinity();  // the logarithm of a share of zero

/// [B, H, L, ...] -> [B, H, n, chunk, ...], with zeros behind the last position: they write nothing and keep the state.
Tensor in_chunks(const Tensor& x, int64_t chunk) {
  const int64_t missing = (chunk - x.size(2) % chunk) % chunk;
  std::vector<int64_t> pad(static_cast<size_t>(2 * (x.dim() - 2)), 0);
  pad.back() = missing;
  return at::constant_pad_nd(x, pad).unflatten(2, {-1, chunk});
}

/// What positions may see of each other and of the state, where several sequences lie in a row.
struct Seen {
  Tensor hidden;  // [B or 1, 1, n, chunk, chunk] or [chunk, chunk]: position i does not see j
  // absent where all is one sequence:
  Tensor cut_off;    // [B or 1, 1, n, chunk]: position i does not see the state before the chunk
  Tensor forgotten;  // [B or 1, 1, n, chunk]: nothing of position j is in the state after it
  Tensor renewed;    // [B or 1, 1, n]: nor of the state before it
};

Seen seen_by(const Tensor& since, int64_t chunk, int64_t chunks, at::Device device) {
  const at::TensorOptions whole = at::TensorOptions(at::kLong).device(device);
  const Tensor within = at::arange(chunk, whole);
  Seen seen{.hidden = within.unsqueeze(0) > within.unsqueeze(1), .cut_off = {}, .forgotten = {}, .renewed = {}};
  if (!present(since)) return seen;
  const int64_t missing = chunk * chunks - since.size(1);
  const Tensor last = since.narrow(1, since.size(1) - 1, 1).expand({since.size(0), missing});
  const Tensor begins = at::cat({since, last}, 1).view({since.size(0), 1, chunks, chunk});
  const Tensor first = (at::arange(chunks, whole) * chunk).view({1, 1, chunks, 1});  // position of each chunk
  const Tensor ends = begins.narrow(3, chunk - 1, 1), position = first + within;
  seen.hidden = seen.hidden | (position.unsqueeze(3) < begins.unsqueeze(4));
  seen.cut_off = begins >= first;
  seen.forgotten = position < ends;
  seen.renewed = (ends >= first).squeeze(3);
  return seen;
}

/// exp(x) in fp32 of an fp64 difference, zero where `zero` is true.
Tensor share(const Tensor& logarithm, const Tensor& zero) {
  const Tensor narrow = logarithm.to(at::kFloat);
  return (present(zero) ? narrow.masked_fill(zero, nothing) : narrow).exp();
}

DeltaResult steps_composed(const DeltaRule& in, const Tensor& before) {
  const Tensor share = in.decay.exp();
  Tensor state = before;
  std::vector<Tensor> out;
  for (int64_t t = 0; t < in.q.size(2); ++t) {
    const auto at_t = [t](const Tensor& x) { return x.select(2, t); };
    const Tensor k = at_t(in.k).unsqueeze(-1);  // [B, H, K, 1]
    state = state * at_t(share).unsqueeze(-1).unsqueeze(-1);
    const Tensor change = (at_t(in.v) - (state * k).sum(-2)) * at_t(in.beta).unsqueeze(-1);  // [B, H, V]
    state = state + k * change.unsqueeze(-2);
    out.push_back((state * at_t(in.q).unsqueeze(-1)).sum(-2));
  }
  return {at::stack(out, 2), state};
}

DeltaResult steps_by_kernel(const DeltaRule& in, const Tensor& before) {
  const Tensor q = in.q.contiguous(), k = in.k.contiguous(), v = in.v.contiguous(), beta = in.beta.contiguous(),
               share = in.decay.exp().contiguous();
  const int64_t heads = q.size(0) * q.size(1), length = q.size(2), keys = q.size(3), values = v.size(3);
  DeltaResult result{at::empty(v.sizes(), v.options()), at::empty({q.size(0), q.size(1), keys, values}, v.options())};
  const Tensor from = present(before) ? before.contiguous() : Tensor();
  const float *qs = q.const_data_ptr<float>(), *ks = k.const_data_ptr<float>(), *vs = v.const_data_ptr<float>(),
              *betas = beta.const_data_ptr<float>(), *shares = share.const_data_ptr<float>(),
              *old = present(from) ? from.const_data_ptr<float>() : nullptr;
  float *out = result.out.mutable_data_ptr<float>(), *fresh = result.state.mutable_data_ptr<float>();
  const int64_t grain = std::max<int64_t>(1, (int64_t{1} << 16) / (keys * values * length));
  at::parallel_for(0, heads, grain, [&](int64_t begin, int64_t end) {
    std::vector<float> room(static_cast<size_t>(values));
    for (int64_t h = begin; h < end; ++h) {
      float* const state = fresh + h * keys * values;
      for (int64_t t = 0; t < length; ++t) {
        const int64_t at = h * length + t;
        delta_step({.q = qs + at * keys,
                    .k = ks + at * keys,
                    .v = vs + at * values,
                    .decay = shares[at],
                    .beta = betas[at],
                    .keys = keys,
                    .values = values,
                    .from = t > 0            ? state
                            : old != nullptr ? old + h * keys * values
                                             : nullptr,
                    .to = state,
                    .out = out + at * values},
                   room.data());
      }
    }
  });
  return result;
}

}  // namespace

DeltaResult delta_rule_by_chunks(const DeltaRule& in, const Tensor& before, const Tensor& since, int64_t most) {
  const c10::impl::ExcludeDispatchKeyGuard no_autocast(c10::autocast_dispatch_keyset);
  const int64_t length = in.q.size(2), chunk = std::min(most, length), chunks = (length + chunk - 1) / chunk;
  const Tensor q = in_chunks(in.q, chunk), k = in_chunks(in.k, chunk), v = in_chunks(in.v, chunk),
               beta = in_chunks(in.beta, chunk).unsqueeze(-1);
  const Tensor sum = in_chunks(in.decay, chunk).to(at::kDouble).cumsum(-1);  // [B, H, n, chunk]
  const Seen seen = seen_by(since, chunk, chunks, q.device());
  const Tensor between = share(sum.unsqueeze(-1) - sum.unsqueeze(-2), seen.hidden);  // from j to i
  const Tensor since_start = share(sum, seen.cut_off).unsqueeze(-1);
  const Tensor to_end = share(sum.narrow(-1, chunk - 1, 1) - sum, seen.forgotten).unsqueeze(-1);
  const Tensor kept = share(sum.select(-1, chunk - 1), seen.renewed).unsqueeze(-1).unsqueeze(-1);  // [B, H, n, 1, 1]

  // (I + strictly lower part of beta K K^T with its decays) applied to what is written is what would be written if no position of the
  // chunk had written before it. The diagonal counts as ones, what is above it is not read.
  const Tensor system = at::matmul(k * beta, k.transpose(-1, -2)) * between;
  const auto solved = [&](const Tensor& right) {
    return at::linalg_solve_triangular(system, right, /*upper=*/false, /*left=*/true, /*unitriangular=*/true);
  };
  const Tensor values = solved(v * beta), keys = solved(k * beta * since_start);  // U [.., chunk, V], W [.., chunk, K]
  const Tensor reads = at::matmul(q, k.transpose(-1, -2)) * between, queries = q * since_start,
               writes = (k * to_end).transpose(-1, -2);
  Tensor state = before;
  std::vector<Tensor> out;
  for (int64_t c = 0; c < chunks; ++c) {
    const auto of = [c](const Tensor& x) { return x.select(2, c); };
    Tensor written = of(values), read;
    if (present(state)) {
      written = written - at::matmul(of(keys), state);
      read = at::matmul(of(queries), state) + at::matmul(of(reads), written);
      state = of(kept) * state + at::matmul(of(writes), written);
    } else {
      read = at::matmul(of(reads), written);
      state = at::matmul(of(writes), written);
    }
    out.push_back(read);
  }
  return {at::cat(out, 2).narrow(2, 0, length), state};
}

DeltaResult delta_rule_by_steps(const DeltaRule& in, const Tensor& before) {
  const c10::impl::ExcludeDispatchKeyGuard no_autocast(c10::autocast_dispatch_keyset);
  const bool trains = at::GradMode::is_enabled() && (in.q.requires_grad() || in.v.requires_grad());
  if (in.q.is_cpu() && !trains) return steps_by_kernel(in, before);
  return steps_composed(in, present(before)
                                ? before
                                : at::zeros({in.q.size(0), in.q.size(1), in.q.size(3), in.v.size(3)}, in.q.options()));
}

}  // namespace tessera::nn
