// What differs between the two is names and nesting; everything else is read as a chat is.
#include "serve/response_request.h"

#include "serve/api_error.h"
#include "serve/text_request.h"

namespace tessera::serve {

namespace {

Json message_of(const Fields& item, size_t index, Json& messages) {
  const std::string type = item.text("type", "message");
  if (type == "message") return {{"role", item.required_text("role")}, {"content", item.required("content")}};
  if (type == "function_call") {
    const Json call = {
        {"id", item.text("call_id")},
        {"type", "function"},
        {"function", {{"name", item.required_text("name")}, {"arguments", item.required_text("arguments")}}}};
    if (!messages.empty() && messages.back().value("role", "") == "assistant") {  // calls of one turn stand together
      messages.back()["tool_calls"].push_back(call);
      return nullptr;
    }
    return {{"role", "assistant"}, {"content", ""}, {"tool_calls", Json::array({call})}};
  }
  if (type == "function_call_output")
    return {{"role", "tool"}, {"tool_call_id", item.text("call_id")}, {"content", item.required("output")}};
  if (type == "reasoning") return nullptr;  // of another model's turn, which no template here reads
  throw ApiError(
      400, fmt::format("'input[{}].type' is '{}', want message, function_call or function_call_output", index, type),
      fmt::format("input[{}].type", index));
}

Json tools_of(const Fields& fields) {
  const Json* const given = fields.list("tools");
  Json tools = Json::array();
  if (given == nullptr) return tools;
  for (size_t i = 0; i < given->size(); ++i) {
    const Fields tool((*given)[i], fmt::format("tools[{}].", i));
    const std::string type = tool.required_text("type");
    if (type != "function")
      throw ApiError(400, fmt::format("'tools[{}].type' is '{}', want function: this server runs no tools", i, type),
                     fmt::format("tools[{}].type", i));
    Json function = (*given)[i];
    function.erase("type");
    tools.push_back({{"type", "function"}, {"function", std::move(function)}});
  }
  return tools;
}

}  // namespace

Json chat_of_response_request(const Json& body) {
  const Fields fields(body);
  for (const char* name : {"previous_response_id", "conversation", "prompt"}) {
    if (fields.has(name))
      throw ApiError(
          400,
          fmt::format("'{}' is not supported: this server keeps no answers; send the conversation as 'input'", name),
          name);
  }
  refuse_other_formats(fields);
  if (fields.flag("background"))
    throw ApiError(400, "'background' is not supported: this server keeps no answers", "background");
  Json messages = Json::array();
  if (fields.has("instructions")) messages.push_back({{"role", "system"}, {"content", fields.text("instructions")}});
  const Json& input = fields.required("input");
  if (input.is_string()) {
    messages.push_back({{"role", "user"}, {"content", input}});
  } else if (input.is_array() && !input.empty()) {
    for (size_t i = 0; i < input.size(); ++i) {
      Json message = message_of(Fields(input[i], fmt::format("input[{}].", i)), i, messages);
      if (!message.is_null()) messages.push_back(std::move(message));
    }
  } else {
    fields.refuse("input", input, "a text or a list of items");
  }
  Json chat = Json::object();
  for (const char* name : {"model", "stream", "temperature", "top_p", "top_k", "min_p", "seed", "user",
                           "safety_identifier", "tessera", "presence_penalty", "frequency_penalty",
                           "chat_template_kwargs", "tool_choice", "response_format", "json_schema"}) {
    if (const Json* value = fields.find(name)) chat[name] = *value;
  }
  chat["messages"] = std::move(messages);
  if (const auto most = fields.whole("max_output_tokens", 1, INT32_MAX)) chat["max_completion_tokens"] = *most;
  if (const Json* text = fields.object("text")) {
    if (const Json* format = Fields(*text, "text.").object("format")) {
      const bool schema = Fields(*format, "text.format.").text("type", "text") == "json_schema";
      chat["response_format"] = schema ? Json{{"type", "json_schema"}, {"json_schema", *format}} : *format;
    }
  }
  if (Json tools = tools_of(fields); !tools.empty()) chat["tools"] = std::move(tools);
  if (const Json* choice = fields.find("tool_choice");
      choice != nullptr && choice->is_object() && choice->contains("name"))
    chat["tool_choice"] = {{"type", "function"}, {"function", {{"name", (*choice)["name"]}}}};
  return chat;
}

Json repeated_of_response_request(const Json& body) {
  Json said = {{"instructions", nullptr},
               {"tools", Json::array()},
               {"tool_choice", "auto"},
               {"truncation", "disabled"},
               {"parallel_tool_calls", true},
               {"text", {{"format", {{"type", "text"}}}}},
               {"top_p", 1.0},
               {"presence_penalty", 0.0},
               {"frequency_penalty", 0.0},
               {"top_logprobs", 0},
               {"temperature", 1.0},
               {"reasoning", {{"effort", nullptr}, {"summary", nullptr}}},
               {"max_output_tokens", nullptr},
               {"max_tool_calls", nullptr},
               {"store", false},
               {"background", false},
               {"service_tier", "default"},
               {"metadata", Json::object()},
               {"safety_identifier", nullptr},
               {"prompt_cache_key", nullptr}};
  for (const char* name :
       {"instructions", "tools", "tool_choice", "text", "top_p", "presence_penalty", "frequency_penalty", "temperature",
        "max_output_tokens", "metadata", "safety_identifier", "prompt_cache_key"}) {
    const auto found = body.find(name);
    if (found != body.end() && !found->is_null()) said[name] = *found;
  }
  if (!said["text"].is_object() || !said["text"].contains("format")) said["text"] = {{"format", {{"type", "text"}}}};
  for (Json& tool : said["tools"]) {
    for (const char* name : {"description", "parameters", "strict"}) {
      if (tool.is_object() && !tool.contains(name)) tool[name] = nullptr;
    }
  }
  return said;
}

}  // namespace tessera::serve
