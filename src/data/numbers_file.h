// Arrays of numbers in a safetensors file, with what distinguishes a whole file from a damaged one.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "tensor/safetensors.h"

namespace tessera::data {

template <class T> std::string_view bytes_of(std::span<const T> numbers) {
  return {reinterpret_cast<const char*>(numbers.data()), numbers.size_bytes()};
}

/// Of eight bytes at a time, so that checking a large file costs little more than reading it.
uint64_t quick_hash(std::string_view bytes);

/// The tensor as stored in the mapped file; empty when there is none of this name, format and one dimension.
template <class T> std::span<const T> numbers_in(const SafetensorsFile& file, const char* name, Dtype dtype) {
  const TensorEntry* entry = file.find(name);
  if (entry == nullptr || entry->dtype != dtype || entry->shape.size() != 1) return {};
  const std::string_view bytes = file.bytes(*entry);  // aligned: the writer puts wide formats first
  return {reinterpret_cast<const T*>(bytes.data()), bytes.size() / sizeof(T)};
}

/// Of the file's metadata; "" when it is not there.
std::string value_of(const SafetensorsFile& file, const char* name);

}  // namespace tessera::data
