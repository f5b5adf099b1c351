// Options of `tessera serve`.
#pragma once

#include "apps/text_options.h"

namespace tessera::apps {

/// Who may ask: `v("access", o.access, "Access")`.
struct AccessOptions {
  std::filesystem::path key_file;
  std::vector<std::string> allow_host;
  std::vector<std::string> allow_origin;
};
template <class V> void fields(V& v, AccessOptions& o) {
  v("key_file", o.key_file,
    "file with the key that requests must carry (or the environment's TESSERA_API_KEY); required for an address that "
    "other machines reach");
  v("allow_host", o.allow_host, "a name under which the server may be called, beside localhost and addresses");
  v("allow_origin", o.allow_origin, "a site whose pages may call the server, like https://example.org");
}

struct ServeOptions {
  std::vector<std::filesystem::path> model;
  std::string host = "127.0.0.1";
  uint16_t port = 8080;
  std::filesystem::path socket;
  std::filesystem::path runs;
  std::filesystem::path votes;
  std::filesystem::path citations;
  std::string memory;
  std::string cache;
  int64_t parallel = 32;
  int64_t queue = 256;
  int64_t step_tokens = 256;
  int64_t max_tokens = 2048;
  int64_t speculate = 2;
  AccessOptions access;
  MemoryOptions held;
  OutputOptions output;
  ComputeOptions compute;

  static CommandLine command_line() {
    return {.verb = "serve",
            .summary = "answer over HTTP, in the form of OpenAI's API",
            .required = {"model"},
            .models = {"model"},
            .short_names = {{"model", 'm'}},
            .examples = {"tessera serve -m models/books-lm",
                         "tessera serve -m DIR -m models/emoji-infinity --port 9000 --memory 8G",
                         "tessera serve -m model.gguf --host 0.0.0.0 --key-file key.txt",
                         "curl localhost:8080/v1/completions -H 'content-type: application/json' -d "
                         "'{\"model\":\"books-lm\",\"prompt\":\"Once upon a time\",\"max_tokens\":40}'"}};
  }
};
template <class V> void fields(V& v, ServeOptions& o) {
  v("model", o.model, "model directory or GGUF file, served by the name of its folder or file");
  v("host", o.host, "address to listen on; 0.0.0.0 is every one of this machine");
  v("port", o.port, "port to listen on; 0 takes a free one");
  v("socket", o.socket, "UNIX socket to listen on as well");
  v("runs", o.runs, "folder of training runs that the page shows, with the data of their recipes");
  v("votes", o.votes, "file that the page's votes are appended to, as pairs for preference tuning");
  v("citations", o.citations,
    "what a model has read, for 'Where did it read this?' (`tessera data citations` makes it)");
  v("memory", o.memory,
    "memory for the weights of all models and their caches together, like 8G: models are then loaded and unloaded as "
    "they are asked "
    "for");
  v("cache", o.cache,
    "memory for keys and values of each model, like 1G, taken at the start (default: eight full contexts, at most 2G "
    "and a "
    "quarter of the free memory)");
  v("parallel", o.parallel, "sequences that run at once");
  v("queue", o.queue, "requests that wait; further ones are answered with 429");
  v("step_tokens", o.step_tokens,
    "positions of one step: a token for each running sequence, then pieces of new prompts");
  v("max_tokens", o.max_tokens, "tokens of an answer to a chat that gives no limit");
  v("speculate", o.speculate,
    "guess ahead by n-grams while at most N sequences run; 0: never. Answers do not depend on it");
  v("access", o.access, "Access");
  v("held", o.held, "Models in memory");
  v("output", o.output, "Output");
  v("compute", o.compute, "Compute");
}

/// Serves until a signal. With --json one line says the address as soon as requests are taken.
int run_serve(const ServeOptions& options);

}  // namespace tessera::apps
