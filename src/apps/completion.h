// Options of `tessera completion`, and the scripts that it prints: all of them are made of the verbs' field lists.
#pragma once

#include "apps/verbs.h"

namespace tessera::apps {

struct CompletionOptions {
  std::string shell;

  static CommandLine command_line() {
    return {.verb = "completion",
            .summary = "the script that completes verbs, options and files in bash, zsh or fish",
            .positionals = {"shell"},
            .required = {"shell"},
            .examples = {"source <(tessera completion bash)",
                         "tessera completion bash > ~/.local/share/bash-completion/completions/tessera",
                         "tessera completion zsh > ~/.zfunc/_tessera",
                         "tessera completion fish > ~/.config/fish/completions/tessera.fish"},
            .choices = {{"shell", {"bash", "zsh", "fish"}}}};
  }
};
template <class V> void fields(V& v, CompletionOptions& o) { v("shell", o.shell, "bash, zsh or fish"); }

/// The script. Throws UserError for a shell of another name.
std::string completion_script(const std::vector<Verb>& verbs, const std::string& shell);

namespace detail {

/// What may follow an option.
struct Completed {
  enum class Kind { nothing, text, files, choices };
  Kind kind = Kind::nothing;
  std::vector<std::string> choices;
};
Completed completed(const CommandLine& line, const Option& option);

/// The first words of verbs of two: "plan", "data".
std::vector<std::string> verb_families(const std::vector<Verb>& verbs);
/// Whether there is a verb of this name.
bool is_verb(const std::vector<Verb>& verbs, const std::string& name);
/// The beginning of a help text, without what only explains it further.
std::string brief_help(const std::string& help);

std::string bash_completion(const std::vector<Verb>& verbs);
std::string zsh_completion(const std::vector<Verb>& verbs);
std::string fish_completion(const std::vector<Verb>& verbs);

}  // namespace detail

int run_completion(const CompletionOptions& options);

}  // namespace tessera::apps
