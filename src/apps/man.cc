// `tessera man`: one page of all verbs. Everything from outside is escaped, so that no text becomes a request of troff.
#include "apps/man.h"

namespace tessera::apps {

namespace {

/// Text as troff shows it unchanged: dashes that can be copied, no requests at the beginning of a line.
std::string roff(std::string_view text) {
  std::string result;
  for (const char c : text) {
    if (c == '\\') result += "\\e";
    else if (c == '-') result += "\\-";
    else if (c == '~') result += "\\(ti";
    else if (c == '^') result += "\\(ha";
    else if (c == '`') result += "\\(ga";
    else result += c;
  }
  return (result.starts_with('.') || result.starts_with('\'') ? "\\&" : "") + result;
}

std::string paragraph(std::string_view text) { return ".PP\n" + roff(text) + "\n"; }

std::string entry(std::string_view name, std::string_view text) {
  return ".TP\n.B " + roff(name) + "\n" + roff(text) + "\n";
}

std::string verb_section(const Verb& verb) {
  const std::vector<detail::Option> options = verb.options();
  std::string page = ".SS " + roff(verb.line.verb) + "\n" + roff(verb.line.summary) + "\n";
  page += ".PP\n.B " + roff(detail::usage(verb.line, options)) + "\n";
  for (const detail::Option& option : options)
    page += entry(detail::written(verb.line, option), detail::explained(verb.line, option));
  if (verb.line.examples.empty()) return page;
  page += ".PP\n.nf\n";
  for (const std::string& example : verb.line.examples) page += roff(example) + "\n";
  return page + ".fi\n";
}

constexpr std::string_view description =
    "Tessera draws, sees and writes with multimodal autoregressive models, trains them, packs them in few bits, and "
    "plans "
    "large runs from small ones. A model is a directory, a GGUF file, or ORG/NAME where tessera pull has fetched it.";

const std::pair<const char*, const char*> environment[] = {
    {"TESSERA_LIBTORCH", "folder of LibTorch, the one that holds lib/libtorch.so; goes before all other places"},
    {"HF_HUB_CACHE, HF_HOME, XDG_CACHE_HOME",
     "where models by the name of ORG/NAME are kept, as in Python's huggingface_hub"},
    {"HF_TOKEN, HF_TOKEN_PATH", "the hub's token, or the file that holds it, for tessera pull"},
    {"HF_ENDPOINT, HF_HUB_OFFLINE", "another hub; no hub at all"},
    {"NO_COLOR", "no colours, when it is set and not empty"},
    {"TERM", "with dumb, progress is a line now and then instead of a bar"},
    {"LC_ALL, LC_CTYPE, LANG", "bars and charts are drawn in ASCII where the locale is not one of UTF-8"},
    {"OMP_WAIT_POLICY, GOMP_SPINCOUNT", "how OpenMP's threads wait; Tessera sets both unless one says something else"},
};

}  // namespace

std::string manual_page(const std::vector<Verb>& verbs, std::string_view version) {
  std::string page =
      fmt::format(".\\\" Made by `tessera man`.\n.TH TESSERA 1 \"\" \"tessera {}\" \"User Commands\"\n", version);
  page += ".SH NAME\ntessera \\- an engine for multimodal autoregressive models\n";
  page += ".SH SYNOPSIS\n.B tessera\n.I VERB\n.RI [ options ]\n";
  page += ".SH DESCRIPTION\n" + roff(description) + "\n";
  page += paragraph("--help after a verb shows what this page says about it; --version shows the release.");
  page += ".SH VERBS\n";
  for (const Verb& verb : verbs) page += verb_section(verb);
  page += ".SH EXIT STATUS\n" + entry("0", "It is done.") + entry("1", "Disk, network or numbers failed.") +
          entry("2",
                "A mistake in what was asked; one line on standard error says what is wrong, what was given and what "
                "was expected.") +
          entry("130", "Interrupted by Ctrl-C.");
  page += ".SH ENVIRONMENT\n";
  for (const auto& [names, text] : environment) page += entry(names, text);
  return page;
}

int run_man(const ManOptions&) {
  detail::print(manual_page(verbs(), TESSERA_VERSION));
  return 0;
}

}  // namespace tessera::apps
