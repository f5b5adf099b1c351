// One table: format, name, bytes.
#include "tensor/safetensors.h"

#include <array>

namespace tessera {

namespace {
struct Row {
  Dtype dtype;
  std::string_view name;
  uint64_t size;
};

// In the order of the enum, so that a format is its own index.
constexpr std::array<Row, 15> table{{
    {Dtype::f64, "F64", 8},
    {Dtype::f32, "F32", 4},
    {Dtype::f16, "F16", 2},
    {Dtype::bf16, "BF16", 2},
    {Dtype::f8_e4m3, "F8_E4M3", 1},
    {Dtype::f8_e5m2, "F8_E5M2", 1},
    {Dtype::i64, "I64", 8},
    {Dtype::i32, "I32", 4},
    {Dtype::i16, "I16", 2},
    {Dtype::i8, "I8", 1},
    {Dtype::u64, "U64", 8},
    {Dtype::u32, "U32", 4},
    {Dtype::u16, "U16", 2},
    {Dtype::u8, "U8", 1},
    {Dtype::boolean, "BOOL", 1},
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

uint64_t dtype_size(Dtype dtype) { return table[static_cast<size_t>(dtype)].size; }

}  // namespace tessera
