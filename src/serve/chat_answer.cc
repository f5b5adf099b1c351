// The shape of /v1/chat/completions, and calls of tools in what a model wrote.
#include "core/text_file.h"
#include "serve/answer.h"
#include "serve/api_error.h"
#include "serve/json_fields.h"

namespace tessera::serve {

namespace {

Json logprobs_json(const text::Tokenizer& tokenizer, const std::vector<TokenNote>& notes) {
  Json content = Json::array();
  for (const TokenNote& note : notes) {
    Json entry = token_json(tokenizer, note.id, note.log_probability);
    entry["top_logprobs"] = Json::array();
    for (const auto& [id, log] : note.top) entry["top_logprobs"].push_back(token_json(tokenizer, id, log));
    content.push_back(std::move(entry));
  }
  return {{"content", std::move(content)}, {"refusal", nullptr}};
}

class ChatAnswer final : public Answer {
 public:
  ChatAnswer(std::shared_ptr<Exchange> exchange, AnswerOptions options, RequestLog log, Json tools)
      : Answer(std::move(exchange), std::move(options), std::move(log)), tools_(std::move(tools)),
        held_(this->options().choices), calls_(this->options().choices) {}

 protected:
  void on_start() override {
    if (!options().stream) return;
    for (size_t c = 0; c < options().choices; ++c) send(c, {{"role", "assistant"}, {"content", ""}}, nullptr, nullptr);
  }

  void on_text(size_t c, const std::string& text, const std::vector<TokenNote>& notes) override {
    if (!options().stream) return;
    const std::string shown = tools_.is_null() ? text : may_be_shown(c, text);
    if (shown.empty() && notes.empty()) return;
    send(c, {{"content", shown}}, notes.empty() ? Json(nullptr) : logprobs_json(*options().tokenizer, notes), nullptr);
  }

  void on_choice_end(size_t c) override {
    Choice& done = choice(c);
    if (!tools_.is_null()) calls_[c] = take_tool_calls(done.text, tools_);
    if (!options().stream) return;
    if (!held_[c].empty()) {
      std::string rest = std::exchange(held_[c], "");
      if (!calls_[c].empty()) take_tool_calls(rest, tools_);
      if (!rest.empty()) send(c, {{"content", rest}}, nullptr, nullptr);
    }
    if (!calls_[c].empty()) {
      Json list = calls_json(c);
      for (size_t i = 0; i < list.size(); ++i) list[i]["index"] = i;
      send(c, {{"tool_calls", std::move(list)}}, nullptr, nullptr);
    }
    send(c, Json::object(), nullptr, reason_of(c));
  }

  void on_end() override {
    Json last = chunk();
    last["choices"] = Json::array();
    if (options().usage) last["usage"] = usage_json();
    if (!options().receipt.is_null()) last["tessera"] = {{"receipt", receipt_json()}};
    if (options().usage || !options().receipt.is_null()) event(last);
    raw_event("[DONE]");
  }

  Json whole() override {
    Json body = head("chat.completion");
    body["choices"] = Json::array();
    for (size_t c = 0; c < options().choices; ++c) {
      const Choice& done = choice(c);
      Json message = {
          {"role", "assistant"}, {"content", done.text}, {"refusal", nullptr}, {"annotations", Json::array()}};
      if (!calls_[c].empty()) {
        if (done.text.empty()) message["content"] = nullptr;
        message["tool_calls"] = calls_json(c);
      }
      body["choices"].push_back(
          {{"index", c},
           {"message", std::move(message)},
           {"logprobs", options().notes ? logprobs_json(*options().tokenizer, done.notes) : Json(nullptr)},
           {"finish_reason", reason_of(c)}});
    }
    body["usage"] = usage_json();
    if (!options().receipt.is_null()) body["tessera"] = {{"receipt", receipt_json()}};
    return body;
  }

