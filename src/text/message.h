// One turn of a conversation, with the pictures or clips that come with it and what else a chat template may ask of it.
#pragma once

#include <cstdint>
#include <ctime>
#include <optional>
#include <string>
#include <vector>

#include "core/json.h"

namespace tessera::text {

struct Message {
  std::string role;     // "system", "user", "assistant", "tool"
  std::string content;  // as typed; control and media tokens in it are plain text to a tokenizer
  int64_t media = 0;    // how many of the conversation's pictures and clips, in order, come before this text
  Json extra =
      nullptr;  // an object of further fields for the template: tool_calls, tool_call_id, name, reasoning_content; null: none
  bool operator==(const Message&) const = default;
};

/// What a chat template may ask for beside the messages.
struct TemplateInputs {
  Json tools = nullptr;             // a list of objects in OpenAI's form; null: none
  Json documents = nullptr;         // a list of objects; null: none
  Json arguments = Json::object();  // free variables of the template's own, such as enable_thinking
  std::optional<std::time_t> now;   // what strftime_now shows; absent: the time
  bool empty() const { return tools.is_null() && documents.is_null() && arguments.empty(); }
};

}  // namespace tessera::text
