// `tessera write`: prompts -> the model's Writes -> standard output.
#include "apps/write.h"

#include <unistd.h>

#include "apps/text_request.h"
#include "core/error.h"
#include "core/files.h"
#include "core/interrupt.h"
#include "core/log.h"
#include "core/progress.h"
#include "core/terminal.h"
#include "generate/citations.h"
#include "tensor/device.h"

namespace tessera::apps {

namespace {

/// The prompts of the command line, then those of the file, each `count` times.
std::vector<std::string> all_prompts(const WriteOptions& options) {
  const std::vector<std::string> prompts = given_prompts(options.prompt, options.prompts, "write");
  if (prompts.empty())
    throw UserError("[write] no prompt; say how the text begins, as in: tessera write -m DIR \"Once\"");
  if (options.count < 1 || options.count > 10000)
    throw UserError("[write] --count is {}, want 1 to 10000", options.count);
  std::vector<std::string> repeated;
  for (const std::string& prompt : prompts)
    repeated.insert(repeated.end(), static_cast<size_t>(options.count), options.escapes ? unescaped(prompt) : prompt);
  return repeated;
}

/// All texts, each under a line with its number.
void print_texts(const std::vector<std::string>& prompts, const std::vector<Written>& written, bool echo) {
  const Terminal terminal = terminal_of(STDOUT_FILENO);
  for (size_t i = 0; i < written.size(); ++i) {
    if (written.size() > 1) {
      show(styled(terminal, "\033[2m", fmt::format("--- {} of {}", i + 1, written.size())) + "\n");
    }
    if (echo) show(styled(terminal, "\033[1m", prompts[i]));
    show(written[i].continuation.text + "\n");
  }
}

Json to_json(const std::vector<std::string>& prompts, const std::vector<Written>& written, uint64_t seed) {
  Json result = {{"prompts", prompts}};
  double seconds = 0, first = 0;
  for (const Written& w : written) {
    const generate::Continuation& said = w.continuation;
    result["texts"].push_back(said.text), result["tokens"].push_back(said.tokens);
    result["reasons"].push_back(generate::name_of(said.reason));
    result["prompt_tokens"].push_back(w.prompt_tokens);
    seconds = std::max(seconds, w.seconds);
    if (first == 0 || (w.first_token_seconds > 0 && w.first_token_seconds < first)) first = w.first_token_seconds;
  }
  result["first_token_seconds"] = first, result["seconds"] = seconds;
  result["tokens_per_second"] = tokens_per_second(written), result["seed"] = seed;
  return result;
}

}  // namespace

int run_write(const WriteOptions& options) {
  const std::vector<std::string> prompts = all_prompts(options);
  text_options(options.sampling, {}, 0);  // refuses bad numbers before anything is loaded
  check(options.shape);
  const auto model =
      load_model(options.model, parse_device(options.compute.device), load_options(options.memory, options.adapter));
  const Writes& writes = require_writes(*model, options.model, "write");
  generate::TextOptions request = text_options(options.sampling, writes.sampling(), options.compute.seed);
  request.constraints = shape_constraints(options.shape, writes.tokenizer());
  if (const Path& index = options.block_citations; !index.empty()) {
    request.constraints.push_back(
        generate::block_citations(std::make_shared<const data::CitationIndex>(
                                      data::CitationIndex::open(index, text::fingerprint(writes.tokenizer()))),
                                  writes.tokenizer()));
  }

  const bool streams = options.stream && prompts.size() == 1 && !options.output.json;
  const InterruptGuard guard;
  std::optional<Progress> progress;  // a text that streams is its own progress
  if (!streams) progress.emplace("write", std::ssize(prompts) * options.sampling.max_new_tokens, "tokens");
  request.on_step = [&](int64_t tokens) {
    if (progress) progress->update(tokens);
    return !InterruptGuard::raised();
  };
  bool begun = false;
  if (streams) {
    request.on_text = [&](size_t, std::string_view text) {
      if (!begun && options.echo) show(styled(terminal_of(STDOUT_FILENO), "\033[1m", prompts[0]));
      begun = true;
      show(text);
      return true;
    };
  }
  const std::vector<Written> written = writes.write(prompts, request);
  if (progress) progress->finish();
  if (streams && begun) show("\n");
  else if (!options.output.json) print_texts(prompts, written, options.echo);
  log_info("{}", summary_of(written, writes.context()));
  if (options.output.json) print_json(to_json(prompts, written, options.compute.seed));
  return InterruptGuard::raised() ? interrupted_status : 0;
}

}  // namespace tessera::apps
