// "-" among the words of a verb: standard input, which is read whole and once. A file of that name is ./-.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace tessera::apps {

inline bool is_dash(const std::filesystem::path& word) { return word == "-"; }

/// All bytes of standard input. Throws FaultError when reading fails.
std::string read_standard_input();

/// The prompts of the command line, then the lines of the file `lines` ("": there is none). A prompt "-" is the text of standard input without
/// the end of its last line; the file "-" its lines. Throws UserError, in the name of `verb`, for a second "-" and for an input without words.
std::vector<std::string> given_prompts(std::vector<std::string> prompts, const std::filesystem::path& lines,
                                       std::string_view verb);

}  // namespace tessera::apps
