// One turn of a conversation, with the pictures or clips that come with it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace tessera::text {

struct Message {
  std::string role;     // "system", "user", "assistant"
  std::string content;  // as typed; control and media tokens in it are plain text to a tokenizer
  int64_t media = 0;    // how many of the conversation's pictures and clips, in order, come before this text
  bool operator==(const Message&) const = default;
};

}  // namespace tessera::text
