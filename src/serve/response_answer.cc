// The shape of /v1/responses: one answer that is kept nowhere, as an object or as events that build it up.
#include "serve/answer.h"
#include "serve/api_error.h"

namespace tessera::serve {

namespace {

class ResponseAnswer final : public Answer {
 public:
  ResponseAnswer(std::shared_ptr<Exchange> exchange, AnswerOptions options, RequestLog log, Json tools, Json said)
      : Answer(std::move(exchange), std::move(options), std::move(log)), tools_(std::move(tools)),
        said_(std::move(said)), item_id_("msg_" + own_id()) {}

 protected:
  void on_start() override {
    if (!options().stream) return;
    send("response.created", {{"response", body("in_progress", Json::array())}});
    send("response.in_progress", {{"response", body("in_progress", Json::array())}});
  }
  void on_text(size_t, const std::string& text, const std::vector<TokenNote>&) override {
    if (!options().stream) return;
    if (tools_.is_null()) delta(text);  // what may be a call is shown at the end
  }
  void on_choice_end(size_t) override {
    if (!tools_.is_null()) calls_ = take_tool_calls(choice(0).text, tools_);
  }
  void on_end() override {
    if (!tools_.is_null() && !choice(0).text.empty()) delta(choice(0).text);
    if (!open_ && calls_.empty()) delta("");
    int64_t index = 0;
    if (open_) {
      const std::string& text = choice(0).text;
      const Json at = {{"item_id", item_id_}, {"output_index", 0}, {"content_index", 0}};
      Json done = at;
      done["text"] = text;
      done["logprobs"] = Json::array();
      send("response.output_text.done", std::move(done));
      Json part = at;
      part["part"] = content_json(text);
      send("response.content_part.done", std::move(part));
      send("response.output_item.done", {{"output_index", index++}, {"item", message_json(status())}});
    }
    for (size_t c = 0; c < calls_.size(); ++c) {
      const Json item = call_json(c);
      Json begun = item;
      begun["status"] = "in_progress";
      begun["arguments"] = "";
      send("response.output_item.added", {{"output_index", index}, {"item", begun}});
      send("response.function_call_arguments.delta",
           {{"item_id", item["id"]}, {"output_index", index}, {"delta", item["arguments"]}});
      send("response.function_call_arguments.done",
           {{"item_id", item["id"]}, {"output_index", index}, {"arguments", item["arguments"]}});
      send("response.output_item.done", {{"output_index", index++}, {"item", item}});
    }
    send("response." + status(), {{"response", whole()}});
  }
  Json whole() override {
    Json output = Json::array();
    if (!choice(0).text.empty() || calls_.empty()) output.push_back(message_json(status()));
    for (size_t c = 0; c < calls_.size(); ++c) output.push_back(call_json(c));
    return body(status(), std::move(output));
  }

 private:
  std::string own_id() const { return options().id.substr(options().id.find('_') + 1); }
  std::string status() {
    return calls_.empty() && choice(0).reason == generate::StopReason::length ? "incomplete" : "completed";
  }
  static Json content_json(const std::string& text) {
    return {{"type", "output_text"}, {"text", text}, {"annotations", Json::array()}, {"logprobs", Json::array()}};
  }
  Json message_json(const std::string& status) {
    return {{"type", "message"},
            {"id", item_id_},
            {"status", status},
            {"role", "assistant"},
            {"content", Json::array({content_json(choice(0).text)})}};
  }
  Json call_json(size_t c) const {
    const std::string id = fmt::format("{}_{}", own_id(), c);
    return {{"type", "function_call"},          {"id", "fc_" + id},
            {"call_id", "call_" + id},          {"name", calls_[c].name},
            {"arguments", calls_[c].arguments}, {"status", "completed"}};
  }
  void delta(const std::string& text) {
    if (!open_) {
      open_ = true;
      Json item = message_json("in_progress");
      item["content"] = Json::array();
      send("response.output_item.added", {{"output_index", 0}, {"item", std::move(item)}});
      send("response.content_part.added",
           {{"item_id", item_id_}, {"output_index", 0}, {"content_index", 0}, {"part", content_json("")}});
    }
    if (text.empty()) return;
    send("response.output_text.delta", {{"item_id", item_id_},
                                        {"output_index", 0},
                                        {"content_index", 0},
                                        {"delta", text},
                                        {"logprobs", Json::array()}});
  }
  void send(const std::string& type, Json data) {
    Json event_data = {{"type", type}, {"sequence_number", sequence_++}};
    event_data.update(data);
    event(event_data, type);
  }
  /// The object with every field that the reference requires; what was asked for is repeated.
  Json body(const std::string& status, Json output) {
    const bool done = status != "in_progress";
    Json object = {
        {"id", options().id},
        {"object", "response"},
        {"created_at", created()},
        {"completed_at",
         done ? Json(created() + static_cast<int64_t>(seconds_between(log().arrived, Clock::now()))) : Json(nullptr)},
        {"status", status},
        {"error", nullptr},
        {"incomplete_details", status == "incomplete" ? Json{{"reason", "max_output_tokens"}} : Json(nullptr)},
        {"model", options().model},
        {"output", std::move(output)},
        {"previous_response_id", nullptr},
        {"usage", nullptr}};
    object.update(said_);
    if (done) {
      object["usage"] = {{"input_tokens", log().prompt_tokens},
                         {"input_tokens_details", {{"cached_tokens", log().cached_tokens}}},
                         {"output_tokens", log().new_tokens},
                         {"output_tokens_details", {{"reasoning_tokens", 0}}},
                         {"total_tokens", log().prompt_tokens + log().new_tokens}};
      if (!options().receipt.is_null()) object["tessera"] = {{"receipt", receipt_json()}};
    }
    return object;
  }

  Json tools_, said_;
  std::string item_id_;
  std::vector<ToolCall> calls_;
  bool open_ = false;
  int64_t sequence_ = 0;
};

}  // namespace

std::shared_ptr<Answer> make_response_answer(std::shared_ptr<Exchange> exchange, AnswerOptions options, RequestLog log,
                                             Json tools, Json said) {
  return std::make_shared<ResponseAnswer>(std::move(exchange), std::move(options), std::move(log), std::move(tools),
                                          std::move(said));
}

}  // namespace tessera::serve
