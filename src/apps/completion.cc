// `tessera completion`: what the three shells have in common, and bash, whose script is one function.
#include "apps/completion.h"

#include <algorithm>

#include <fmt/ranges.h>

#include "core/error.h"

namespace tessera::apps {

namespace detail {

Completed completed(const CommandLine& line, const Option& option) {
  using Kind = Completed::Kind;
  if (option.kind == Option::Kind::flag) return {};
  for (const auto& [field, words] : line.choices) {
    if (field == option.field) return {Kind::choices, words};
  }
  if (option.field == "device") return {Kind::choices, {"auto", "cpu", "cuda"}};
  if (option.field == "dtype") return {Kind::choices, {"auto", "fp32", "bf16"}};
  const bool names_file = std::find(line.files.begin(), line.files.end(), option.field) != line.files.end();
  return {option.placeholder == "PATH" || names_file ? Kind::files : Kind::text, {}};
}

std::vector<std::string> verb_families(const std::vector<Verb>& verbs) {
  std::vector<std::string> families;
  for (const Verb& verb : verbs) {
    const size_t blank = verb.line.verb.find(' ');
    if (blank == std::string::npos) continue;
    const std::string family = verb.line.verb.substr(0, blank);
    if (std::find(families.begin(), families.end(), family) == families.end()) families.push_back(family);
  }
  return families;
}

bool is_verb(const std::vector<Verb>& verbs, const std::string& name) {
  return std::ranges::any_of(verbs, [&](const Verb& verb) { return verb.line.verb == name; });
}

std::string brief_help(const std::string& help) {
  constexpr size_t longest = 80;
  std::string brief = help.substr(0, help.find("; "));
  if (const size_t open = brief.rfind(" ("); open != std::string::npos && brief.find(')', open) == std::string::npos)
    brief.resize(open);
  if (brief.size() <= longest) return brief;
  return brief.substr(0, brief.rfind(' ', longest)) + " ...";
}

namespace {

constexpr std::string_view bash_beginning = R"(# Completion of tessera in bash, made by `tessera completion bash`.
_tessera_files() {
  compopt -o filenames 2>/dev/null
  mapfile -t COMPREPLY < <(compgen -f -- "$1")
}
_tessera_words() { mapfile -t COMPREPLY < <(compgen -W "$2" -- "$1"); }
_tessera() {
  local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]} verb=${COMP_WORDS[1]}
  local options="" files="" texts="" choices="" rest=text
  COMPREPLY=()
  if [[ $word == "=" ]]; then
    word=""
  elif [[ $before == "=" ]]; then
    before=${COMP_WORDS[COMP_CWORD - 2]}
  fi
)";

constexpr std::string_view bash_end = R"(  options+=" --help"
  local pair
  for pair in $choices; do
    if [[ $before == "${pair%%:*}" ]]; then
      pair=${pair#*:}
      _tessera_words "$word" "${pair//,/ }"
      return
    fi
  done
  if [[ " $files " == *" $before "* ]]; then
    _tessera_files "$word"
  elif [[ " $texts " == *" $before "* ]]; then
    return
  elif [[ $word == -* ]]; then
    _tessera_words "$word" "$options"
  elif [[ $rest == files ]]; then
    _tessera_files "$word"
  elif [[ $rest != text ]]; then
    _tessera_words "$word" "$rest"
  fi
}
complete -F _tessera tessera
)";

/// All spellings of an option: "-m --model", "--stream --no-stream".
std::string spellings(const CommandLine& line, const Option& option) {
  std::string text = "--" + kebab(option.field);
  if (const std::string brief = short_name(line, option.field); !brief.empty()) text = brief + " " + text;
  if (option.on_by_default) text += " --no-" + kebab(option.field);
  return text;
}

/// The lists that bash_end asks, for one verb; choices as in "--device:auto,cpu,cuda".
std::string bash_lists(const Verb& verb) {
  std::string options, files, texts, choices, rest = "text";
  for (const Option& option : verb.options()) {
    const Completed follows = completed(verb.line, option);
    if (is_positional(verb.line, option)) {
      if (follows.kind == Completed::Kind::files) rest = "files";
      if (follows.kind == Completed::Kind::choices) rest = fmt::format("{}", fmt::join(follows.choices, " "));
      continue;
    }
    const std::string names = spellings(verb.line, option);
    options += " " + names;
    if (follows.kind == Completed::Kind::files) files += " " + names;
    if (follows.kind == Completed::Kind::text) texts += " " + names;
    if (follows.kind != Completed::Kind::choices) continue;
    const std::string brief = short_name(verb.line, option.field);
    for (const std::string& name : {"--" + kebab(option.field), brief}) {
      if (!name.empty()) choices += fmt::format(" {}:{}", name, fmt::join(follows.choices, ","));
    }
  }
  return fmt::format(
      "      options=\"{}\"\n      files=\"{}\"\n      texts=\"{}\"\n      choices=\"{}\"\n      rest=\"{}\"\n",
      options, files, texts, choices, rest);
}

}  // namespace

std::string bash_completion(const std::vector<Verb>& verbs) {
  const std::vector<std::string> families = verb_families(verbs);
  std::string words, script(bash_beginning);
  for (const Verb& verb : verbs) {
    if (verb.line.verb.find(' ') == std::string::npos) words += verb.line.verb + " ";
  }
  std::string pure;  // families whose first word is no verb
  for (const std::string& family : families) pure += is_verb(verbs, family) ? "" : family + " ";
  script += fmt::format(
      "  if ((COMP_CWORD == 1)); then\n    _tessera_words \"$word\" \"{}{}help --help --version\"\n    return\n  fi\n",
      words, pure);
  for (const std::string& family : families) {
    std::string seconds;
    for (const Verb& verb : verbs) {
      if (verb.line.verb.starts_with(family + " ")) seconds += " " + verb.line.verb.substr(family.size() + 1);
    }
    const bool alone = is_verb(verbs, family);  // the first word is a verb by itself too, which may take a file
    script += fmt::format(
        "  if [[ $verb == {0} ]]; then\n    if ((COMP_CWORD == 2)) && [[ $word != -* ]]; then\n      _tessera_words "
        "\"$word\" "
        "\"{1}\"\n{2}      return\n    fi\n    if [[ \" {1} \" == *\" ${{COMP_WORDS[2]}} \"* ]]; then verb+=\" "
        "${{COMP_WORDS[2]}}\"; fi\n  fi\n",
        family, seconds.substr(1),
        alone ? "      mapfile -t -O ${#COMPREPLY[@]} COMPREPLY < <(compgen -f -- \"$word\")\n" : "");
  }
  script += "  case $verb in\n";
  for (const Verb& verb : verbs) script += fmt::format("    \"{}\")\n{}      ;;\n", verb.line.verb, bash_lists(verb));
  script += fmt::format("    help) rest=\"{}{}\" ;;\n  esac\n", words, pure);
  return script + std::string(bash_end);
}

}  // namespace detail

std::string completion_script(const std::vector<Verb>& verbs, const std::string& shell) {
  if (shell == "bash") return detail::bash_completion(verbs);
  if (shell == "zsh") return detail::zsh_completion(verbs);
  if (shell == "fish") return detail::fish_completion(verbs);
  throw UserError("[completion] there is no script for '{}', want bash, zsh or fish", shell);
}

int run_completion(const CompletionOptions& options) {
  detail::print(completion_script(verbs(), options.shell));
  return 0;
}

}  // namespace tessera::apps
