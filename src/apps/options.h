// Command lines from field lists: a verb's options are a struct; its fields() names every flag once, and a
// CommandLine has what else the shell needs. Free of LibTorch, so that help and mistakes answer at once.
#pragma once

#include <charconv>
#include <cmath>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "core/error.h"
#include "core/fields.h"
#include "core/json.h"

namespace tessera::apps {

using Arguments = std::vector<std::string>;

/// What a field list does not say about a verb. `Options::command_line()` returns it. Names are field names.
struct CommandLine {
  std::string verb;                                       // "draw", or two words: "plan ladder"
  std::string summary;                                    // one line for `tessera --help`
  std::vector<std::string> positionals;                   // given without a flag, in this order; a list takes the rest
  std::vector<std::string> required;                      // must be given
  std::vector<std::string> models;                        // hold a model: a path or ORG/NAME (core/model_cache.h)
  std::vector<std::string> paths_with;                    // beside these options `models` hold paths alone
  std::vector<std::pair<std::string, char>> short_names;  // {"model", 'm'}
  std::vector<std::string> examples;                      // whole command lines
  std::vector<std::string> files;                         // texts that may name a file, for completion in the shell
  std::vector<std::pair<std::string, std::vector<std::string>>>
      choices;  // the words that a field takes, for completion
};

/// How a verb talks: `v("output", o.output, "Output")` in its field list.
struct OutputOptions {
  bool json = false;
  bool quiet = false;
};
template <class V> void fields(V& v, OutputOptions& o) {
  v("json", o.json, "the last line on standard output is one JSON object");
  v("quiet", o.quiet, "no progress, no notes");
}

/// Where and from what seed a verb computes: `v("compute", o.compute, "Compute")` in its field list.
struct ComputeOptions {
  uint64_t seed = 0;
  std::string device = "auto";
  int threads = 0;
};
template <class V> void fields(V& v, ComputeOptions& o) {
  v("seed", o.seed, "same seed, same result");
  v("device", o.device, "auto, cpu, cuda or cuda:N");
  v("threads", o.threads, "threads on the CPU; 0 takes one per core");
}

namespace detail {

/// One field seen by the shell.
struct Option {
  enum class Kind { flag, value, list };
  std::string field, help, group, placeholder, default_text;
  Kind kind = Kind::value;
  bool on_by_default = false;                           // a flag that is switched off by --no-name
  std::function<void(const std::string& text)> assign;  // lists: appends one item; flags: "true" or "false"
  std::function<void()> clear = [] {};                  // lists: called once before the first item
};

[[noreturn]] void throw_bad_value(std::string_view field, std::string_view text, std::string_view want);

template <class T> constexpr std::string_view placeholder() {
  if constexpr (std::is_integral_v<T>) return "N";
  else if constexpr (std::is_floating_point_v<T>) return "X";
  else if constexpr (std::is_same_v<T, std::filesystem::path>) return "PATH";
  else return "TEXT";
}

/// "a whole number from -128 to 127": what a field of this type can hold.
template <class T> std::string range_text() {
  using Limits = std::numeric_limits<T>;
  if constexpr (std::is_integral_v<T>) return fmt::format("a whole number from {} to {}", Limits::min(), Limits::max());
  else return fmt::format("a number from {:.4g} to {:.4g}", Limits::lowest(), Limits::max());
}

template <class T> T value_from(std::string_view field, const std::string& text) {
  if constexpr (std::is_arithmetic_v<T>) {
    T value{};
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    const bool finite = std::is_integral_v<T> || std::isfinite(static_cast<double>(value));
    if (error == std::errc::result_out_of_range || !finite) throw_bad_value(field, text, range_text<T>());
    if (error != std::errc() || end != text.data() + text.size()) {
      throw_bad_value(
          field, text,
          std::is_integral_v<T> ? (std::is_signed_v<T> ? "a whole number" : "a whole number >= 0") : "a number");
    }
    return value;
  } else {
    return T(text);
  }
}

template <class T> std::string text_of(const T& value) {
  if constexpr (std::is_same_v<T, std::filesystem::path>) return value.string();
  else if constexpr (std::is_same_v<T, std::string>) return value;
  else return fmt::format("{}", value);
}

/// Flattens a field list into options; a struct inside becomes a group of its own.
struct OptionCollector {
  std::vector<Option>& options;
  std::string group;

