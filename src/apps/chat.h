// Options of `tessera chat`.
#pragma once

#include "apps/text_options.h"

namespace tessera::apps {

struct ChatOptions {
  std::filesystem::path model;
  std::vector<std::string> adapter;
  std::string system;
  std::string chat_template;
  std::filesystem::path tools;
  std::vector<std::string> template_arg;
  SamplingOptions sampling;
  ShapeOptions shape;
  MemoryOptions memory;
  OutputOptions output;
  ComputeOptions compute;

  ChatOptions() { sampling.max_new_tokens = 1024; }
  static CommandLine command_line() {
    return {.verb = "chat",
            .summary = "a conversation, one turn on each line",
            .required = {"model"},
            .models = {"model", "adapter"},
            .short_names = {{"model", 'm'}},
            .examples = {"tessera chat -m DIR",
                         "tessera chat -m DIR --system \"Answer in one sentence.\" --temperature 0.7",
                         "tessera chat -m DIR --tools tools.json --template-arg enable_thinking=false",
                         "printf 'Name a fruit.\\nAnother one.\\n' | tessera chat -m DIR --json"}};
  }
};
template <class V> void fields(V& v, ChatOptions& o) {
  v("model", o.model, "model directory or GGUF file; its tokenizer must have a chat template, unless one is given");
  v("adapter", o.adapter, "PEFT adapter directory to add to the model");
  v("system", o.system, "system message before the conversation");
  v("chat_template", o.chat_template,
    "chat template in place of the model's own: a name such as chatml, or a file (Jinja, or JSON with a "
    "chat_template)");
  v("tools", o.tools, "file with a JSON list of tool definitions in OpenAI's form, for the chat template");
  v("template_arg", o.template_arg, "a variable of the chat template, as in enable_thinking=false");
  v("sampling", o.sampling, "Sampling");
  v("shape", o.shape, "Shape");
  v("memory", o.memory, "Memory");
  v("output", o.output, "Output");
  v("compute", o.compute, "Compute");
}

/// Reads turns from standard input: a line is a turn, /reset starts a new conversation, /exit or the end of the input ends. Ctrl-C
/// ends an answer, a second one the program. When the conversation outgrows the context its oldest turns are dropped,
/// with a note. With --json each answer is an object on a line of its own. Status 2 when a turn of piped input was
/// refused.
int run_chat(const ChatOptions& options);

}  // namespace tessera::apps
