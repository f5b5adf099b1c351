// Answers from other machines: any server that speaks OpenAI's chat completions, several at once. What must stay true: every job is answered once
// or the run ends with a fault that names the server; a server that is lost leaves its work to the others.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "core/fields.h"
#include "core/json.h"

namespace tessera::align {

/// A server, in a recipe's list of endpoints.
struct Endpoint {
  std::string url;
  std::string model;
  std::string key_env;
  int64_t at_once = 4;
  double per_minute = 0;
  double timeout = 300;
  int64_t retries = 6;
  bool operator==(const Endpoint&) const = default;
};
template <class V> void fields(V& v, Endpoint& e) {
  v("url", e.url, "where its API begins, like http://127.0.0.1:8080/v1");
  v("model", e.model, "name of the model there");
  v("key_env", e.key_env, "environment variable that holds the key (empty: no key); keys stand in no file");
  v("at_once", e.at_once, "requests under way at the same time");
  v("per_minute", e.per_minute, "requests a minute at most (0: no limit)");
  v("timeout", e.timeout, "seconds until a request counts as lost");
  v("retries", e.retries, "failures in a row after which the server counts as lost");
}

/// Throws UserError for an address that is none, for numbers out of range, and for a key that the environment does not hold.
void check(const std::vector<Endpoint>& endpoints);

/// A request to POST; "model" is added for the server that takes it.
struct EndpointJob {
  std::string path = "/chat/completions";  // after the server's url
  Json body;
  size_t key = 0;           // of the caller
  bool may_refuse = false;  // a server may not know such requests (400, 404, 405, 422, 501): that is an answer then
};

/// What a server answered: "choices" is a list of at least one object, of chats each with an object "message".
struct EndpointAnswer {
  size_t key = 0;
  Json body;  // null where the server refused what may be refused
};

/// The body of a chat of one question.
inline Json chat_body(std::string_view question) {
  const Json turn = {{"role", "user"}, {"content", question}};
  Json body;
  body["messages"] = Json::array({turn});
  return body;
}

/// The words of a chat's answer; "" where there are none.
inline std::string chat_words(const Json& body) {
  const Json content = body["choices"][0]["message"].value("content", Json());
  return content.is_string() ? content.get<std::string>() : "";
}

/// Tokens that were written, as far as the server says so.
inline int64_t completion_tokens(const Json& body) {
  const Json usage = body.value("usage", Json());
  const Json tokens = usage.is_object() ? usage.value("completion_tokens", Json()) : Json();
  return tokens.is_number_integer() ? tokens.get<int64_t>() : 0;
}

/// A wait before the n-th try in a row, seconds: 1, 2, 4, ... up to 60, each by up to half longer by chance of `seed`, and at least what the
/// server asked for, of which 300 count.
double back_off(int64_t failures, double asked, uint64_t seed);

/// Asks all jobs. Servers take from one queue as they have room. 408, 429 and 5xx, broken connections, timeouts and answers that are no JSON of the
/// expected shape are tried again after a wait, by whichever server is free; a server that fails `retries` times in a row is lost, and said to
/// be. Requests that were under way together fail once. `done` gets answers as they come and says whether it can use them: false tries again (three times, then the answer counts); `stop` is
/// asked between events. Throws FaultError when all servers are lost and for an answer that will not change (401, 404, 400 ...), with the server's words.
void ask_endpoints(const std::vector<Endpoint>& endpoints, std::vector<EndpointJob> jobs,
                   const std::function<bool(const EndpointAnswer&, bool last_try)>& done,
                   const std::function<bool()>& stop);

}  // namespace tessera::align
