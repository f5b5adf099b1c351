// The shape of /v1/completions.
#include "serve/answer.h"

#include <algorithm>

#include "serve/api_error.h"

namespace tessera::serve {

namespace {

class CompletionAnswer final : public Answer {
 public:
  CompletionAnswer(std::shared_ptr<Exchange> exchange, AnswerOptions options, RequestLog log, std::vector<Echo> echo)
      : Answer(std::move(exchange), std::move(options), std::move(log)), echo_(std::move(echo)),
        offsets_(this->options().choices) {}

 protected:
  void on_start() override {
    if (!options().stream || echo_.empty()) return;
    for (size_t c = 0; c < options().choices; ++c) {
      const Echo& echo = echo_of(c);
      send(c, echo.text, options().notes ? logprobs(c, echo.notes, true) : Json(nullptr), nullptr);
    }
  }
  void on_text(size_t c, const std::string& text, const std::vector<TokenNote>& notes) override {
    if (options().stream) send(c, text, options().notes ? logprobs(c, notes, false) : Json(nullptr), nullptr);
  }
  void on_choice_end(size_t c) override {
    if (options().stream) send(c, "", nullptr, finish_reason(choice(c).reason));
  }
  void on_end() override {
    Json last = head();
    last["choices"] = Json::array();
    if (options().usage) last["usage"] = usage_json();
    if (!options().receipt.is_null()) last["tessera"] = {{"receipt", receipt_json()}};
    if (options().usage || !options().receipt.is_null()) event(last);
    raw_event("[DONE]");
  }
  Json whole() override {
    Json body = head();
    body["choices"] = Json::array();
    for (size_t c = 0; c < options().choices; ++c) {
      const Choice& done = choice(c);
      Json notes = nullptr;
      if (options().notes) {
        notes = logprobs(c, echo_.empty() ? std::vector<TokenNote>() : echo_of(c).notes, true);
        const Json rest = logprobs(c, done.notes, echo_.empty());
        for (const auto& [name, list] : rest.items()) notes[name].insert(notes[name].end(), list.begin(), list.end());
      }
      body["choices"].push_back({{"text", (echo_.empty() ? "" : echo_of(c).text) + done.text},
                                 {"index", c},
                                 {"logprobs", std::move(notes)},
                                 {"finish_reason", finish_reason(done.reason)}});
    }
    body["usage"] = usage_json();
    if (!options().receipt.is_null()) body["tessera"] = {{"receipt", receipt_json()}};
    return body;
  }

 private:
  Json head() const {
    return {{"id", options().id},
            {"object", "text_completion"},
            {"created", created()},
            {"model", options().model},
            {"system_fingerprint", build_name()}};
  }
  const Echo& echo_of(size_t c) const { return echo_[c / (options().choices / echo_.size())]; }
  void send(size_t c, const std::string& text, Json logprobs, const Json& reason) {
    Json body = head();
    body["choices"] =
        Json::array({{{"text", text}, {"index", c}, {"logprobs", std::move(logprobs)}, {"finish_reason", reason}}});
    if (options().usage) body["usage"] = nullptr;
    event(body);
  }
  /// Lists side by side. The first token of all, where `first` says that it is among these, has nothing before it that it could be given.
  Json logprobs(size_t c, const std::vector<TokenNote>& notes, bool first) {
    Json lists = {{"tokens", Json::array()},
                  {"token_logprobs", Json::array()},
                  {"top_logprobs", Json::array()},
                  {"text_offset", Json::array()}};
    const text::Tokenizer& tokenizer = *options().tokenizer;
    for (size_t i = 0; i < notes.size(); ++i) {
      const TokenNote& note = notes[i];
      const std::string text = token_text(tokenizer, note.id);
      const bool unknown = first && i == 0 && !echo_.empty();
      lists["tokens"].push_back(text);
      lists["token_logprobs"].push_back(unknown ? Json(nullptr) : Json(std::max(note.log_probability, -9999.0)));
      Json top = Json::object();
      for (const auto& [id, log] : note.top) top[token_text(tokenizer, id)] = log;
      if (!note.top.empty()) top[text] = note.log_probability;
      lists["top_logprobs"].push_back(unknown ? Json(nullptr) : std::move(top));
      lists["text_offset"].push_back(offsets_[c]);
      const std::string bytes = tokenizer.text_of(note.id, false);
      offsets_[c] += std::ranges::count_if(bytes, [](char b) { return (b & 0xC0) != 0x80; });
    }
    return lists;
  }

  std::vector<Echo> echo_;        // one for each prompt, or none
  std::vector<int64_t> offsets_;  // characters of each choice that were noted
};

}  // namespace

std::shared_ptr<Answer> make_completion_answer(std::shared_ptr<Exchange> exchange, AnswerOptions options,
                                               RequestLog log, std::vector<Echo> echo) {
  return std::make_shared<CompletionAnswer>(std::move(exchange), std::move(options), std::move(log), std::move(echo));
}

}  // namespace tessera::serve
