// `tessera chat`: lines of standard input -> the model's Writes::chat -> standard output.
#include "apps/chat.h"

#include <algorithm>
#include <iostream>

#include <unistd.h>

#include "apps/text_request.h"
#include "core/error.h"
#include "core/interrupt.h"
#include "core/json.h"
#include "core/log.h"
#include "core/terminal.h"
#include "core/text_file.h"
#include "tensor/device.h"

namespace tessera::apps {

namespace {

/// --tools and --template-arg. Throws UserError for a file that is no list of objects and for a variable without a name.
text::TemplateInputs template_inputs(const ChatOptions& options) {
  text::TemplateInputs inputs;
  if (!options.tools.empty()) {
    inputs.tools = read_json_file(options.tools);
    const bool objects =
        inputs.tools.is_array() && std::ranges::all_of(inputs.tools, [](const Json& t) { return t.is_object(); });
    if (!objects)
      throw UserError("[chat] {} holds no JSON list of objects; want tool definitions in OpenAI's form",
                      options.tools.string());
  }
  for (const std::string& argument : options.template_arg) {
    const size_t sign = argument.find('=');
    const std::string name = argument.substr(0, sign);
    if (sign == std::string::npos || name.empty())
      throw UserError("[chat] --template-arg '{}' names no value; want a form like enable_thinking=false", argument);
    for (const char* own : {"messages", "tools", "documents", "add_generation_prompt"}) {
      if (name == own)
        throw UserError("[chat] --template-arg '{}' would replace what the chat itself gives to a template", name);
    }
    const std::string value = argument.substr(sign + 1);
    inputs.arguments[name] = Json::accept(value) ? parse_json(value, "--template-arg " + name) : Json(value);
  }
  return inputs;
}

class Conversation {
 public:
  Conversation(const ChatOptions& options, const Writes& writes, text::TemplateInputs inputs)
      : options_(options), writes_(writes), inputs_(std::move(inputs)),
        request_(text_options(options.sampling, writes.sampling(), options.compute.seed)) {
    request_.constraints = shape_constraints(options.shape, writes.tokenizer());
    reset();
    messages_.push_back({.role = "user", .content = "x"});
    writes_.chat_prompt(messages_,
                        inputs_);  // refuses a model without a template, and a system turn that the template has not
    messages_.pop_back();
  }

  void reset() {
    messages_.clear();
    if (!options_.system.empty()) messages_.push_back({.role = "system", .content = options_.system});
  }

  /// One turn and its answer. Throws UserError when the turn alone is over the context; the conversation is then as
  /// it was.
  void answer(const std::string& line) {
    const std::vector<text::Message> before = messages_;
    messages_.push_back({.role = "user", .content = line});
    try {
      make_room();
      say();
    } catch (const UserError&) {
      messages_ = before;
      throw;
    }
  }

 private:
  /// Drops the oldest pairs of turns until the answer has room for a quarter of the context, or as much as it may be
  /// long.
  void make_room() {
    const int64_t wanted = std::min(options_.sampling.max_new_tokens, std::max<int64_t>(writes_.context() / 4, 1));
    const size_t first = options_.system.empty() ? 0 : 1;
    size_t dropped = 0;
    while (messages_.size() > first + 2 &&
           std::ssize(writes_.chat_prompt(messages_, inputs_)) + wanted > writes_.context()) {
      messages_.erase(messages_.begin() + static_cast<std::ptrdiff_t>(first),
                      messages_.begin() + static_cast<std::ptrdiff_t>(first) + 2);
      ++dropped;
    }
    if (dropped > 0 && std::ssize(writes_.chat_prompt(messages_, inputs_)) < writes_.context()) {
      log_info("the conversation outgrew the context of {} tokens; the oldest {} forgotten", writes_.context(),
               dropped == 1 ? "question and its answer are" : fmt::format("{} questions and answers are", dropped));
    }
  }

  void say() {
    const InterruptGuard guard;
    generate::TextOptions request = request_;
    request.sampling.seed = request_.sampling.seed + turn_;  // the same question twice is drawn twice
    request.on_step = [](int64_t) { return !InterruptGuard::raised(); };
    if (!options_.output.json) {
      request.on_text = [](size_t, std::string_view text) {
        show(text);
        return true;
      };
    }
    const Written written = writes_.chat(messages_, request, inputs_);
    const generate::Continuation& said = written.continuation;
    messages_.push_back({.role = "assistant", .content = said.text});
    ++turn_;
    if (options_.output.json) {
      print_json({{"text", said.text},
                  {"reason", generate::name_of(said.reason)},
                  {"tokens", said.tokens.size()},
                  {"prompt_tokens", written.prompt_tokens},
                  {"remembered_tokens", written.remembered_tokens},
                  {"first_token_seconds", written.first_token_seconds},
                  {"tokens_per_second", tokens_per_second({written})}});
      return;
    }
    show("\n");
    note(summary_of({written}, writes_.context()));
  }

  /// Beside the conversation, in grey where people look.
  void note(const std::string& text) const {
    log_info("{}{}", styled(terminal_of(STDERR_FILENO), "\033[2m", text), output_is_terminal() ? "\n" : "");
  }

  const ChatOptions& options_;
  const Writes& writes_;
  text::TemplateInputs inputs_;
  generate::TextOptions request_;
  std::vector<text::Message> messages_;
  uint64_t turn_ = 0;
};

/// Asks for the next line; false at the end of the input.
bool next_line(std::string& line, bool asks) {
  if (asks) show(styled(terminal_of(STDOUT_FILENO), "\033[1;36m", "> "));
  if (!std::getline(std::cin, line)) {
    if (asks) show("\n");
    return false;
  }
  if (line.starts_with("\xEF\xBB\xBF")) line.erase(0, 3);  // a file with a byte order mark was piped in
  if (line.ends_with('\r')) line.pop_back();
  return true;
}

}  // namespace

int run_chat(const ChatOptions& options) {
  text_options(options.sampling, {}, 0);  // refuses bad numbers before anything is loaded
  check(options.shape);
  text::TemplateInputs inputs = template_inputs(options);
  LoadOptions load = load_options(options.memory, options.adapter);
  load.chat_template = options.chat_template;
  const auto model = load_model(options.model, parse_device(options.compute.device), load);
  Conversation conversation(options, require_writes(*model, options.model, "chat"), std::move(inputs));
  const bool asks = input_is_terminal() && output_is_terminal() && !options.output.json;
  if (asks) log_info("One turn on each line. /reset starts a new conversation, /exit ends, Ctrl-C ends an answer.");
  bool refused = false;
  for (std::string line; next_line(line, asks);) {
    if (line == "/exit" || line == "/quit") break;
    if (is_blank(line)) continue;
    if (line == "/reset") {
      conversation.reset();
      log_info("A new conversation.");
      continue;
    }
    if (asks && line.starts_with('/') && line.find(' ') == std::string::npos) {
      log_info("There is no {}; want /reset or /exit.", line);
      continue;
    }
    try {
      conversation.answer(line);
    } catch (const UserError& error) {
      refused = true;
      if (options.output.json) print_json({{"error", error.what()}});
      else log_warning("{}", error.what());
    }
  }
  return refused && !asks ? 2 : 0;
}

}  // namespace tessera::apps
