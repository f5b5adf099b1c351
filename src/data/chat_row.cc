// Reading conversation rows. Every error is one line with the position.
#include "data/chat_row.h"

#include <algorithm>
#include <array>
#include <optional>

#include "core/error.h"
#include "data/instruction_row.h"
#include "data/preference_row.h"

namespace tessera::data {

namespace {
/// Of a row, for errors.
constexpr const char* layouts =
    "\"messages\" or \"conversations\" (lists of turns), \"prompt\" and \"completion\", \"instruction\" and "
    "\"output\", or "
    "\"prompt\", \"chosen\" and \"rejected\"";

/// Words of the input as an error may show them: short ASCII on one line.
std::string shown(const Json& value) {
  std::string text = value.dump(-1, ' ', /*ensure_ascii=*/true, Json::error_handler_t::replace);
  return text.size() > 60 ? text.substr(0, 57) + "..." : text;
}

class Reader {
 public:
  explicit Reader(std::string_view where) : where_(where) {}

  ChatRow read(const Json& row) {
    if (!row.is_object()) fail("want an object with {}, got {}", layouts, shown(row));
    if (!row.contains("messages") && !row.contains("conversations")) fail("'messages' is missing, want {}", layouts);
    collect(row, {"images", "image"}, images_);
    collect(row, {"videos", "video"}, videos_);
    const bool sharegpt = !row.contains("messages") && row.contains("conversations");
    const char* key = sharegpt ? "conversations" : "messages";
    const auto turns = row.find(key);
    if (!turns->is_array() || turns->empty()) fail("'{}' is {}, want a list of turns", key, shown(*turns));
    for (const Json& turn : *turns) add_turn(turn, sharegpt);
    read_tools(row);
    give_leftovers();
    const auto answers = [](const text::Message& m) {
      return m.role == "assistant" && (!m.content.empty() || m.extra.contains("tool_calls"));
    };
    if (std::ranges::none_of(row_.messages, answers)) fail("no assistant's turn has words to learn");
    return std::move(row_);
  }

  template <class... Args> [[noreturn]] void fail(fmt::format_string<Args...> format, Args&&... args) const {
    throw UserError("[chat] {}: {}", where_, fmt::format(format, std::forward<Args>(args)...));
  }

 private:
  void collect(const Json& row, const std::array<const char*, 2>& keys, std::vector<std::string>& paths) const {
    for (const char* key : keys) {
      const auto found = row.find(key);
      if (found == row.end() || found->is_null()) continue;
      if (found->is_string()) paths.push_back(found->get<std::string>());
      else if (!found->is_array()) fail("'{}' is {}, want a path or a list of paths", key, shown(*found));
      else
        for (const Json& path : *found) {
          if (!path.is_string()) fail("'{}' holds {}, want paths", key, shown(path));
          paths.push_back(path.get<std::string>());
        }
    }
    if (std::ranges::any_of(paths, [](const std::string& p) { return p.empty(); })) fail("a path is empty");
  }

  std::string text_of(const Json& turn, const char* key) const {
    const auto found = turn.find(key);
    if (found == turn.end() || !found->is_string())
      fail("a turn's '{}' is {}, want a text", key, found == turn.end() ? "missing" : shown(*found));
    return found->get<std::string>();
  }

  void add_turn(const Json& turn, bool sharegpt) {
    if (!turn.is_object()) fail("a turn is {}, want an object", shown(turn));
    std::string role = text_of(turn, sharegpt ? "from" : "role");
    if (role == "human") role = "user";
    if (role == "gpt") role = "assistant";
    if (sharegpt && role == "observation") role = "tool";
    if (role != "system" && role != "user" && role != "assistant" && role != "tool")
      fail("a turn's role is {}, want system, user, assistant or tool", shown(role));
    text::Message message{.role = role};
    read_extra(turn, message);
    const auto content = turn.find("content");
    const bool calls = message.extra.contains("tool_calls");
    if (!sharegpt && calls && (content == turn.end() || content->is_null())) {
      // the calls are the turn's words
    } else if (!sharegpt && content != turn.end() && content->is_array()) {
      for (const Json& part : *content) add_part(part, message);
    } else {
      message.content = text_of(turn, sharegpt ? "value" : "content");
      if (role == "user") take_places(message);
    }
    row_.messages.push_back(std::move(message));
  }

  /// What a template may ask for beside the words.
  void read_extra(const Json& turn, text::Message& message) const {
    for (const char* key : {"tool_calls", "tool_call_id", "name", "reasoning_content"}) {
      const auto found = turn.find(key);
      if (found == turn.end() || found->is_null() || (found->is_array() && found->empty())) continue;
      const bool calls = std::string_view(key) == "tool_calls";
      if (calls ? !found->is_array() : !found->is_string())
        fail("a turn's '{}' is {}, want {}", key, shown(*found), calls ? "a list" : "a text");
      if (calls && message.role != "assistant")
        fail("a turn of the {} has tool_calls, want them in an assistant's", message.role);
      if (message.extra.is_null()) message.extra = Json::object();
      message.extra[key] = *found;
    }
  }

