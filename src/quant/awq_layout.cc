// Turning words of eight outputs into rows of input pairs and back. Blocks of 16 words keep both sides in the cache.
#include <array>

#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>

#include "quant/stored_form.h"

namespace tessera::quant {

namespace {

constexpr std::array<int, 8> output_of_nibble{0, 2, 4, 6, 1, 3, 5, 7};
constexpr int64_t block = 16;  // words: one cache line

/// Calls body(first, last) for blocks of the words of a row.
template <class F> void over_words(int64_t words, F body) {
  at::parallel_for(0, (words + block - 1) / block, 4, [&](int64_t begin, int64_t end) {
    for (int64_t b = begin; b < end; ++b) body(b * block, std::min(words, (b + 1) * block));
  });
}

/// [rows, words] -> [8 words, rows], one number a byte, on the CPU.
Tensor bytes_of(const Tensor& stored) {
  const Tensor source = stored.cpu().contiguous();
  const int64_t rows = source.size(0), words = source.size(1);
  const Tensor out = at::empty({words * 8, rows}, source.options().dtype(at::kByte));
  const int32_t* from = source.const_data_ptr<int32_t>();
  auto* to = out.mutable_data_ptr<uint8_t>();
  over_words(words, [&](int64_t first, int64_t last) {
    for (int64_t i = 0; i < rows; ++i) {
      for (int64_t c = first; c < last; ++c) {
        const auto word = static_cast<uint32_t>(from[i * words + c]);
        for (int n = 0; n < 8; ++n) to[(c * 8 + output_of_nibble[n]) * rows + i] = word >> (4 * n) & 15;
      }
    }
  });
  return out;
}

/// The inverse: [8 words, rows] bytes -> [rows, words], on the CPU.
Tensor words_of(const Tensor& numbers) {
  const Tensor source = numbers.cpu().contiguous();
  const int64_t words = source.size(0) / 8, rows = source.size(1);
  const Tensor out = at::empty({rows, words}, source.options().dtype(at::kInt));
  const auto* from = source.const_data_ptr<uint8_t>();
  int32_t* to = out.mutable_data_ptr<int32_t>();
  over_words(words, [&](int64_t first, int64_t last) {
    for (int64_t i = 0; i < rows; ++i) {
      for (int64_t c = first; c < last; ++c) {
        uint32_t word = 0;
        for (int n = 0; n < 8; ++n) word |= uint32_t{from[(c * 8 + output_of_nibble[n]) * rows + i]} << (4 * n);
        to[i * words + c] = static_cast<int32_t>(word);
      }
    }
  });
  return out;
}

}  // namespace

AwqTensors to_awq(const nn::Int4Weight& weight) {
  return {.qweight = words_of(nn::unpacked_nibbles(weight.packed)),
          .qzeros = words_of(weight.zeros),
          .scales = weight.scales.t().to(at::kHalf).contiguous()};
}

nn::Int4Weight from_awq(const AwqTensors& stored, int64_t group) {
  return {.packed = nn::packed_nibbles(bytes_of(stored.qweight)),
          .scales = stored.scales.t().to(at::kFloat).contiguous(),
          .zeros = bytes_of(stored.qzeros),
          .group = group};
}

}  // namespace tessera::quant
