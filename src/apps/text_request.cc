// A filter that is given makes the verb sample, unless the temperature is given too.
#include "apps/text_request.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <iostream>
#include <set>

#include <fmt/ranges.h>
#include <unistd.h>

#include "core/error.h"
#include "core/json.h"
#include "core/text_file.h"
#include "generate/json/json_constraint.h"

namespace tessera::apps {

std::string unescaped(std::string_view text) {
  std::string result;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '\\' || i + 1 == text.size()) {
      result += text[i];
      continue;
    }
    switch (text[i + 1]) {
      case 'n':
        result += '\n';
        break;
      case 't':
        result += '\t';
        break;
      case 'r':
        result += '\r';
        break;
      case '\\':
        result += '\\';
        break;
      default:
        result += text[i];
        result += text[i + 1];
    }
    ++i;
  }
  return result;
}

generate::TextOptions text_options(const SamplingOptions& flags, const generate::TokenSampling& model_own,
                                   uint64_t seed) {
  generate::TextOptions options{.max_new_tokens = flags.max_new_tokens, .sampling = model_own};
  generate::TokenSampling& sampling = options.sampling;
  sampling.seed = seed;
  if (sampling.temperature == 0 && (flags.top_k || flags.top_p || flags.min_p)) sampling.temperature = 1;
  sampling.temperature = flags.temperature.value_or(sampling.temperature);
  sampling.top_k = flags.top_k.value_or(sampling.top_k);
  sampling.top_p = flags.top_p.value_or(sampling.top_p);
  sampling.min_p = flags.min_p.value_or(sampling.min_p);
  sampling.repetition_penalty = flags.repetition_penalty.value_or(sampling.repetition_penalty);
  for (const std::string& stop : flags.stop) options.stop.push_back(unescaped(stop));
  generate::check(options);
  return options;
}

void check(const ShapeOptions& flags) {
  if (!flags.json_schema.empty()) generate::JsonGrammar::of_schema(read_json_file(flags.json_schema));
}

std::vector<generate::ConstraintMaker> shape_constraints(const ShapeOptions& flags, const text::Tokenizer& tokenizer) {
  if (flags.json_schema.empty()) return {};
  return {generate::json_constraint(generate::JsonGrammar::of_schema(read_json_file(flags.json_schema)),
                                    std::make_shared<const generate::TokenTrie>(tokenizer))};
}

std::vector<std::filesystem::path> adapter_paths(const std::vector<std::string>& adapters) {
  return {adapters.begin(), adapters.end()};
}

FastDrawing fast_drawing(const FastOptions& flags) {
  return {.unguided_scales = flags.unguided_scales.value_or(flags.fast ? 1 : 0),
          .settled = flags.settled.value_or(0),
          .local_attention = flags.local_attention.value_or(flags.fast ? 8 : 0)};
}

LoadOptions load_options(const MemoryOptions& flags, const std::vector<std::string>& adapters) {
  const std::vector<std::string> known = {"auto", "fp32", "bf16"};
  if (std::find(known.begin(), known.end(), flags.dtype) == known.end())
    throw UserError("[command line] --dtype is '{}', want one of: {}", flags.dtype, fmt::join(known, ", "));
  return {
      .dtype = flags.dtype, .cache_int8 = flags.cache_int8, .exact = flags.exact, .adapters = adapter_paths(adapters)};
}

namespace {
size_t tokens_of(const std::vector<Written>& written) {
  size_t tokens = 0;
  for (const Written& w : written) tokens += w.continuation.tokens.size();
  return tokens;
}
/// Of all: until the first token came, and until the last one did.
std::pair<double, double> times_of(const std::vector<Written>& written) {
  double first = 0, all = 0;
  for (const Written& w : written) {
    if (w.seconds == 0) continue;
    first = first == 0 ? w.first_token_seconds : std::min(first, w.first_token_seconds);
    all = std::max(all, w.seconds);
  }
  return {first, all};
}
/// "31 ms", "2.40 s".
std::string short_time(double seconds) {
  return seconds < 1 ? fmt::format("{:.0f} ms", seconds * 1000) : fmt::format("{:.2f} s", seconds);
}
}  // namespace

double tokens_per_second(const std::vector<Written>& written) {
  const auto [first, all] = times_of(written);
  const auto later = static_cast<double>(tokens_of(written)) - static_cast<double>(written.size());
  return later > 0 && all > first ? later / (all - first) : 0;
}

namespace {
/// What ended a text, in the words of people. One that ends where the model's context does says so.
std::string ending_of(const Written& w, int64_t context) {
  const auto reason = w.continuation.reason;
  if (reason == generate::StopReason::caller) return "stopped";
  const bool full = context > 0 && w.prompt_tokens + std::ssize(w.continuation.tokens) >= context;
  if (reason == generate::StopReason::length && full) return fmt::format("ended by the context of {}", context);
  return fmt::format("ended by {}", generate::name_of(reason));
}
}  // namespace

std::string summary_of(const std::vector<Written>& written, int64_t context) {
  const size_t tokens = tokens_of(written);
  const auto [first, all] = times_of(written);
  std::string text = fmt::format("{} token{} in {}: the first after {}", tokens, tokens == 1 ? "" : "s",
                                 short_time(all), short_time(first));
  if (const double rate = tokens_per_second(written); rate > 0) text += fmt::format(", then {:.1f} tokens/s", rate);
  std::set<std::string> endings;
  for (const Written& w : written) endings.insert(ending_of(w, context));
  return text + fmt::format("; {}", fmt::join(endings, ", "));
}

const Writes& require_writes(const LoadedModel& model, const std::filesystem::path& directory, std::string_view verb) {
  if (const Writes* writes = model.writes()) return *writes;
  throw UserError("[{}] {} holds a model of type '{}', which cannot write", verb, directory.string(),
                  model.model_type());
}

std::string read_standard_input() {
  std::string bytes;
  std::array<char, 1 << 16> piece{};
  while (std::cin.read(piece.data(), std::ssize(piece)) || std::cin.gcount() > 0)
    bytes.append(piece.data(), static_cast<size_t>(std::cin.gcount()));
  if (std::cin.bad()) throw FaultError("[input] standard input cannot be read");
  return bytes;
}

namespace {

std::string text_of_standard_input(std::string_view verb) {
  std::string words = text_of_bytes(read_standard_input(), "standard input", verb);
  if (is_blank(words)) throw UserError("[{}] '-' is a prompt from standard input, and there are no words in it", verb);
  return words;
}

}  // namespace

std::vector<std::string> given_prompts(std::vector<std::string> prompts, const std::filesystem::path& lines,
                                       std::string_view verb) {
  const auto dashes = std::ranges::count_if(prompts, [](const std::string& one) { return is_dash(one); });
  if (dashes + (is_dash(lines) ? 1 : 0) > 1)
    throw UserError("[{}] '-' is given {} times; standard input is read once", verb, dashes + (is_dash(lines) ? 1 : 0));
  for (std::string& prompt : prompts) {
    if (!is_dash(prompt)) continue;
    prompt = text_of_standard_input(verb);
    if (prompt.ends_with('\n')) prompt.pop_back();
  }
  if (lines.empty()) return prompts;
  for (std::string& line : is_dash(lines) ? text_lines(text_of_standard_input(verb)) : read_text_lines(lines, verb))
    prompts.push_back(std::move(line));
  return prompts;
}

void show(std::string_view text) {
  detail::print(text);
  detail::flush();
}

bool output_is_terminal() { return ::isatty(STDOUT_FILENO) != 0; }
bool input_is_terminal() { return ::isatty(STDIN_FILENO) != 0; }

}  // namespace tessera::apps
