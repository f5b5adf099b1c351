// /v1/chat/completions and /v1/responses. Everything that can be wrong with a request is found here, before the first byte of an answer.
#include "core/error.h"
#include "generate/json/json_constraint.h"
#include "serve/api.h"
#include "serve/api_error.h"
#include "serve/chat_request.h"
#include "serve/response_request.h"

namespace tessera::serve {

namespace {

void refuse_what_is_not_there(const Fields& fields) {
  for (const char* name : {"audio", "prediction", "web_search_options"}) {
    if (fields.has(name)) throw ApiError(400, fmt::format("'{}' is not supported", name), name);
  }
  const bool goes_on = fields.flag("continue_final_message");
  if (goes_on || !fields.flag("add_generation_prompt", true))
    throw ApiError(400,
                   "an answer here is always a turn of its own: 'continue_final_message' is not supported, and "
                   "'add_generation_prompt' is true",
                   goes_on ? "continue_final_message" : "add_generation_prompt");
  if (const Json* kinds = fields.list("modalities"); kinds != nullptr && *kinds != Json::array({"text"}))
    fields.refuse("modalities", *kinds, "[\"text\"]");
}

TextRequest read_chat_request(const Fields& fields) {
  TextRequest request = read_text_request(fields);
  if (fields.flag("logprobs")) request.notes = fields.whole("top_logprobs", 0, 20).value_or(0);
  else if (fields.has("top_logprobs"))
    throw ApiError(400, "'top_logprobs' wants 'logprobs' to be true", "top_logprobs");
  request.options.max_new_tokens = fields.whole("max_completion_tokens", 1, INT32_MAX)
                                       .value_or(fields.whole("max_tokens", 1, INT32_MAX).value_or(0));
  return request;
}

void require_a_picture(const ModelCard& card, const Conversation& conversation) {
  if (!card.must_see || !conversation.media.empty()) return;
  throw ApiError(
      400,
      fmt::format(
          "the model '{}' has only learnt to answer about pictures; want a picture in a user's "
          "message, as a part {{\"type\": \"image_url\", \"image_url\": {{\"url\": \"data:image/png;base64,...\"}}}}",
          card.name),
      "messages", "picture_missing");
}

}  // namespace

void Api::chat(Call call) {
  const Json body = call.body;
  const auto exchange = call.exchange;
  answer_chat(std::move(call), body, "chatcmpl-", [&](AnswerOptions options, const RequestLog& log, const Json& tools) {
    return make_chat_answer(exchange, std::move(options), log, tools);
  });
}

void Api::respond_once(Call call) {
  const Json body = chat_of_response_request(call.body);
  const Json said = repeated_of_response_request(call.body);
  const auto exchange = call.exchange;
  answer_chat(std::move(call), body, "resp_", [&](AnswerOptions options, const RequestLog& log, const Json& tools) {
    return make_response_answer(exchange, std::move(options), log, tools, said);
  });
}

void Api::answer_chat(Call call, const Json& body, std::string_view id, const MakeAnswer& make) {
  const Fields fields(body);
  refuse_what_is_not_there(fields);
  auto grammar = read_format(fields);
  TextRequest request = read_chat_request(fields);
  const Conversation conversation = read_conversation(fields);
  if (auto call_grammar = read_required_call(fields)) grammar = std::move(call_grammar);
  const auto worker = models_->get(request.model);
  const Writes& writes = worker->writes("chat");
  if (!worker->card().chats) {
    throw ApiError(400,
                   fmt::format("the model '{}' has no chat template; it can: {}", worker->card().name,
                               abilities_of(worker->card())),
                   "model", "model_cannot");
  }
  require_a_picture(worker->card(), conversation);
  request.options.sampling = sampling_of(request, writes.drawn_sampling(), random_seed());
  if (grammar) request.options.constraints.push_back(generate::json_constraint(grammar, worker->token_trie()));
  TextTask task;
  if (conversation.media.empty()) {
    std::vector<int32_t> prompt = writes.chat_prompt(conversation.messages, conversation.inputs);
    writes.require_known(prompt, "the conversation");
    const auto length = std::ssize(prompt);
    task = task_of(*worker, request, std::move(prompt), length);
  } else {
    const Sees& sees = worker->sees();
    const auto seen = std::make_shared<SeeRequest>(
        SeeRequest{conversation.messages, decoded_media(conversation.media, sees.default_frames()), {}});
    const int64_t length = sees.prompt_length(*seen);
    task = task_of(*worker, request, {}, length);
    task.see = [seen, &sees] { return sees.prompt(*seen); };
  }
  require_room(task.prompt_length, task.options.context, "messages");
  const int64_t limit = task.options.max_new_tokens;
  task.client = client_of(call, request);
  task.arrived = call.log.arrived;
  call.log.model = worker->card().name;
  AnswerOptions options = answer_options(call, *worker, request, limit, id);
  const auto answer = make(std::move(options), call.log, conversation.inputs.tools);
  std::vector<TextTask> tasks;
  tasks.push_back(std::move(task));
  submit(*worker, std::move(tasks), answer);
}

}  // namespace tessera::serve
