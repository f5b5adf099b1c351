// JSON of files that Tessera did not write: fields that are read must have the right type, the rest is ignored. Objects are looked
// up in logarithmic time (a vocabulary is one object of hundreds of thousands of keys).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

#include "core/files.h"

namespace tessera::text {

using LooseJson = nlohmann::json;

/// Parses a file. Throws UserError with the line where it is not JSON.
LooseJson read_loose_json(const Path& path);
LooseJson parse_loose_json(std::string_view text, const std::string& source);

/// The member `key` of an object; null when there is none.
const LooseJson& member(const LooseJson& object, const char* key);
/// Members of a type, `otherwise` where absent or null. Throws UserError for another type; `source` names the file.
bool flag(const LooseJson& object, const char* key, bool otherwise, const std::string& source);
std::string words(const LooseJson& object, const char* key, const std::string& otherwise, const std::string& source);
/// A token id: a whole number from 0 up to 2^22.
int32_t token_id(const LooseJson& value, const std::string& source);
/// `value` in an error message: one short line.
std::string shown(const LooseJson& value);

}  // namespace tessera::text
