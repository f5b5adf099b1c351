// Every way of writing a question and its answer becomes one list of turns.
#include "data/instruction_row.h"

#include <string>

#include "core/error.h"

namespace tessera::data {

namespace {
class InstructionReader {
 public:
  InstructionReader(const Json& row, std::string_view where) : row_(row), where_(where) {}

  Json read() {
    if (given("system")) add("system", "system");
    if (row_.contains("completion")) {
      if (row_.contains("label") && row_["label"].is_boolean())
        fail(
            "'label' says whether a completion is good, which no objective here learns from; want those that are good, "
            "without it");
      add("prompt", "user");
      add("completion", "assistant");
    } else {
      add_history();
      std::string question = text("instruction");
      if (given("input") && row_["input"] != "") question += (question.empty() ? "" : "\n\n") + text("input");
      add_turn("user", question);
      add_turn("assistant", text("output"));
    }
    Json whole = row_;
    for (const char* key : {"system", "prompt", "completion", "instruction", "input", "output", "history"})
      whole.erase(key);
    const Json& first = turns_.front();
    const bool sharegpt = first.is_object() && !first.contains("role") && first.contains("from");
    whole[sharegpt ? "conversations" : "messages"] = std::move(turns_);
    return whole;
  }

 private:
  template <class... Args> [[noreturn]] void fail(fmt::format_string<Args...> format, Args&&... args) const {
    throw UserError("[chat] {}: {}", where_, fmt::format(format, std::forward<Args>(args)...));
  }

  bool given(const char* key) const {
    const auto found = row_.find(key);
    return found != row_.end() && !found->is_null();
  }

  std::string what(const char* key) const {
    if (!row_.contains(key)) return "missing";
    const std::string words = row_[key].dump(-1, ' ', /*ensure_ascii=*/true, Json::error_handler_t::replace);
    return words.size() > 60 ? words.substr(0, 57) + "..." : words;
  }

  std::string text(const char* key) const {
    if (!row_.contains(key) || !row_[key].is_string()) fail("'{}' is {}, want a text", key, what(key));
    return row_[key].get<std::string>();
  }

  void add_turn(const char* role, const std::string& words) {
    turns_.push_back(Json{{"role", role}, {"content", words}});
  }

  /// The turns of a key: given as such, as one turn, or as the words of one turn of `role`.
  void add(const char* key, const char* role) {
    const auto found = row_.find(key);
    if (found != row_.end() && found->is_string()) add_turn(role, found->get<std::string>());
    else if (found != row_.end() && found->is_object()) turns_.push_back(*found);
    else if (found != row_.end() && found->is_array() && !found->empty())
      for (const Json& turn : *found) turns_.push_back(turn);
    else fail("'{}' is {}, want a text or a list of turns", key, what(key));
  }

  /// [["question", "answer"], ...]
  void add_history() {
    if (!given("history")) return;
    const Json& history = row_["history"];
    if (!history.is_array()) fail("'history' is {}, want a list of pairs of texts", what("history"));
    for (const Json& pair : history) {
      if (!pair.is_array() || pair.size() != 2 || !pair[0].is_string() || !pair[1].is_string())
        fail("'history' is {}, want a list of pairs of texts", what("history"));
      add_turn("user", pair[0].get<std::string>());
      add_turn("assistant", pair[1].get<std::string>());
    }
  }

  const Json& row_;
  std::string_view where_;
  Json turns_ = Json::array();
};
}  // namespace

bool is_instruction(const Json& row) {
  if (!row.is_object() || row.contains("messages") || row.contains("conversations")) return false;
  return row.contains("completion") || row.contains("instruction");
}

Json instruction_conversation(const Json& row, std::string_view where) { return InstructionReader(row, where).read(); }

}  // namespace tessera::data
