// The scripts for zsh and fish. Both show help texts beside what they complete.
#include <algorithm>

#include <fmt/ranges.h>

#include "apps/completion.h"

namespace tessera::apps::detail {

namespace {

using Kind = Completed::Kind;

/// `text` with each of `special` after a backslash.
std::string escaped(const std::string& text, std::string_view special) {
  std::string result;
  for (const char c : text) {
    if (special.find(c) != std::string_view::npos) result += '\\';
    result += c;
  }
  return result;
}

/// Between single quotes in zsh, where a quote ends them.
std::string zsh_quoted(const std::string& text) {
  std::string result = "'";
  for (const char c : text) result += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return result + "'";
}

/// ":PATH:_files", ":TEXT: ", ":SHELL:(bash zsh fish)" or nothing.
std::string zsh_action(const CommandLine& line, const Option& option) {
  const Completed follows = completed(line, option);
  switch (follows.kind) {
    case Kind::nothing:
      return "";
    case Kind::files:
      return ":" + option.placeholder + ":_files";
    case Kind::choices:
      return fmt::format(":{}:({})", option.field, fmt::join(follows.choices, " "));
    case Kind::text:
      break;
  }
  return ":" + option.placeholder + ": ";
}

std::string zsh_arguments(const Verb& verb) {
  std::string text = "      _arguments -s '(- *)--help[what it takes]'";
  for (const Option& option : verb.options()) {
    const std::string help = "[" + escaped(brief_help(option.help), "[]:\\") + "]",
                      action = zsh_action(verb.line, option);
    const bool list = option.kind == Option::Kind::list;
    if (is_positional(verb.line, option)) {
      text += " \\\n        " + zsh_quoted((list ? "*" : "") + (action.substr(0, 1) == ":" ? action : ":" + action));
      continue;
    }
    std::vector<std::string> names = {"--" + kebab(option.field)};
    if (const std::string brief = short_name(verb.line, option.field); !brief.empty()) names.push_back(brief);
    if (option.on_by_default) names.push_back("--no-" + kebab(option.field));
    const std::string others = list ? "*" : names.size() > 1 ? fmt::format("({})", fmt::join(names, " ")) : "";
    for (const std::string& name : names) text += " \\\n        " + zsh_quoted(others + name + help + action);
  }
  return text + "\n";
}

std::string zsh_described(const std::vector<std::pair<std::string, std::string>>& words) {
  std::string text;
  for (const auto& [word, help] : words) text += " \\\n      " + zsh_quoted(word + ":" + escaped(help, ":\\"));
  return text;
}

/// The words that may come first, or second after `family`, with what they do.
std::vector<std::pair<std::string, std::string>> described_words(const std::vector<Verb>& verbs,
                                                                 const std::string& family) {
  std::vector<std::pair<std::string, std::string>> words;
  const std::string start = family.empty() ? "" : family + " ";
  for (const Verb& verb : verbs) {
    if (!verb.line.verb.starts_with(start)) continue;
    const std::string word = verb.line.verb.substr(start.size());
    if (word.find(' ') == std::string::npos) words.emplace_back(word, brief_help(verb.line.summary));
  }
  if (!family.empty()) return words;
  for (const std::string& each : verb_families(verbs)) {
    if (is_verb(verbs, each)) continue;
    std::vector<std::string> seconds;
    for (const auto& [word, help] : described_words(verbs, each)) seconds.push_back(word);
    words.emplace_back(each, fmt::format("{}", fmt::join(seconds, ", ")));
  }
  return words;
}

std::string fish_quoted(const std::string& text) { return "'" + escaped(text, "'\\") + "'"; }

std::string fish_option(const Verb& verb, const Option& option) {
  const std::string start = fmt::format("complete -c tessera -n '__tessera_is \"{}\"'", verb.line.verb);
  const Completed follows = completed(verb.line, option);
  std::string action;
  if (follows.kind == Kind::files) action = " -r -F";
  if (follows.kind == Kind::text) action = " -x";
  if (follows.kind == Kind::choices) action = fmt::format(" -x -a '{}'", fmt::join(follows.choices, " "));
  if (is_positional(verb.line, option)) {
    if (follows.kind == Kind::files) return start + " -F\n";
    return follows.kind == Kind::choices ? fmt::format("{} -a '{}'\n", start, fmt::join(follows.choices, " ")) : "";
  }
  const std::string brief = short_name(verb.line, option.field), name = kebab(option.field);
  const std::string help = " -d " + fish_quoted(brief_help(option.help)) + "\n";
  std::string text = start + (brief.empty() ? "" : " -s " + brief.substr(1)) + " -l " + name + action + help;
  if (option.on_by_default) text += start + " -l no-" + name + help;
  return text;
}

}  // namespace

std::string zsh_completion(const std::vector<Verb>& verbs) {
  std::string script =
      "#compdef tessera\n# Completion of tessera in zsh, made by `tessera completion zsh`.\n_tessera() {\n"
      "  local -a candidates\n  local verb=$words[2]\n  if ((CURRENT == 2)); then\n    candidates=(" +
      zsh_described(described_words(verbs, "")) + ")\n    _describe -t verbs verb candidates\n    return\n  fi\n";
  for (const std::string& family : verb_families(verbs)) {
    std::vector<std::string> seconds;
    for (const auto& [word, help] : described_words(verbs, family)) seconds.push_back(word);
    script +=
        "  if [[ $verb == " + family +
        " ]]; then\n    if ((CURRENT == 3)) && [[ $words[3] != -* ]]; then\n      candidates=(" +
        zsh_described(described_words(verbs, family)) + ")\n      _describe -t verbs verb candidates\n" +
        (is_verb(verbs, family) ? "      _files\n" : "") +
        fmt::format(
            "      return\n    fi\n    if [[ $words[3] == ({}) ]]; then\n      verb=\"$verb $words[3]\"\n      shift "
            "words\n      ((CURRENT--))\n    fi\n  fi\n",
            fmt::join(seconds, "|"));
  }
  script += "  shift words\n  ((CURRENT--))\n  case $verb in\n";
  for (const Verb& verb : verbs) script += "    '" + verb.line.verb + "')\n" + zsh_arguments(verb) + "      ;;\n";
  return script +
         "  esac\n}\nif [[ $funcstack[1] == _tessera ]]; then\n  _tessera \"$@\"\nelse\n  compdef _tessera "
         "tessera\nfi\n";
}

std::string fish_completion(const std::vector<Verb>& verbs) {
  const std::vector<std::string> families = verb_families(verbs);
  std::vector<std::string> both;  // verbs of two words
  for (const Verb& verb : verbs) {
    if (verb.line.verb.find(' ') != std::string::npos) both.push_back(fish_quoted(verb.line.verb));
  }
  std::string script = fmt::format(
      "# Completion of tessera in fish, made by `tessera completion fish`.\n"
      "function __tessera_is\n  set -l words (commandline -opc)[2..-1]\n"
      "  if test (count $words) -ge 2; and contains -- \"$words[1] $words[2]\" {}\n    test \"$words[1] $words[2]\" = "
      "\"$argv[1]\"\n"
      "  else\n    test (count $words) -ge 1; and test \"$words[1]\" = \"$argv[1]\"\n  end\nend\n"
      "complete -c tessera -f\n",
      fmt::join(both, " "));
  for (const auto& [word, help] : described_words(verbs, ""))
    script += fmt::format("complete -c tessera -n 'test (count (commandline -opc)) -eq 1' -a {} -d {}\n", word,
                          fish_quoted(help));
  for (const std::string& family : families) {
    for (const auto& [word, help] : described_words(verbs, family)) {
      script += fmt::format(
          "complete -c tessera -n '__tessera_is {}; and test (count (commandline -opc)) -eq 2' -a {} -d {}\n", family,
          word, fish_quoted(help));
    }
  }
  script += "complete -c tessera -l help -d 'what it takes'\n";
  for (const Verb& verb : verbs) {
    for (const Option& option : verb.options()) script += fish_option(verb, option);
  }
  return script;
}

}  // namespace tessera::apps::detail
