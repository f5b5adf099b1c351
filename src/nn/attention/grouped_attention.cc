// Query heads are folded into the dimensions that ATen's kernels broadcast or batch over; what is folded where depends
// on the mask, because a mask must follow the fold.
#include "nn/attention/grouped_attention.h"

#include <ATen/ops/full.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/scaled_dot_product_attention.h>

#include <limits>

namespace tessera::nn {

namespace {

/// [B, H, L, head_dim] -> [B, L, H * head_dim].
Tensor side_by_side(const Tensor& heads) { return heads.transpose(1, 2).flatten(2); }

/// On cards a mask in another format than the queries' gives NaN instead of an error.
Tensor sdpa(const Tensor& q, const Tensor& k, const Tensor& v, const GroupedOptions& options, bool causal) {
  std::optional<Tensor> mask;
  if (present(options.mask)) mask = q.is_cpu() ? options.mask : options.mask.to(q.scalar_type());
  return at::scaled_dot_product_attention(q, k, v, mask, 0.0, causal, options.scale);
}

/// Additive [L, S] mask of the last L of S positions.
Tensor causal_mask(int64_t length, int64_t total, at::Device device) {
  return at::full({length, total}, -std::numeric_limits<double>::infinity(),
                  at::TensorOptions(at::kFloat).device(device))
      .triu(total - length + 1);
}

/// Written out, because the fused kernels know no caps.
Tensor attend_capped(const Tensor& q, const Tensor& k, const Tensor& v, const GroupedOptions& options) {
  const int64_t groups = k.size(1), length = q.size(2), total = k.size(2);
  const Tensor folded = q.unflatten(1, {groups, q.size(1) / groups});                     // [B, G, H / G, L, head_dim]
  Tensor scores = at::matmul(folded.flatten(2, 3), k.transpose(-1, -2)) * options.scale;  // [B, G, H / G * L, S]
  scores = (scores / *options.cap).tanh() * *options.cap;
  scores = scores.unflatten(2, {-1, length}).to(at::kFloat);
  if (present(options.mask)) scores = scores + options.mask.unsqueeze(1);
  else if (length > 1) scores = scores + causal_mask(length, total, q.device());
  const Tensor weights = scores.softmax(-1).to(v.scalar_type()).flatten(2, 3);
  return side_by_side(at::matmul(weights, v).unflatten(2, {-1, length}).flatten(1, 2));
}

/// One query position: the heads of a group are rows of one query matrix, which share the mask's only row.
Tensor attend_one(const Tensor& q, const Tensor& k, const Tensor& v, const GroupedOptions& options) {
  const Tensor rows = q.view({q.size(0), k.size(1), -1, q.size(3)});  // [B, G, H / G, head_dim]
  return sdpa(rows, k, v, options, false).flatten(1).unsqueeze(1);
}

/// Groups become the batch; the heads of a group see the same keys through a stride of 0.
Tensor attend_shared(const Tensor& q, const Tensor& k, const Tensor& v, const GroupedOptions& options) {
  const int64_t batch = q.size(0), groups = k.size(1), each = q.size(1) / groups;
  const auto shared = [&](const Tensor& x) { return x.flatten(0, 1).unsqueeze(1).expand({-1, each, -1, -1}); };
  const Tensor folded = q.unflatten(1, {groups, each}).flatten(0, 1);  // [B * G, H / G, L, head_dim]
  const Tensor out = sdpa(folded, shared(k), shared(v), options, !present(options.mask));
  return side_by_side(out.unflatten(0, {batch, groups}).flatten(1, 2));
}

Tensor repeated(const Tensor& x, int64_t each) { return x.unsqueeze(2).expand({-1, -1, each, -1, -1}).flatten(1, 2); }

}  // namespace

Tensor attend_grouped(const Tensor& q, const Tensor& k, const Tensor& v, const GroupedOptions& options) {
  if (options.cap) return attend_capped(q, k, v, options);
  const int64_t each = q.size(1) / k.size(1);
  if (q.size(2) == 1) return attend_one(q, k, v, options);
  if (each == 1) return side_by_side(sdpa(q, k, v, options, !present(options.mask)));
  if (!present(options.mask) || options.mask.size(0) == 1) return attend_shared(q, k, v, options);
  return side_by_side(sdpa(q, repeated(k, each), repeated(v, each), options, false));
}

}  // namespace tessera::nn
