// The JSON header of a safetensors file, read strictly. Used by safetensors.cc; apart so that fuzzers reach it.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "tensor/safetensors.h"

namespace tessera {

struct SafetensorsHeader {
  uint64_t header_end = 0;           // where the data begins in the file
  std::vector<TensorEntry> entries;  // by begin
  std::map<std::string, std::string> metadata;
};

/// Reads and checks the header of a whole file's `bytes`; `source` names it. Throws UserError for every fault.
SafetensorsHeader parse_safetensors(std::string_view bytes, std::string_view source);

}  // namespace tessera