  /// A list of definitions, or the same as JSON in a text, as tables of texts hold it.
  void read_tools(const Json& row) {
    const auto found = row.find("tools");
    if (found == row.end() || found->is_null() || *found == Json("")) return;
    row_.tools = *found;
    if (found->is_string()) {
      if (!Json::accept(found->get_ref<const std::string&>())) fail("'tools' is {}, want a list", shown(*found));
      row_.tools = parse_json(found->get_ref<const std::string&>(), where_);
    }
    const bool objects =
        row_.tools.is_array() && std::ranges::all_of(row_.tools, [](const Json& t) { return t.is_object(); });
    if (!objects) fail("'tools' is {}, want a list of objects", shown(row_.tools));
    if (row_.tools.empty()) row_.tools = nullptr;
  }

  void add_part(const Json& part, text::Message& message) {
    if (!part.is_object()) fail("a part is {}, want an object", shown(part));
    const std::string type = text_of(part, "type");
    if (type == "text") {
      message.content += text_of(part, "text");
    } else if (type == "image" || type == "image_url" || type == "video" || type == "video_url") {
      if (message.role != "user") fail("a picture stands in a turn of the {}, want it in a user's", message.role);
      const bool clip = type.starts_with("video");
      add_media(message, clip, path_in(part, type));
    } else {
      fail("a part's type is {}, want text, image or video", shown(type));
    }
  }

  /// A part's own path, in whichever key it is written; empty when the row's lists have it.
  std::optional<std::string> path_in(const Json& part, const std::string& type) const {
    for (const std::string& key : {type, std::string("path"), std::string("url")}) {
      auto found = part.find(key);
      if (found == part.end() || found->is_null()) continue;
      if (found->is_object()) {
        const auto inner = found->find("url");
        if (inner == found->end()) fail("a part's '{}' has no url", key);
        found = inner;
      }
      if (!found->is_string() || found->get_ref<const std::string&>().empty())
        fail("a part's '{}' is {}, want a path", key, shown(*found));
      const std::string path = found->get<std::string>();
      if (path.starts_with("http:") || path.starts_with("https:") || path.starts_with("data:"))
        fail("a part names {}, want a path on this machine", shown(path));
      return path;
    }
    return std::nullopt;
  }

  void add_media(text::Message& message, bool clip, std::optional<std::string> own) {
    std::vector<std::string>& listed = clip ? videos_ : images_;
    size_t& next = clip ? next_video_ : next_image_;
    if (!own) {
      if (next == listed.size())
        fail("more places for {} than the {} that the row lists", clip ? "clips" : "pictures", listed.size());
      own = listed[next++];
    }
    row_.media.push_back({*own, clip});
    ++message.media;
  }

  /// "<image>" and "<video>" out of a user's words, with the line end that follows; only where the row has such files.
  void take_places(text::Message& message) {
    std::string words;
    std::string_view rest = message.content;
    while (!rest.empty()) {
      const size_t image = images_.empty() ? std::string_view::npos : rest.find("<image>");
      const size_t video = videos_.empty() ? std::string_view::npos : rest.find("<video>");
      const size_t at = std::min(image, video);
      if (at == std::string_view::npos) break;
      words += rest.substr(0, at);
      rest.remove_prefix(at + std::string_view("<image>").size());
      if (rest.starts_with('\n')) rest.remove_prefix(1);
      add_media(message, video < image, std::nullopt);
    }
    message.content = words + std::string(rest);
  }

  /// Files that no turn named go to the first user's turn, before its words; all or none of a row's must be named.
  void give_leftovers() {
    const size_t left = images_.size() - next_image_ + videos_.size() - next_video_;
    if (left == 0) return;
    const auto user = std::ranges::find(row_.messages, "user", &text::Message::role);
    if (!row_.media.empty() || user == row_.messages.end())
      fail("{} of the row's pictures and clips have no place in a user's turn", left);
    for (const std::string& path : images_) row_.media.push_back({path, false});
    for (const std::string& path : videos_) row_.media.push_back({path, true});
    user->media = std::ssize(row_.media);
  }

  std::string_view where_;
  std::vector<std::string> images_, videos_;
  size_t next_image_ = 0, next_video_ = 0;
  ChatRow row_;
};
}  // namespace

ChatRow parse_chat_row(std::string_view line, std::string_view where, RowRepairs* repairs) {
  Json row;
  try {
    row = parse_json_row(line, where, repairs);
  } catch (const UserError&) {
    throw UserError("[chat] {}: not valid JSON", where);
  }
  if (!is_preference(row)) return Reader(where).read(is_instruction(row) ? instruction_conversation(row, where) : row);
  const auto [chosen, rejected] = preference_conversations(row, where);
  ChatRow pair = Reader(where).read(chosen);
  pair.rejected = Reader(where).read(rejected).messages;
  return pair;
}

}  // namespace tessera::data
