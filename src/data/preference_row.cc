// Every way of writing a pair becomes the same two lists of turns.
#include "data/preference_row.h"

#include <string>

#include "core/error.h"

namespace tessera::data {

namespace {
class PairReader {
 public:
  PairReader(const Json& row, std::string_view where) : row_(row), where_(where) {}

  std::pair<Json, Json> read() const {
    auto [chosen, rejected] = answers();
    const auto prompt = row_.find("prompt");
    if (prompt != row_.end() && !prompt->is_null()) {
      const Json beginning = turns(*prompt, "prompt", "user");
      chosen = joined(beginning, chosen);
      rejected = joined(beginning, rejected);
    }
    if (const auto system = row_.find("system"); system != row_.end() && !system->is_null()) {
      const Json beginning = turns(*system, "system", "system");
      chosen = joined(beginning, chosen);
      rejected = joined(beginning, rejected);
    }
    check(chosen, rejected);
    return {conversation(std::move(chosen)), conversation(std::move(rejected))};
  }

 private:
  template <class... Args> [[noreturn]] void fail(fmt::format_string<Args...> format, Args&&... args) const {
    throw UserError("[chat] {}: {}", where_, fmt::format(format, std::forward<Args>(args)...));
  }

  static std::string described(const Json& value) {
    const std::string text = value.dump(-1, ' ', /*ensure_ascii=*/true, Json::error_handler_t::replace);
    return text.size() > 60 ? text.substr(0, 57) + "..." : text;
  }

  /// A list of turns: given as such, as one turn, or as the words of one turn of `role`.
  Json turns(const Json& value, const char* key, const char* role) const {
    if (value.is_string()) {
      Json turn = {{"role", role}, {"content", value}};
      return Json::array({std::move(turn)});
    }
    if (value.is_object()) return Json::array({value});
    if (value.is_array() && !value.empty()) return value;
    fail("'{}' is {}, want a text or a list of turns", key, described(value));
  }

  Json answer(const char* key) const {
    const auto found = row_.find(key);
    if (found == row_.end()) fail("'{}' is missing beside the other answer", key);
    return turns(*found, key, "assistant");
  }

  /// Of the row, the better first.
  std::pair<Json, Json> answers() const {
    const auto winner = row_.find("winner");
    if (winner == row_.end()) return {answer("chosen"), answer("rejected")};
    if (*winner == "a") return {answer("a"), answer("b")};
    if (*winner == "b") return {answer("b"), answer("a")};
    fail("'winner' is {}, want \"a\" or \"b\"; leave out votes that prefer neither", described(*winner));
  }

  static Json joined(Json first, const Json& rest) {
    for (const Json& turn : rest) first.push_back(turn);
    return first;
  }

  static std::string role_of(const Json& turn) {
    for (const char* key : {"role", "from"}) {
      if (turn.is_object() && turn.contains(key) && turn[key].is_string()) return turn[key].get<std::string>();
    }
    return "";
  }

  void check(const Json& chosen, const Json& rejected) const {
    size_t same = 0;
    while (same < chosen.size() && same < rejected.size() && chosen[same] == rejected[same]) ++same;
    if (same == chosen.size() && same == rejected.size()) return;  // teaches nothing: the objective counts it
    if (same == 0) fail("there is no prompt: 'chosen' and 'rejected' begin with different turns");
    for (const Json* each : {&chosen, &rejected}) {
      const std::string role = same < each->size() ? role_of((*each)[same]) : "";
      if (role != "assistant" && role != "gpt")
        fail("the conversations part at a turn of '{}', want the assistant's", role);
    }
  }

  /// With everything else of the row, such as tools and pictures.
  Json conversation(Json turns) const {
    Json whole = row_;
    for (const char* key : {"prompt", "system", "chosen", "rejected", "a", "b", "winner", "conversations"})
      whole.erase(key);
    const bool sharegpt =
        turns.front().is_object() && !turns.front().contains("role") && turns.front().contains("from");
    whole[sharegpt ? "conversations" : "messages"] = std::move(turns);
    return whole;
  }

  const Json& row_;
  std::string_view where_;
};
}  // namespace

bool is_preference(const Json& row) {
  if (!row.is_object()) return false;
  return row.contains("chosen") || row.contains("rejected") || (row.contains("winner") && row.contains("a"));
}

std::pair<Json, Json> preference_conversations(const Json& row, std::string_view where) {
  return PairReader(row, where).read();
}

}  // namespace tessera::data
