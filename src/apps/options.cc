// CLI11 behind option lists: splitting of words is CLI11's; names, messages and the help page are ours.
#include "apps/options.h"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <map>
#include <memory>

#include <CLI/CLI.hpp>

#include "apps/suggestions.h"
#include "core/error.h"
#include "core/json_rows.h"
#include "core/log.h"
#include "core/model_cache.h"
#include "core/progress.h"

namespace tessera::apps {

namespace detail {

std::string kebab(std::string_view field) {
  std::string name(field);
  std::replace(name.begin(), name.end(), '_', '-');
  return name;
}

std::string short_name(const CommandLine& line, const std::string& field) {
  for (const auto& [name, letter] : line.short_names) {
    if (name == field) return std::string("-") + letter;
  }
  return "";
}

namespace {

constexpr size_t page_width = 100;
constexpr size_t widest_left = 30;

std::string upper(std::string_view field) {
  std::string name = kebab(field);
  std::transform(name.begin(), name.end(), name.begin(), [](unsigned char c) { return std::toupper(c); });
  return name;
}

bool contains(const std::vector<std::string>& names, const std::string& name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

/// Texts and paths may hold commas, so a list of them is made by giving the option again.
bool one_by_one(const Option& option) {
  return option.kind == Option::Kind::list && (option.placeholder == "TEXT" || option.placeholder == "PATH");
}

/// What the command line gives for one option.
struct Said {
  const Option* option;
  std::vector<std::string> texts;
  CLI::Option* handle = nullptr;
  CLI::Option* negated = nullptr;
};

void add(CLI::App& app, const CommandLine& line, Said& said) {
  const Option& option = *said.option;
  if (contains(line.positionals, option.field)) return;  // added afterwards, in their own order
  const std::string brief = short_name(line, option.field);
  const std::string names = (brief.empty() ? "" : brief + ",") + "--" + kebab(option.field);
  if (option.kind == Option::Kind::flag) {
    said.handle = app.add_flag(names);
    if (option.on_by_default) said.negated = app.add_flag("--no-" + kebab(option.field));
    return;
  }
  said.handle = app.add_option(names, said.texts)->expected(1)->allow_extra_args(false);
  said.handle->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);  // assign() refuses what may not be repeated
  if (option.kind == Option::Kind::list && !one_by_one(option)) said.handle->delimiter(',');
}

void add_positionals(CLI::App& app, const CommandLine& line, std::vector<Said>& all) {
  for (const auto& field : line.positionals) {
    const auto said = std::find_if(all.begin(), all.end(), [&](const Said& s) { return s.option->field == field; });
    const bool list = said->option->kind == Option::Kind::list;
    said->handle = app.add_option(field, said->texts)->expected(1, list ? 1 << 20 : 1);
  }
}

/// How the list that `word` seems to belong to is written: "; want --tau 1,2". Empty where it follows no list.
std::string list_hint(const std::string& word, const std::vector<Said>& all, const CommandLine& line,
                      const Arguments& words) {
  const auto at = std::find(words.begin(), words.end(), word);
  if (at - words.begin() < 2) return "";
  const std::string& before = *(at - 1);
  for (const Said& said : all) {
    const Option& option = *said.option;
    const std::string name = "--" + kebab(option.field), brief = short_name(line, option.field);
    const bool named = *(at - 2) == name || (!brief.empty() && *(at - 2) == brief);
    if (!named || option.kind != Option::Kind::list) continue;
    if (one_by_one(option)) return fmt::format("; want {} {} {} {}", name, before, name, word);
    return fmt::format("; want {} {},{}", name, before, word);
  }
  return "";
}

[[noreturn]] void throw_unexpected(const std::string& word, const std::vector<Said>& all, const CommandLine& line,
                                   const Arguments& words) {
  if (word.size() < 2 || word[0] != '-')
    throw UserError("[command line] unexpected '{}'{}; see tessera {} --help", word, list_hint(word, all, line, words),
                    line.verb);
  std::vector<std::string> known;
  for (const Said& said : all) {
    if (contains(line.positionals, said.option->field)) continue;
    known.push_back("--" + kebab(said.option->field));
    if (said.negated != nullptr) known.push_back("--no-" + kebab(said.option->field));
  }
  const std::string name = word.substr(0, word.find('='));
  const std::string hint = option_suggestion(name, known);
  if (hint.empty()) throw UserError("[command line] unknown option '{}'; see tessera {} --help", name, line.verb);
  throw UserError("[command line] unknown option '{}'{} See tessera {} --help", name, hint, line.verb);
}

/// `names`: whether a model may be ORG/NAME.
void assign(const Said& said, const CommandLine& line, bool names) {
  const Option& option = *said.option;
  if (option.kind == Option::Kind::flag) {
    if (said.handle->count() > 0) option.assign("true");
    if (said.negated != nullptr && said.negated->count() > 0) option.assign("false");
    return;
  }
  if (said.handle->count() == 0) {
    if (!contains(line.required, option.field)) return;
    const bool positional = contains(line.positionals, option.field);
    throw UserError("[command line] {} is missing ({}); see tessera {} --help",
                    positional ? upper(option.field) : "--" + kebab(option.field), option.help, line.verb);
  }
  if (option.kind != Option::Kind::list && said.texts.size() > 1) {
    throw UserError("[command line] --{} is given {}, want it once; see tessera {} --help", kebab(option.field),
                    said.texts.size() == 2 ? "twice" : fmt::format("{} times", said.texts.size()), line.verb);
  }
  option.clear();
  const bool model = names && contains(line.models, option.field);
  for (const auto& text : said.texts) option.assign(model ? find_model(text).string() : text);
}

/// Breaks `text` at blanks so that lines end before page_width when they start at `indent`.
std::string wrapped(const std::string& text, size_t indent) {
  std::string result;
  size_t column = indent, begin = 0;
  while (begin < text.size()) {
    const size_t end = std::min(text.find(' ', begin), text.size());
    const std::string word = text.substr(begin, end - begin);
    if (column > indent && column + 1 + word.size() > page_width) {
      result += "\n" + std::string(indent, ' ');
      column = indent;
    } else if (column > indent) {
      result += ' ';
      ++column;
    }
    result += word;
    column += word.size();
    begin = end + 1;
  }
  return result;
}

}  // namespace

bool is_positional(const CommandLine& line, const Option& option) { return contains(line.positionals, option.field); }

std::string written(const CommandLine& line, const Option& option) {
  const bool list = option.kind == Option::Kind::list;
  if (is_positional(line, option)) return upper(option.field) + (list ? "..." : "");
  const std::string brief = short_name(line, option.field);
  std::string text =
      (brief.empty() ? "" : brief + ", ") + "--" + (option.on_by_default ? "[no-]" : "") + kebab(option.field);
  if (option.kind != Option::Kind::flag) text += " " + option.placeholder;
  if (list && !one_by_one(option)) text += ",...";
  return text;
}

std::string explained(const CommandLine& line, const Option& option) {
  const bool again = one_by_one(option) && !is_positional(line, option);
  const std::string help = option.help + (contains(line.models, option.field) ? ", or ORG/NAME of tessera pull" : "") +
                           (again ? "; repeat it for several" : "");
  if (contains(line.required, option.field)) return help + " (required)";
  if (option.on_by_default) return option.help + " (on by default)";
  const bool told = option.default_text.empty() || option.help.find("(default") != std::string::npos;
  return told ? help : help + " (default " + option.default_text + ")";
}

std::string usage(const CommandLine& line, const std::vector<Option>& options) {
  std::string text = "tessera " + line.verb + " [options]";
  for (const auto& field : line.positionals) {
    const auto option = std::find_if(options.begin(), options.end(), [&](const Option& o) { return o.field == field; });
    const std::string name = written(line, *option);
    text += contains(line.required, field) ? " " + name : " [" + name + "]";
  }
  return text;
}

void throw_bad_value(std::string_view field, std::string_view text, std::string_view want) {
  throw UserError("[command line] --{} is '{}', want {}", kebab(field), text, want);
}

bool asks_for_help(const Arguments& arguments) {
  for (const auto& word : arguments) {
    if (word == "--") return false;
    if (word == "--help" || word == "-h") return true;
  }
  return false;
}

void parse(const CommandLine& line, const std::vector<Option>& options, const Arguments& arguments) {
  CLI::App app;
  app.set_help_flag();
  app.allow_extras();
  std::vector<Said> all(options.size());
  for (size_t i = 0; i < options.size(); ++i) all[i].option = &options[i];
  for (Said& said : all) add(app, line, said);
  add_positionals(app, line, all);
  try {
    app.parse(Arguments(arguments.rbegin(), arguments.rend()));  // CLI11 takes words last first
  } catch (const CLI::ArgumentMismatch& error) {                 // "--model: 1 required TEXT missing"
    const std::string what = error.what();
    throw UserError("[command line] {} wants a value; see tessera {} --help", what.substr(0, what.find(':')),
                    line.verb);
  } catch (const CLI::Error& error) {
    const std::string what = error.what();
    throw UserError("[command line] {}; see tessera {} --help", what.substr(0, what.find('\n')), line.verb);
  }
  auto extra = app.remaining();
  extra.erase(std::remove(extra.begin(), extra.end(), "--"), extra.end());  // CLI11 hands the mark itself back
  if (!extra.empty()) throw_unexpected(extra.front(), all, line, arguments);
  const bool names = std::ranges::none_of(
      all, [&](const Said& said) { return contains(line.paths_with, said.option->field) && said.handle->count() > 0; });
  for (const Said& said : all) assign(said, line, names);
}

namespace {
/// The help page's left column, in which long names stand below each other.
std::string left_column(const CommandLine& line, const Option& option) {
  const bool bare = !is_positional(line, option) && short_name(line, option.field).empty();
  return (bare ? "      " : "  ") + written(line, option);
}
}  // namespace

std::string help_text(const CommandLine& line, const std::vector<Option>& options) {
  size_t width = 0;
  for (const Option& option : options) {
    const size_t left = left_column(line, option).size();
    if (left <= widest_left) width = std::max(width, left);
  }
  width += 2;
  std::string text = "tessera " + line.verb + ": " + line.summary + "\n\nUsage: " + usage(line, options) + "\n";
  std::map<std::string, std::string> groups;  // title -> lines
  std::vector<std::string> order = {"Arguments", "Options"};
  for (const Option& option : options) {
    const bool positional = contains(line.positionals, option.field);
    const std::string title = positional ? "Arguments" : option.group.empty() ? "Options" : option.group;
    if (!contains(order, title)) order.push_back(title);
    const std::string left = left_column(line, option);
    const std::string gap =
        left.size() + 2 <= width ? std::string(width - left.size(), ' ') : "\n" + std::string(width, ' ');
    groups[title] += left + gap + wrapped(explained(line, option), width) + "\n";
  }
  for (const auto& title : order) {
    if (!groups[title].empty()) text += "\n" + title + "\n" + groups[title];
  }
  if (!line.examples.empty()) text += "\nExamples\n";
  for (const auto& example : line.examples) text += "  " + example + "\n";
  return text;
}

namespace {
[[noreturn]] void throw_unwritten() {
  throw FaultError("[output] cannot write to standard output: {}", std::strerror(errno));
}
}  // namespace

void print(std::string_view text) {
  if (std::fwrite(text.data(), 1, text.size(), stdout) != text.size()) throw_unwritten();
}

void flush() {
  if (std::fflush(stdout) != 0 || std::ferror(stdout) != 0) throw_unwritten();
}

}  // namespace detail

void apply(const OutputOptions& output) {
  if (!output.quiet) return;
  set_log_level(LogLevel::warning);
  set_progress_enabled(false);
}

void print_json(const Json& result) { detail::print(json_row(result)); }

}  // namespace tessera::apps
