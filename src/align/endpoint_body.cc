// Bodies of chats, which a server may fill with anything.
#include "align/endpoint.h"

namespace tessera::align {

Json chat_body(std::string_view question) {
  const Json turn = {{"role", "user"}, {"content", question}};
  Json body;
  body["messages"] = Json::array({turn});
  return body;
}

std::string chat_words(const Json& body) {
  const Json content = body["choices"][0]["message"].value("content", Json());
  return content.is_string() ? content.get<std::string>() : "";
}

int64_t completion_tokens(const Json& body) {
  const Json usage = body.value("usage", Json());
  const Json tokens = usage.is_object() ? usage.value("completion_tokens", Json()) : Json();
  return tokens.is_number_integer() ? tokens.get<int64_t>() : 0;
}

}  // namespace tessera::align
