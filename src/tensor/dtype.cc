// One table: format, name, bits.
#include "tensor/safetensors.h"

#include <algorithm>
#include <array>

namespace tessera {

namespace {
struct Row {
  Dtype dtype;
  std::string_view name;
  uint64_t bits;
};

// In the order of the enum, so that a format is its own index.
constexpr std::array<Row, 22> table{{
    {Dtype::f64, "F64", 64},
    {Dtype::f32, "F32", 32},
    {Dtype::f16, "F16", 16},
    {Dtype::bf16, "BF16", 16},
    {Dtype::f8_e4m3, "F8_E4M3", 8},
    {Dtype::f8_e5m2, "F8_E5M2", 8},
    {Dtype::i64, "I64", 64},
    {Dtype::i32, "I32", 32},
    {Dtype::i16, "I16", 16},
    {Dtype::i8, "I8", 8},
    {Dtype::u64, "U64", 64},
    {Dtype::u32, "U32", 32},
    {Dtype::u16, "U16", 16},
    {Dtype::u8, "U8", 8},
    {Dtype::boolean, "BOOL", 8},
    {Dtype::c64, "C64", 64},
    {Dtype::f8_e8m0, "F8_E8M0", 8},
    {Dtype::f8_e4m3fnuz, "F8_E4M3FNUZ", 8},
    {Dtype::f8_e5m2fnuz, "F8_E5M2FNUZ", 8},
    {Dtype::f6_e2m3, "F6_E2M3", 6},
    {Dtype::f6_e3m2, "F6_E3M2", 6},
    {Dtype::f4, "F4", 4},
}};

constexpr bool in_enum_order() {
  for (size_t i = 0; i < table.size(); ++i) {
    if (static_cast<size_t>(table[i].dtype) != i) return false;
  }
  return true;
}
static_assert(in_enum_order());
}  // namespace

std::string_view dtype_name(Dtype dtype) { return table[static_cast<size_t>(dtype)].name; }

std::optional<Dtype> dtype_from_name(std::string_view name) {
  for (const Row& row : table) {
    if (row.name == name) return row.dtype;
  }
  return std::nullopt;
}

uint64_t dtype_bits(Dtype dtype) { return table[static_cast<size_t>(dtype)].bits; }

uint64_t dtype_size(Dtype dtype) { return std::max<uint64_t>(1, dtype_bits(dtype) / 8); }

bool is_readable(Dtype dtype) { return dtype <= Dtype::boolean; }

}  // namespace tessera
