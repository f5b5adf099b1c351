// Slab k holds 8 << k blocks, so a block's slab is the highest bit of its number.
#include "nn/attention/block_storage.h"

#include <algorithm>
#include <bit>
#include <cmath>

#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>

namespace tessera::nn {

namespace {
constexpr uint32_t first_slab = 8;

/// x [G, n, head_dim] as 8-bit integers, and their scales [G, n].
std::pair<Tensor, Tensor> rounded_int8(const Tensor& x) {
  const Tensor wide = x.to(at::kFloat), scale = wide.abs().amax(-1, true).div_(127);  // [G, n, 1]
  // A position of zeros has scale 0; dividing by the smallest normal number instead keeps its integers 0.
  return {wide.div(scale.clamp_min(1.2e-38)).round_().clamp_(-127, 127).to(at::kChar), scale.squeeze(-1)};
}

/// The same for one position of one head; returns its scale.
float round_int8(const float* from, int64_t count, int8_t* to) {
  float most = 0;
  for (int64_t i = 0; i < count; ++i) most = std::max(most, std::abs(from[i]));
  const float scale = most / 127, divisor = std::max(scale, 1.2e-38f);
  for (int64_t i = 0; i < count; ++i)
    to[i] = static_cast<int8_t>(std::clamp(std::nearbyint(from[i] / divisor), -127.0f, 127.0f));
  return scale;
}
}  // namespace

std::pair<const BlockStorage::Slab*, int64_t> BlockStorage::find(int32_t block) const {
  const uint32_t number = static_cast<uint32_t>(block) + first_slab;
  const auto slab = static_cast<size_t>(std::bit_width(number) - std::bit_width(first_slab));
  TORCH_INTERNAL_ASSERT(slab < slabs_.size(), "block ", block, " was never written");
  return {&slabs_[slab], number - (first_slab << slab)};
}

std::pair<BlockStorage::Slab*, int64_t> BlockStorage::find(int32_t block, const Tensor* like) {
  const uint32_t number = static_cast<uint32_t>(block) + first_slab;
  const auto slab = static_cast<size_t>(std::bit_width(number) - std::bit_width(first_slab));
  while (like != nullptr && slabs_.size() <= slab) {
    const int64_t count = static_cast<int64_t>(first_slab) << slabs_.size(), heads = like->size(0);
    const at::TensorOptions stored = like->options().dtype(stored_.value_or(like->scalar_type()));
    Slab fresh{.keys = at::empty({count, heads, size_, like->size(2)}, stored),
               .values = at::empty({count, heads, size_, like->size(2)}, stored),
               .key_scales = {},
               .value_scales = {}};
    if (int8_) {
      fresh.key_scales = at::empty({count, heads, size_}, like->options().dtype(at::kFloat));
      fresh.value_scales = at::empty({count, heads, size_}, like->options().dtype(at::kFloat));
    }
    slabs_.push_back(std::move(fresh));
  }
  return {&slabs_.at(slab), number - (first_slab << slab)};
}

void BlockStorage::clear(int32_t block) {
  const auto [slab, index] = find(block, nullptr);
  for (Tensor* part : {&slab->keys, &slab->values, &slab->key_scales, &slab->value_scales}) {
    if (present(*part)) (*part)[index].zero_();
  }
}

void BlockStorage::write(int32_t block, int64_t at, const Tensor& k, const Tensor& v) {
  const auto [slab, index] = find(block, &k);
  const int64_t count = k.size(1);
  const auto put = [&](const Tensor& x, const Tensor& to, const Tensor& scales) {
    const Tensor room = to.select(0, index).narrow(1, at, count);
    if (!int8_) {
      room.copy_(x);
      return;
    }
    const auto [integers, scale] = rounded_int8(x);
    room.copy_(integers), scales.select(0, index).narrow(1, at, count).copy_(scale);
  };
  put(k, slab->keys, slab->key_scales), put(v, slab->values, slab->value_scales);
}

void BlockStorage::make_room(int32_t block, at::ScalarType type, int64_t heads, int64_t head_dim) {
  if (block < 0) return;
  const uint32_t number = static_cast<uint32_t>(block) + first_slab;
  if (slabs_.size() > static_cast<size_t>(std::bit_width(number) - std::bit_width(first_slab))) return;
  const Tensor like = at::empty({heads, 0, head_dim}, type);
  find(block, &like);
}

void BlockStorage::write_head(int32_t block, int64_t at, int64_t head, const float* k, const float* v) {
  const auto [slab, index] = find(block, nullptr);
  const int64_t heads = slab->keys.size(1), head_dim = slab->keys.size(3),
                position = (index * heads + head) * size_ + at;
  const auto put = [&](const float* from, const Tensor& to, const Tensor& scales) {
    if (to.scalar_type() == at::kFloat) {
      std::copy_n(from, head_dim, to.mutable_data_ptr<float>() + position * head_dim);
    } else if (to.scalar_type() == at::kBFloat16) {
      std::copy_n(from, head_dim, to.mutable_data_ptr<at::BFloat16>() + position * head_dim);
    } else {
      scales.mutable_data_ptr<float>()[position] =
          round_int8(from, head_dim, to.mutable_data_ptr<int8_t>() + position * head_dim);
    }
  };
  put(k, slab->keys, slab->key_scales);
  put(v, slab->values, slab->value_scales);
}

void BlockStorage::copy(int32_t from, int32_t to, int64_t count) {
  if (slabs_.empty() || count == 0) return;
  const Tensor like = slabs_.front().keys.select(0, 0);
  const auto [target, into] = find(to, &like);
  const auto [source, out_of] = find(from);
  const auto moved = [&, s = source, o = out_of, t = target, i = into](auto part) {
    const Tensor &a = s->*part, &b = t->*part;
    if (present(a)) b.select(0, i).narrow(1, 0, count).copy_(a.select(0, o).narrow(1, 0, count));
  };
  moved(&Slab::keys), moved(&Slab::values), moved(&Slab::key_scales), moved(&Slab::value_scales);
}

std::pair<Tensor, Tensor> BlockStorage::gathered(const std::vector<int32_t>& blocks, int64_t length,
                                                 at::ScalarType type) const {
  std::vector<Tensor> keys, values;
  for (int64_t begin = 0; begin < length; begin += size_) {
    const auto [slab, index] = find(blocks[static_cast<size_t>(begin / size_)]);
    const int64_t count = std::min(size_, length - begin);
    const auto part = [&, i = index](const Tensor& x, const Tensor& scales) {
      const Tensor own = x.select(0, i).narrow(1, 0, count);
      if (!int8_) return own.to(type);
      return (own.to(at::kFloat) * scales.select(0, i).narrow(1, 0, count).unsqueeze(-1)).to(type);
    };
    keys.push_back(part(slab->keys, slab->key_scales)), values.push_back(part(slab->values, slab->value_scales));
  }
  return {at::cat(keys, 1).unsqueeze(0), at::cat(values, 1).unsqueeze(0)};
}

blocks::Block BlockStorage::view(int32_t block, int64_t head) const {
  const auto [slab, index] = find(block);
  const int64_t heads = slab->keys.size(1), place = index * heads + head;
  const auto offset = static_cast<size_t>(place * size_ * slab->keys.size(3)) * slab->keys.element_size();
  const float *k = nullptr, *v = nullptr;
  if (int8_) {
    k = slab->key_scales.const_data_ptr<float>() + place * size_;
    v = slab->value_scales.const_data_ptr<float>() + place * size_;
  }
  return {static_cast<const char*>(slab->keys.const_data_ptr()) + offset,
          static_cast<const char*>(slab->values.const_data_ptr()) + offset, k, v};
}

blocks::Format BlockStorage::format() const {
  if (int8_) return blocks::Format::int8;
  return slabs_.front().keys.scalar_type() == at::kFloat ? blocks::Format::fp32 : blocks::Format::bf16;
}

bool BlockStorage::readable() const {
  const Tensor& keys = slabs_.front().keys;
  return keys.is_cpu() && (int8_ || keys.scalar_type() == at::kFloat || keys.scalar_type() == at::kBFloat16);
}

int64_t BlockStorage::bytes() const {
  int64_t total = 0;
  for (const Slab& slab : slabs_) {
    for (const Tensor* t : {&slab.keys, &slab.values, &slab.key_scales, &slab.value_scales}) {
      if (present(*t)) total += static_cast<int64_t>(t->nbytes());
    }
  }
  return total;
}

}  // namespace tessera::nn
