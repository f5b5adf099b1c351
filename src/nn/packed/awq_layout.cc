// Turning words of eight outputs into rows of input pairs and back, and what config.json says of such layers. Blocks of 16
// words keep both sides in the cache.
#include "nn/packed/awq_layout.h"

#include <algorithm>
#include <array>
#include <cstring>

#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>

#include "core/error.h"
#include "nn/kernels/int4_kernel.h"
#include "nn/packed/packed_format.h"

namespace tessera::nn {

namespace {

constexpr std::array<int, 8> output_of_nibble{0, 2, 4, 6, 1, 3, 5, 7};
constexpr std::array<int, 8> output_of_byte{0, 4, 1, 5, 2, 6, 3, 7};  // of the eight that eight_bytes() makes of a word
constexpr int64_t block = 16;                                         // words: one cache line

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

/// Input pairs of the eight outputs that two words hold: `even` of input 2j, `odd` of input 2j + 1.
uint64_t eight_bytes(uint32_t even, uint32_t odd) {
  constexpr uint32_t low = 0x0F0F0F0F;
  const uint32_t of_even_nibbles = (even & low) | (odd & low) << 4;
  const uint32_t of_odd_nibbles = (even >> 4 & low) | (odd & ~low);
  return of_even_nibbles | uint64_t{of_odd_nibbles} << 32;
}

/// Byte b of row r becomes byte r of row b.
void transpose(std::array<uint64_t, 8>& rows) {
  constexpr std::array<std::pair<int, uint64_t>, 3> steps{
      {{4, 0x00000000FFFFFFFF}, {2, 0x0000FFFF0000FFFF}, {1, 0x00FF00FF00FF00FF}}};
  for (const auto& [distance, mask] : steps) {
    for (int r = 0; r < 8; ++r) {
      if ((r & distance) != 0) continue;
      const uint64_t swapped = (rows[r] >> (8 * distance) ^ rows[r + distance]) & mask;
      rows[r + distance] ^= swapped;
      rows[r] ^= swapped << (8 * distance);
    }
  }
}

/// qweight [in, words] -> Int4Weight::packed [8 words, in / 2].
Tensor pairs_of(const Tensor& stored) {
  const Tensor source = stored.cpu().contiguous();
  const int64_t pairs = source.size(0) / 2, words = source.size(1);
  const Tensor out = at::empty({words * 8, pairs}, source.options().dtype(at::kByte));
  const auto* from = reinterpret_cast<const uint32_t*>(source.const_data_ptr<int32_t>());
  auto* to = out.mutable_data_ptr<uint8_t>();
  over_words(words, [&](int64_t first, int64_t last) {
    for (int64_t j = 0; j < pairs; j += 8) {
      const int64_t count = std::min<int64_t>(8, pairs - j);
      for (int64_t c = first; c < last; ++c) {
        std::array<uint64_t, 8> bytes{};
        for (int64_t r = 0; r < count; ++r) {
          const uint32_t* word = from + 2 * (j + r) * words + c;
          bytes[static_cast<size_t>(r)] = eight_bytes(word[0], word[words]);
        }
        transpose(bytes);
        for (size_t b = 0; b < 8; ++b)
          std::memcpy(to + (c * 8 + output_of_byte[b]) * pairs + j, &bytes[b], static_cast<size_t>(count));
      }
    }
  });
  return out;
}

template <class T> T setting(const Json& settings, const char* name, T otherwise) {
  const auto found = settings.find(name);
  if (found == settings.end() || found->is_null()) return otherwise;
  try {
    return found->get<T>();
  } catch (const Json::exception&) {
    throw UserError("[quant] quantization_config.{} is {}", name, found->dump());
  }
}

int64_t group_of(const Json& settings) {
  return setting<int64_t>(settings, "group_size", setting<int64_t>(settings, "q_group_size", 128));
}

class AwqFormat final : public PackedFormat {
 public:
  std::string_view method() const override { return "awq"; }

  void check(const Json& settings, std::string_view source) const override {
    auto version = setting<std::string>(settings, "version", "gemm");  // AutoAWQ writes it in small letters or capitals
    std::ranges::transform(version, version.begin(), [](char c) { return c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c; });
    const auto bits = setting<int64_t>(settings, "bits", setting<int64_t>(settings, "w_bit", 4));
    const bool zero_point = setting<bool>(settings, "zero_point", true);
    const int64_t group = group_of(settings);
    if (bits != 4 || version != "gemm" || !zero_point) {
      throw UserError("[quant] {}: weights are packed as awq {}, {} bits{}; want awq gemm, 4 bits, with zero points",
                      source, version, bits, zero_point ? "" : ", no zero points");
    }
    if (group < 8 || group % 2 != 0 || group > int4::most_group)
      throw UserError("[quant] {}: group_size is {}, want an even number from 8 to {}", source, group,
                      int4::most_group);
  }

  bool holds(const StoredLayer& layer) const override { return layer.find(".qweight") != nullptr; }

  std::vector<StoredPart> parts(const StoredLayer& layer) const override {
    if (layer.settings.is_null()) {
      throw UserError("[quant] {}: {}.qweight is stored, but config.json has no quantization_config", layer.where(),
                      layer.name);
    }
    const int64_t group = group_of(layer.settings), out = layer.out, in = layer.in;
    if (in % group != 0 || out % 8 != 0) {
      throw UserError("[quant] {}: layer {} is [{}, {}], want inputs in groups of {} and outputs in eights",
                      layer.where(), layer.name, out, in, group);
    }
    return {{".qweight", {in, out / 8}, {Dtype::i32}},
            {".qzeros", {in / group, out / 8}, {Dtype::i32}},
            {".scales", {in / group, out}, {Dtype::f16, Dtype::bf16, Dtype::f32}}};
  }

  std::shared_ptr<const PackedWeight> load(const StoredLayer& layer) const override {
    require_finite(layer, ".scales");
    return std::make_shared<Int4Weight>(from_awq({.qweight = stored_tensor(layer, ".qweight"),
                                                  .qzeros = stored_tensor(layer, ".qzeros"),
                                                  .scales = stored_tensor(layer, ".scales")},
                                                 group_of(layer.settings)));
  }
};

}  // namespace

const PackedFormat& awq_format() {
  static const AwqFormat format;
  return format;
}

AwqTensors to_awq(const Int4Weight& weight) {
  return {.qweight = words_of(unpacked_nibbles(weight.packed)),
          .qzeros = words_of(weight.zeros),
          .scales = weight.scales.t().to(at::kHalf).contiguous()};
}

Int4Weight from_awq(const AwqTensors& stored, int64_t group) {
  return {pairs_of(stored.qweight), stored.scales.t().to(at::kFloat).contiguous(), bytes_of(stored.qzeros), group};
}

}  // namespace tessera::nn
