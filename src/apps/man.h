// Options of `tessera man`, and the manual page that it prints, made of the verbs' field lists.
#pragma once

#include "apps/verbs.h"

namespace tessera::apps {

struct ManOptions {
  static CommandLine command_line() {
    return {.verb = "man",
            .summary = "the manual page, for man and groff",
            .examples = {"tessera man > tessera.1 && man ./tessera.1"}};
  }
};
template <class V> void fields(V&, ManOptions&) {}

/// tessera(1) in the man macros of troff. `version`: of the release.
std::string manual_page(const std::vector<Verb>& verbs, std::string_view version);

int run_man(const ManOptions& options);

}  // namespace tessera::apps
