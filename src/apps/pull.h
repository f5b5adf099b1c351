// Options of `tessera pull`.
#pragma once

#include "apps/options.h"

namespace tessera::apps {

struct PullVerbOptions {
  std::string model;
  std::vector<std::string> include, exclude;
  std::string revision = "main";
  OutputOptions output;

  static CommandLine command_line() {
    return {.verb = "pull",
            .summary = "fetch a model from the Hugging Face hub into its cache",
            .positionals = {"model"},
            .required = {"model"},
            .examples = {"tessera pull ORG/NAME", "tessera pull ORG/NAME-GGUF --include '*Q4_K_M*'",
                         "tessera pull ORG/NAME --revision v1.0 --exclude '*.md'"}};
  }
};
template <class V> void fields(V& v, PullVerbOptions& o) {
  v("model", o.model, "ORG/NAME, or ORG/NAME@REVISION");
  v("include", o.include, "pattern of the files to fetch (without it: all but second copies of the weights)");
  v("exclude", o.exclude, "pattern of files to leave out");
  v("revision", o.revision, "branch, tag or commit");
  v("output", o.output, "Output");
}

/// Fetches what is missing and says which -m to use. HF_ENDPOINT, HF_TOKEN and the cache's folder come from the
/// environment, as for huggingface_hub; with HF_HUB_OFFLINE=1 it refuses.
int run_pull(const PullVerbOptions& options);

}  // namespace tessera::apps
