// Number formats of the safetensors format: names as files spell them, and sizes. Stands on no LibTorch.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace tessera {

enum class Dtype { f64, f32, f16, bf16, f8_e4m3, f8_e5m2, i64, i32, i16, i8, u64, u32, u16, u8, boolean };

/// The name in a safetensors header, such as "BF16".
std::string_view dtype_name(Dtype dtype);
/// The format with that name; empty for a name that is not known.
std::optional<Dtype> dtype_from_name(std::string_view name);
/// Bytes per number.
uint64_t dtype_size(Dtype dtype);

}  // namespace tessera
