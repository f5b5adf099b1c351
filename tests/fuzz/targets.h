// One function per parser of untrusted bytes. Each returns or throws UserError; anything else is a bug: another
// exception, a crash, a message of two lines, or something read that does not read back.
#pragma once

#include <string_view>

namespace tessera::testing {

void fuzz_safetensors(std::string_view bytes);
void fuzz_json(std::string_view bytes);
void fuzz_toml(std::string_view bytes);
/// A struct with every kind of field, as recipes and model configs have them: from TOML, then from JSON.
void fuzz_config(std::string_view bytes);
/// A ladder's table, and the paper's forecast from it.
void fuzz_ladder_table(std::string_view bytes);

/// Runs a target. True when the bytes were accepted, false for a UserError of one line; throws std::logic_error when a
/// message is not one line of text.
bool accepts(void (*target)(std::string_view), std::string_view bytes);

}  // namespace tessera::testing
