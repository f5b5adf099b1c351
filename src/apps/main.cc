// The command line's front door: finds the verb, runs it, turns what it throws into one line and an exit status.
#include <algorithm>
#include <cstdio>
#include <exception>
#include <new>

#include "apps/engine.h"
#include "apps/suggestions.h"
#include "apps/verbs.h"
#include "core/error.h"

namespace tessera::apps {

namespace {

/// The verb that begins `words` (one or two of them) and what follows it; nullptr when there is none.
const Verb* find_verb(const Arguments& words, Arguments& rest) {
  for (const size_t count : {size_t{2}, size_t{1}}) {
    if (words.size() < count) continue;
    const std::string name = count == 2 ? words[0] + " " + words[1] : words[0];
    for (const Verb& verb : verbs()) {
      if (verb.line.verb != name) continue;
      rest.assign(words.begin() + static_cast<std::ptrdiff_t>(count), words.end());
      return &verb;
    }
  }
  return nullptr;
}

/// The lines of the help page; `family` ("plan ") keeps only the verbs that begin with it.
std::string verb_lines(std::string_view family) {
  size_t width = 0;
  for (const Verb& verb : verbs()) width = std::max(width, verb.line.verb.size());
  std::string text;
  for (const Verb& verb : verbs()) {
    if (verb.line.verb.compare(0, family.size(), family) != 0) continue;
    text += fmt::format("  {:<{}}  {}\n", verb.line.verb, width, verb.line.summary);
  }
  return text;
}

std::string overview() {
  return "tessera " TESSERA_VERSION
         ": an engine for multimodal autoregressive models\n\n"
         "Usage: tessera VERB [options]\n\nVerbs\n" +
         verb_lines("") +
         "\n  tessera VERB --help    what a verb takes\n  tessera --version      which release this is\n\n"
         "Exit status: 0 done, 1 failed (disk, network, numbers), 2 a mistake in what was asked.\n";
}

[[noreturn]] void throw_unknown_verb(const std::string& word) {
  std::vector<std::string> names;
  for (const Verb& verb : verbs()) names.push_back(verb.line.verb);
  const std::string hint = verb_suggestion(word, names);
  if (hint.empty()) throw UserError("[command line] unknown verb '{}'; see tessera --help", word);
  throw UserError("[command line] unknown verb '{}'{} See tessera --help", word, hint);
}

int run_verb(const Verb& verb, const Arguments& rest) {
  if (verb.run) return verb.run(rest);
  return verb.check(rest) ? run_in_engine(verb.line.verb, rest) : 0;
}

bool asks_for(const std::string& word, std::initializer_list<std::string_view> spellings) {
  return std::find(spellings.begin(), spellings.end(), word) != spellings.end();
}

/// `shown` becomes the verb's name once it is known, for error lines.
int dispatch(Arguments words, std::string& shown) {
  if (words.size() > 1 && words[0] == "help") {
    words.erase(words.begin());
    words.push_back("--help");
  }
  if (words.empty() || asks_for(words[0], {"--help", "-h", "help"})) {
    detail::print(overview());
    return 0;
  }
  if (asks_for(words[0], {"--version", "version"})) {
    detail::print("tessera " TESSERA_VERSION "\n");
    return 0;
  }
  Arguments rest;
  if (const Verb* verb = find_verb(words, rest)) {
    shown += " " + verb->line.verb;
    return run_verb(*verb, rest);
  }
  const std::string family = verb_lines(words[0] + " ");
  if (family.empty()) throw_unknown_verb(words[0]);
  if (words.size() > 1 && words[1][0] != '-') throw_unknown_verb(words[0] + " " + words[1]);
  detail::print("Usage: tessera " + words[0] + " ... [options]\n\n" + family);
  return detail::asks_for_help(words) ? 0 : 2;
}

/// One line on standard error: no stack traces, no line breaks.
void complain(const std::string& shown, std::string what) {
  const auto end = what.find("\nException raised from");  // LibTorch appends its stack
  what = what.substr(0, end);
  std::replace(what.begin(), what.end(), '\n', ' ');
  fmt::print(stderr, "{}: {}\n", shown, what);
}

int guarded(const Arguments& words) {
  std::string shown = "tessera";
  try {
    const int status = dispatch(words, shown);
    detail::flush();
    return status;
  } catch (const Error& error) {
    complain(shown, error.what());
    return error.exit_status();
  } catch (const std::bad_alloc&) {
    complain(shown, "[memory] not enough memory");
  } catch (const std::exception& error) {
    const std::string what = error.what();
    complain(shown, "[internal] " + what.substr(0, what.find('\n')));
  }
  return 1;
}

}  // namespace

}  // namespace tessera::apps

int main(int count, char** words) { return tessera::apps::guarded({words + 1, words + count}); }
