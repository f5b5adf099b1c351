// One line of a conversation file, in any of the ways people write them. Pure text: nothing is opened.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/json_rows.h"
#include "text/message.h"

namespace tessera::data {

/// A picture or clip that a row names, as it is written there.
struct ChatMedia {
  std::string path;
  bool clip = false;
  bool operator==(const ChatMedia&) const = default;
};

struct ChatRow {
  std::vector<text::Message> messages;
  std::vector<text::Message>
      rejected;                  // of a pair: the conversation with the worse answer; `messages` has the better one
  Json tools = nullptr;          // definitions that the conversation may use; null: none
  std::vector<ChatMedia> media;  // in the order of the messages
};

/// Reads
///   {"messages": [{"role": "user", "content": "..."}, ...], "images": ["a.png", ...], "videos": [...]}
///   the same with content as a list of parts, {"type": "text" | "image" | "video", ...}, which may name their file
///   {"conversations": [{"from": "human" | "gpt" | "system", "value": "<image>\n..."}, ...], "image": "a.png"} (ShareGPT, LLaVA)
///   {"prompt": ..., "completion": ...} (TRL) and {"instruction": "...", "input": "...", "output": "..."} (Alpaca), see instruction_row.h
/// A turn may be a tool's, an assistant's may have "tool_calls" in place of words, and "tools" lists definitions (also as JSON in a text);
/// what a template may ask for beside the words ("tool_calls", "tool_call_id", "name", "reasoning_content") is kept.
/// Where a row has pictures, "<image>" and "<video>" in a user's words are replaced by the next one; pictures that no turn names belong to
/// the first user's turn. A turn's pictures come before its words. `where` opens errors ("a.jsonl line 3"). Throws UserError: no JSON, a key that is missing or of the
/// wrong type, an unknown role, no assistant's turn, more or fewer pictures than turns name.
/// A pair of answers to one prompt is a row of its own,
///   {"prompt": "..." or turns, "chosen": "..." or turns, "rejected": "..." or turns}, with "system": "..." where there is one
///   the same without "prompt", where both lists are whole conversations that begin with the same turns (TRL, HH-RLHF)
///   {"prompt": ..., "a": "...", "b": "...", "winner": "a" | "b"}, a vote
/// Votes for neither ("tie") are refused: they prefer nothing. A pair of equal answers is read, and teaches a preference nothing.
/// What became U+FFFD is counted in `repairs`.
ChatRow parse_chat_row(std::string_view line, std::string_view where, RowRepairs* repairs = nullptr);

}  // namespace tessera::data
