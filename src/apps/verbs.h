// The verb table of the executable: what `tessera --help` lists. Heavy verbs live in libtessera.so, which is loaded
// only when one of them really runs.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "apps/options.h"

namespace tessera::apps {

/// One verb of the command line.
struct Verb {
  CommandLine line;
  /// Checks the words after the verb; false when help was asked for and printed.
  std::function<bool(const Arguments&)> check;
  /// Runs a light verb and returns the exit status; empty for a heavy one.
  std::function<int(const Arguments&)> run;
  /// Its options, for pages and scripts about it.
  std::vector<detail::Option> (*options)();
};

/// All verbs, in the order of the help page.
const std::vector<Verb>& verbs();

/// A verb that runs inside the executable: needs no LibTorch.
template <class Options, int (*run)(const Options&)> Verb light() {
  const auto parse_and_run = [](const Arguments& arguments) {
    Options options;
    return parse_options(arguments, options) ? run(options) : 0;
  };
  return {Options::command_line(), nullptr, parse_and_run, options_of<Options>};
}

/// A verb of libtessera.so (registered there in engine_verbs.cc); its flags are checked and its help shown without it.
template <class Options> Verb heavy() {
  const auto check = [](const Arguments& arguments) {
    Options options;
    return parse_options(arguments, options);
  };
  return {Options::command_line(), check, nullptr, options_of<Options>};
}

}  // namespace tessera::apps
