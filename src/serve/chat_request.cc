// Contents are a text, or parts; the texts of a message are joined, and its media come before them in order.
#include "serve/chat_request.h"

#include <mutex>

#include "core/base64.h"
#include "core/error.h"
#include "media/read_media.h"
#include "serve/api_error.h"

namespace tessera::serve {

namespace {

constexpr size_t most_messages = 4096, most_media = 64, most_decoded = size_t{512} << 20;

/// The data URI of an image_url, video_url or input_image part.
std::string uri_of(const Fields& part, const std::string& kind) {
  const Json& value = part.required(kind);
  if (value.is_string()) return value.get<std::string>();
  const Fields inner(value, part.path_of(kind) + ".");
  return inner.required_text("url");
}

void add_part(Conversation& conversation, text::Message& message, const Json& tree, const std::string& path) {
  const Fields part(tree, path + ".");
  const std::string type = part.required_text("type");
  if (type == "text" || type == "input_text" || type == "output_text") {
    message.content += part.required_text("text");
    return;
  }
  if (type == "refusal") {
    message.content += part.required_text("refusal");
    return;
  }
  const bool picture = type == "image_url" || type == "input_image", clip = type == "video_url";
  if (!picture && !clip)
    throw ApiError(400, fmt::format("'{}.type' is '{}', want text, image_url or video_url", path, type),
                   path + ".type");
  if (message.role != "user")
    throw ApiError(
        400, fmt::format("'{}' is a picture of the role '{}'; only a user's turn may have some", path, message.role),
        path);
  if (conversation.media.size() == most_media)
    throw ApiError(413, fmt::format("the conversation has more than {} pictures and clips", most_media), path);
  const std::string kind = clip ? "video_url" : "image_url";
  conversation.media.push_back({data_uri_bytes(uri_of(part, kind), path), path});
  ++message.media;
}

/// The role as chat templates call it.
std::string role_of(const Fields& fields) {
  const std::string role = fields.required_text("role");
  if (role == "developer") return "system";
  for (const char* known : {"system", "user", "assistant", "tool"}) {
    if (role == known) return role;
  }
  throw ApiError(
      400, fmt::format("'{}' is '{}', want system, developer, user, assistant or tool", fields.path_of("role"), role),
      fields.path_of("role"));
}

text::Message read_message(Conversation& conversation, const Json& tree, const std::string& path) {
  const Fields fields(tree, path + ".");
  text::Message message{.role = role_of(fields)};
  if (const Json* content = fields.find("content")) {
    if (content->is_string()) {
      message.content = content->get<std::string>();
    } else if (content->is_array()) {
      for (size_t i = 0; i < content->size(); ++i)
        add_part(conversation, message, (*content)[i], path + ".content[" + std::to_string(i) + "]");
    } else {
      fields.refuse("content", *content, "a text or a list of parts");
    }
  } else if (message.role != "assistant") {
    fields.required("content");
  }
  for (const char* name : {"tool_calls", "tool_call_id", "name", "reasoning_content"}) {
    const Json* const value = fields.find(name);
    if (value == nullptr) continue;
    if (message.extra.is_null()) message.extra = Json::object();
    message.extra[name] = *value;
  }
  return message;
}

/// Arguments of calls come as text, and templates want what the text says.
void parse_arguments(text::Message& message, const std::string& path) {
  if (!message.extra.is_object() || !message.extra.contains("tool_calls")) return;
  Json& calls = message.extra["tool_calls"];
  if (!calls.is_array()) throw ApiError(400, fmt::format("'{}.tool_calls' is no list", path), path + ".tool_calls");
  for (Json& call : calls) {
    if (!call.is_object() || !call.contains("function") || !call["function"].is_object())
      throw ApiError(400, fmt::format("'{}.tool_calls' holds something else than calls of functions", path),
                     path + ".tool_calls");
    Json& function = call["function"];
    if (!function.contains("arguments") || !function["arguments"].is_string()) continue;
    const std::string said = function["arguments"].get<std::string>();
    if (auto parsed = parse_json(said)) function["arguments"] = std::move(*parsed);
  }
}

void read_tools(const Fields& fields, Conversation& conversation) {
  if (fields.has("functions"))
    throw ApiError(400, "'functions' is the old form and not supported; use 'tools'", "functions");
  const Json* const tools = fields.list("tools");
  const Json* const choice = fields.find("tool_choice");
  const bool none = choice != nullptr && *choice == "none";
  if (tools == nullptr || tools->empty() || none) return;
  for (size_t i = 0; i < tools->size(); ++i) {
    const Fields tool((*tools)[i], "tools[" + std::to_string(i) + "].");
    if (tool.text("type", "function") != "function")
      throw ApiError(400, fmt::format("'{}' is '{}', want function", tool.path_of("type"), tool.text("type")),
                     tool.path_of("type"));
    if (const Json* function = tool.object("function"))
      Fields(*function, tool.path_of("function.")).required_text("name");
    else tool.required("function");
  }
  conversation.inputs.tools = *tools;
}

}  // namespace

std::string data_uri_bytes(std::string_view uri, const std::string& param) {
  const size_t comma = uri.substr(0, 256).find(',');
  if (!uri.starts_with("data:") || comma == std::string_view::npos || !uri.substr(0, comma).ends_with(";base64")) {
    throw ApiError(400,
                   fmt::format("'{}' must be a data URI (data:image/png;base64,...): this server fetches nothing and "
                               "opens no files",
                               param),
                   param);
  }
  auto bytes = base64_decoded(uri.substr(comma + 1));
  if (!bytes) throw ApiError(400, fmt::format("'{}' is no base64", param), param);
  return std::move(*bytes);
}

std::vector<Media> decoded_media(const std::vector<Attachment>& attachments, int64_t frames) {
  static std::mutex one_at_a_time;  // a small file may unfold into a quarter of a gigabyte
  const std::lock_guard lock(one_at_a_time);
  std::vector<Media> all;
  size_t bytes = 0;
  for (const Attachment& one : attachments) {
    try {
      all.push_back(media::decode_media(one.bytes, one.path, frames));
    } catch (const UserError& error) {
      throw ApiError(400, error.what(), one.path);
    }
    for (const Image& frame : all.back().frames) bytes += frame.pixels.size();
    if (bytes > most_decoded) {
      throw ApiError(
          413,
          fmt::format("the pictures and clips of a request unfold into more than this server's limit of {} MB",
                      most_decoded >> 20),
          one.path);
    }
  }
  return all;
}

Conversation read_conversation(const Fields& fields) {
  Conversation conversation;
  const Json& list = fields.required("messages");
  if (!list.is_array() || list.empty()) fields.refuse("messages", list, "a list of messages");
  if (list.size() > most_messages)
    throw ApiError(413, fmt::format("the conversation has {} messages, want at most {}", list.size(), most_messages),
                   "messages");
  for (size_t i = 0; i < list.size(); ++i) {
    const std::string path = "messages[" + std::to_string(i) + "]";
    text::Message message = read_message(conversation, list[i], path);
    parse_arguments(message, path);
    conversation.messages.push_back(std::move(message));
  }
  read_tools(fields, conversation);
  if (const Json* arguments = fields.object("chat_template_kwargs")) conversation.inputs.arguments = *arguments;
  return conversation;
}

}  // namespace tessera::serve