  template <class T> void operator()(std::string_view name, T& value, std::string_view help) {
    if constexpr (HasFields<T>) {
      OptionCollector inner{options, std::string(help)};
      fields(inner, value);
    } else {
      Option option{.field = std::string(name), .help = std::string(help), .group = group};
      describe(option, value);
      options.push_back(std::move(option));
    }
  }

  template <class T> static void describe(Option& option, T& value) {
    const std::string field = option.field;
    if constexpr (std::is_same_v<T, bool>) {
      option.kind = Option::Kind::flag;
      option.on_by_default = value;
      option.assign = [&value](const std::string& text) { value = text == "true"; };
    } else if constexpr (tessera::detail::IsVector<T>::value) {
      using Item = typename T::value_type;
      option.kind = Option::Kind::list;
      option.placeholder = placeholder<Item>();
      for (const auto& item : value) option.default_text += (option.default_text.empty() ? "" : ",") + text_of(item);
      option.clear = [&value] { value.clear(); };
      option.assign = [&value, field](const std::string& text) { value.push_back(value_from<Item>(field, text)); };
    } else if constexpr (tessera::detail::IsOptional<T>::value) {
      using Item = typename T::value_type;
      option.placeholder = placeholder<Item>();
      if (value) option.default_text = text_of(*value);
      option.assign = [&value, field](const std::string& text) { value = value_from<Item>(field, text); };
    } else {
      option.placeholder = placeholder<T>();
      option.default_text = text_of(value);
      option.assign = [&value, field](const std::string& text) { value = value_from<T>(field, text); };
    }
  }
};

/// A field's name as the command line spells it: "max_new_tokens" is "max-new-tokens".
std::string kebab(std::string_view field);
/// "-m", or empty.
std::string short_name(const CommandLine& line, const std::string& field);
bool is_positional(const CommandLine& line, const Option& option);
/// "-m, --model PATH", or "PROMPT..." of a positional.
std::string written(const CommandLine& line, const Option& option);
/// What the option does, whether it is required, its default unless the help text itself has "(default: ...)".
std::string explained(const CommandLine& line, const Option& option);
/// "tessera draw [options] [PROMPT...]".
std::string usage(const CommandLine& line, const std::vector<Option>& options);

void parse(const CommandLine& line, const std::vector<Option>& options, const Arguments& arguments);
std::string help_text(const CommandLine& line, const std::vector<Option>& options);
bool asks_for_help(const Arguments& arguments);
/// To standard output. Throws FaultError when it cannot be written (a full disk, a reader that is gone).
void print(std::string_view text);
/// Hands on what print() has kept. Throws as print() does.
void flush();

}  // namespace detail

/// The options of a verb with their defaults, to be described; nothing can be assigned through them.
template <HasFields Options> std::vector<detail::Option> options_of() {
  Options defaults;
  std::vector<detail::Option> options;
  detail::OptionCollector collect{options, ""};
  fields(collect, defaults);
  for (detail::Option& option : options) {
    option.assign = nullptr;
    option.clear = nullptr;
  }
  return options;
}

/// The help page of a verb.
template <HasFields Options> std::string help_of() {
  return detail::help_text(Options::command_line(), options_of<Options>());
}

/// Fills `values` from the words after the verb. Returns false when help was asked for (it has then been printed).
/// Throws UserError: unknown flag (names the nearest), missing or malformed value, missing required field.
template <HasFields Options> bool parse_options(const Arguments& arguments, Options& values) {
  if (detail::asks_for_help(arguments)) {
    detail::print(help_of<Options>());
    return false;
  }
  std::vector<detail::Option> options;
  detail::OptionCollector collect{options, ""};
  fields(collect, values);
  detail::parse(Options::command_line(), options, arguments);
  return true;
}

/// --quiet, for verbs that have it.
void apply(const OutputOptions& output);
/// The result of a verb as the last line of standard output.
void print_json(const Json& result);

}  // namespace tessera::apps
