// Mutated conversation rows: each is read or refused by one line of text.
#include <gtest/gtest.h>

#include <stdexcept>

#include "core/error.h"
#include "core/json.h"
#include "data/chat_row.h"
#include "tests/fuzz/mutate.h"

namespace tessera::testing {
namespace {

const std::vector<std::string> corpus = {
    R"({"messages":[{"role":"user","content":"hi"},{"role":"assistant","content":"ho"}]})",
    R"({"images":["a.png","b.png"],"video":"c.mp4","messages":[{"role":"user","content":"<image><video>one"},{"role":"assistant","content":"1"},{"role":"user","content":"two <image>"},{"role":"assistant","content":"2"}]})",
    R"({"messages":[{"role":"user","content":[{"type":"image","image":"cat.png"},{"type":"text","text":"What?"}]},{"role":"assistant","content":[{"type":"text","text":"A cat."}]}]})",
    R"({"id":7,"image":"cat.png","conversations":[{"from":"system","value":"Be brief."},{"from":"human","value":"<image>\nWhat?"},{"from":"gpt","value":"A cat."}]})"};
const std::vector<std::string> words = {
    "null",     "-1",        "\"\"",       "[]",        "{}",        "[",        "]",
    "{",        "}",         ",",          ":",         "\"",        "\\ud800",  "\n",
    "\xff\xfe", "<image>",   "<video>",    "\"image\"", "\"video\"", "\"text\"", "\"role\"",
    "system",   "assistant", "\"images\"", "\"url\"",   "https://",  "1e999",    std::string(300, '[')};

/// True for a row that was read: its pictures are all placed, and some words are the assistant's.
bool reads_whole(const std::string& line) {
  data::ChatRow row;
  try {
    row = data::parse_chat_row(line, "a.jsonl line 1");
  } catch (const UserError& error) {
    const std::string message = error.what();
    if (!message.starts_with("[chat] a.jsonl line 1: ") || message.size() > 400) throw std::logic_error(message);
    for (const char c : message) {
      if (static_cast<unsigned char>(c) < ' ') throw std::logic_error("a message of more than one line: " + message);
    }
    return false;
  }
  int64_t placed = 0;
  bool answered = false;
  for (const text::Message& m : row.messages) {
    placed += m.media;
    answered = answered || (m.role == "assistant" && !m.content.empty());
    if (m.role != "system" && m.role != "user" && m.role != "assistant") throw std::logic_error("role " + m.role);
    if (m.media > 0 && m.role != "user") throw std::logic_error("pictures of " + m.role);
  }
  if (!answered) throw std::logic_error("nothing to learn");
  if (placed != std::ssize(row.media)) throw std::logic_error("pictures without a place");
  return true;
}

TEST(Fuzz, MutatedConversationRowsAreReadOrRefused) {
  int read = 0;
  for (const std::string& line : corpus) EXPECT_TRUE(reads_whole(line)) << line;
  Rng rng(11);
  for (int round = 0; round < 6000; ++round) {
    const std::string line = mutate(corpus, words, rng);
    try {
      read += reads_whole(line);
    } catch (const std::exception& error) {
      FAIL() << "round " << round << ": " << error.what() << "\n" << ::testing::PrintToString(line);
    }
  }
  EXPECT_GT(read, 200);
  EXPECT_LT(read, 5400);
}

}  // namespace
}  // namespace tessera::testing