 private:
  Json head(std::string_view object) const {
    return {{"id", options().id},
            {"object", object},
            {"created", created()},
            {"model", options().model},
            {"system_fingerprint", build_name()}};
  }
  Json chunk() const { return head("chat.completion.chunk"); }
  void send(size_t c, Json delta, Json logprobs, const Json& reason) {
    Json body = chunk();
    body["choices"] = Json::array(
        {{{"index", c}, {"delta", std::move(delta)}, {"logprobs", std::move(logprobs)}, {"finish_reason", reason}}});
    if (options().usage) body["usage"] = nullptr;
    event(body);
  }
  std::string reason_of(size_t c) { return calls_[c].empty() ? finish_reason(choice(c).reason) : "tool_calls"; }
  Json calls_json(size_t c) const {
    Json list = Json::array();
    for (size_t i = 0; i < calls_[c].size(); ++i) {
      const ToolCall& call = calls_[c][i];
      list.push_back({{"id", fmt::format("call_{}_{}_{}", options().id.substr(options().id.find('-') + 1), c, i)},
                      {"type", "function"},
                      {"function", {{"name", call.name}, {"arguments", call.arguments}}}});
    }
    return list;
  }
  /// What of the text so far cannot become a call.
  std::string may_be_shown(size_t c, const std::string& text) {
    std::string& held = held_[c];
    held += text;
    constexpr std::string_view mark = "<tool_call>";
    const std::string& all = choice(c).text;
    const size_t first = all.find_first_not_of(" \n\t");
    size_t shown = held.size();
    if (first == std::string::npos || all[first] == '{') shown = 0;  // may be JSON from its beginning
    else if (const size_t at = held.find(mark); at != std::string::npos) shown = at;
    else
      for (size_t n = 1; n < mark.size(); ++n) {
        if (held.ends_with(mark.substr(0, n))) shown = held.size() - n;
      }
    std::string out = held.substr(0, shown);
    held.erase(0, shown);
    return out;
  }

  Json tools_;
  std::vector<std::string> held_;
  std::vector<std::vector<ToolCall>> calls_;
};

std::optional<ToolCall> call_of(std::string_view text, const Json& tools) {
  const Json said = parse_json(text).value_or(Json());
  if (!said.is_object() || !said.contains("name") || !said["name"].is_string()) return std::nullopt;
  const auto name = said["name"].get<std::string>();
  bool offered = false;
  for (const Json& tool : tools) offered = offered || tool["function"]["name"] == name;
  if (!offered) return std::nullopt;
  for (const char* key : {"arguments", "parameters"}) {
    if (said.contains(key))
      return ToolCall{name, said[key].is_string() ? said[key].get<std::string>() : wire(said[key])};
  }
  return ToolCall{name, "{}"};
}

}  // namespace

std::vector<ToolCall> take_tool_calls(std::string& text, const Json& tools) {
  constexpr std::string_view open = "<tool_call>", shut = "</tool_call>";
  std::vector<ToolCall> calls;
  if (const auto alone = call_of(text, tools)) {
    text.clear();
    return {*alone};
  }
  for (size_t at = text.find(open); at != std::string::npos; at = text.find(open, at)) {
    const size_t end = std::min(text.find(shut, at), text.size());
    const auto call = call_of(std::string_view(text).substr(at + open.size(), end - at - open.size()), tools);
    if (!call) {
      at += open.size();
      continue;
    }
    calls.push_back(*call);
    text.erase(at, std::min(end + shut.size(), text.size()) - at);
  }
  if (!calls.empty() && is_blank(text)) text.clear();
  return calls;
}

std::shared_ptr<Answer> make_chat_answer(std::shared_ptr<Exchange> exchange, AnswerOptions options, RequestLog log,
                                         Json tools) {
  return std::make_shared<ChatAnswer>(std::move(exchange), std::move(options), std::move(log), std::move(tools));
}

}  // namespace tessera::serve
