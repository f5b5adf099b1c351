// From the words and flags of the verbs to prompts and the options of generation, and the summary of a finished text.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "apps/text_options.h"
#include "models/capabilities.h"
#include "models/registry.h"

namespace tessera::apps {

/// `model_own`: the sampling that the flags change. Throws UserError for numbers out of range.
generate::TextOptions text_options(const SamplingOptions& flags, const generate::TokenSampling& model_own,
                                   uint64_t seed);
/// The constraints of --json-schema; none without it. Throws UserError for a file that holds no schema that can be enforced.
std::vector<generate::ConstraintMaker> shape_constraints(const ShapeOptions& flags, const text::Tokenizer& tokenizer);
/// Reads --json-schema before a model is loaded, so that a mistake in it is told at once.
void check(const ShapeOptions& flags);
/// Throws UserError for an unknown dtype.
LoadOptions load_options(const MemoryOptions& flags, const std::vector<std::string>& adapters = {});
/// What the flags of faster drawing ask for.
FastDrawing fast_drawing(const FastOptions& flags);
/// Paths of adapter directories.
std::vector<std::filesystem::path> adapter_paths(const std::vector<std::string>& adapters);

/// Replaces the backslash escapes \n, \t, \r and \\; others stay.
std::string unescaped(std::string_view text);

/// Tokens per second after the first; 0 where there was only one.
double tokens_per_second(const std::vector<Written>& written);
/// "64 tokens in 1.90 s: the first after 310 ms, then 40.1 tokens/s; ended by length". `context` is the model's, 0 where it is not known.
std::string summary_of(const std::vector<Written>& written, int64_t context);

/// The model's Writes. Throws UserError, in the name of `verb`, when it has none.
const Writes& require_writes(const LoadedModel& model, const std::filesystem::path& directory, std::string_view verb);

/// "-" among the words of a verb is standard input, which is read whole and once. A file of that name is ./-.
inline bool is_dash(const std::filesystem::path& word) { return word == "-"; }

/// All bytes of standard input. Throws FaultError when reading fails.
std::string read_standard_input();

/// The prompts of the command line, then the lines of the file `lines` ("": there is none). A prompt "-" is the text of standard input without
/// the end of its last line; the file "-" its lines. Throws UserError, in the name of `verb`, for a second "-" and for an input without words.
std::vector<std::string> given_prompts(std::vector<std::string> prompts, const std::filesystem::path& lines,
                                       std::string_view verb);

/// Text to standard output at once.
void show(std::string_view text);
/// Whether people are looking.
bool output_is_terminal();
bool input_is_terminal();

}  // namespace tessera::apps
