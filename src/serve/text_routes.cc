// /v1/completions and what shows tokens. Everything that can be wrong with a request is found here, before the first
// byte of an answer.
#include <algorithm>

#include "core/error.h"
#include "generate/json/json_constraint.h"
#include "serve/api.h"
#include "serve/api_error.h"
#include "serve/chat_request.h"
#include "serve/receipt.h"
#include "text/chat_template.h"

namespace tessera::serve {

namespace {

/// `prompt` of /v1/completions: a text, ids, or a list of either.
std::vector<std::vector<int32_t>> read_prompts(const Fields& fields, const Writes& writes) {
  const Json& given = fields.required("prompt");
  constexpr size_t most = 2048;
  const auto is_ids = [](const Json& list) {
    return list.is_array() && !list.empty() && std::ranges::all_of(list, [](const Json& id) {
             const int64_t number = whole_number(id).value_or(-1);
             return number >= 0 && number <= INT32_MAX;
           });
  };
  const auto read = [&](const Json& one) -> std::vector<int32_t> {
    if (one.is_string()) return text::encode_prompt(writes.tokenizer(), one.get<std::string>());
    if (is_ids(one)) return one.get<std::vector<int32_t>>();
    fields.refuse("prompt", given, "a text, a list of token ids, or a list of either");
  };
  std::vector<std::vector<int32_t>> prompts;
  if (!given.is_array() || is_ids(given)) {
    prompts.push_back(read(given));
  } else {
    if (given.empty() || given.size() > most) fields.refuse("prompt", given, fmt::format("1 to {} prompts", most));
    for (const Json& one : given) prompts.push_back(read(one));
  }
  for (std::vector<int32_t>& prompt : prompts) {
    if (prompt.empty()) {  // as OpenAI's reference has it: from the beginning of a document
      const auto begin = writes.tokenizer().begin_token();
      if (!begin) throw ApiError(400, "the prompt is empty and the tokenizer has no begin token", "prompt");
      prompt.push_back(*begin);
    }
    writes.require_known(prompt, "the prompt");
  }
  return prompts;
}

/// A receipt whose request names what it left open: the seed that was drawn, and the limit that this server gave it.
Json complete_receipt(const ModelCard& card, const std::string& path, Json body, const TextRequest& request,
                      int64_t limit) {
  body["seed"] = static_cast<int64_t>(request.options.sampling.seed);
  const char* const name = path == "/v1/responses" ? "max_output_tokens" : "max_tokens";
  if (request.options.max_new_tokens == 0 && body.value(name, Json()).is_null()) body[name] = limit;
  return receipt_of(card, path, std::move(body));
}

}  // namespace

std::string Api::client_of(const Call& call, const TextRequest& request) const {
  return call.exchange->request().peer + (request.user.empty() ? "" : " " + request.user);
}

AnswerOptions Api::answer_options(const Call& call, const Worker& worker, const TextRequest& request, int64_t limit,
                                  std::string_view id) {
  return {.id = random_id(id),
          .model = worker.card().name,
          .stream = request.stream,
          .usage = request.usage,
          .notes = request.notes >= 0,
          .choices = static_cast<size_t>(request.choices),
          .receipt = request.receipt ? complete_receipt(worker.card(), call.log.path, call.body, request, limit)
                                     : Json(nullptr),
          .headers = common_headers(call.exchange->request(), options_.access),
          .tokenizer = &worker.writes().tokenizer()};
}

TextTask Api::task_of(const Worker& worker, const TextRequest& request, std::vector<int32_t> prompt,
                      int64_t length) const {
  TextTask task{.prompt = {}, .options = request.options, .choices = request.choices, .notes = request.notes};
  task.prompt.ids = std::move(prompt);
  task.prompt_length = length;
  if (task.options.max_new_tokens == 0)
    task.options.max_new_tokens = std::clamp<int64_t>(
        worker.positions() / request.choices / memory_block * memory_block - length, 1, options_.max_tokens);
  task.options = worker.writes().completed(std::move(task.options));
  if (request.ignore_eos) task.options.end_tokens.clear();
  return task;
}

void Api::submit(Worker& worker, std::vector<TextTask> tasks, const std::shared_ptr<Answer>& answer) const {
  size_t first = 0;
  for (TextTask& task : tasks) {
    task.listener = answer->part(first);
    first += static_cast<size_t>(task.choices);
    try {
      worker.submit(std::move(task));
    } catch (...) {
      answer->fail(std::current_exception());
      return;
    }
  }
  answer->open();
}

namespace {

/// Prompts on their way to being echoed, scored where log probabilities are wanted: some at a time, so that running texts go on between.
struct Scoring {
  const Writes* writes;
  std::vector<std::vector<int32_t>> prompts;
  int64_t notes = -1;
  std::vector<Echo> echoes = {};

  bool done() const { return echoes.size() == prompts.size(); }
  void go_on() {
    constexpr int64_t most = 512;  // positions at a time, and one prompt at least
    std::vector<Writes::ScoreRequest> requests;
    const size_t first = echoes.size();
    for (int64_t positions = 0; !done() && positions < most;) {
      const std::vector<int32_t>& prompt = prompts[echoes.size()];
      const bool begins = prompt.front() == writes->tokenizer().begin_token();  // is no part of what people wrote
      echoes.push_back(
          {.text = writes->tokenizer().decode({prompt.begin() + (begins ? 1 : 0), prompt.end()}, false), .notes = {}});
      if (notes < 0) continue;
      positions += std::ssize(prompt);
      requests.push_back({{prompt.front()}, {prompt.begin() + 1, prompt.end()}, 1, notes});
    }
    if (notes < 0) return;
    const auto scores = writes->score(requests);
    for (size_t p = 0; p < scores.size(); ++p) {
      std::vector<TokenNote>& list = echoes[first + p].notes;
      list.push_back({.id = prompts[first + p].front(), .log_probability = 0, .top = {}});
      for (const ScoredToken& token : scores[p]) list.push_back({token.id, token.log_probability, token.top});
    }
  }
};

}  // namespace

/// Scores prompts in turns of their own, then lets the texts begin.
void Api::echo(Call call, const std::shared_ptr<Worker>& worker, AnswerOptions options, std::vector<TextTask> tasks,
               std::vector<std::vector<int32_t>> prompts, bool only_echo) {
  const auto scoring = std::make_shared<Scoring>(
      Scoring{.writes = &worker->writes(), .prompts = std::move(prompts), .notes = tasks.front().notes});
  const auto waiting = std::make_shared<std::vector<TextTask>>(std::move(tasks));
  const auto finish = [this, call, options, scoring, waiting, only_echo, own = worker.get()] {
    const auto answer = make_completion_answer(call.exchange, options, call.log, std::move(scoring->echoes));
    if (!only_echo) return submit(*own, std::move(*waiting), answer);
    const size_t each = options.choices / scoring->prompts.size();
    for (size_t p = 0; p < scoring->prompts.size(); ++p) {
      const auto part = answer->part(p * each);
      part->started(std::ssize(scoring->prompts[p]), 0);
      for (size_t c = 0; c < each; ++c) part->ended(c, generate::StopReason::length, 0);
    }
  };
  const auto step = std::make_shared<std::function<void(Turn&)>>();
  *step = [this, call, scoring, finish, own = worker.get(), again = std::weak_ptr(step)](Turn&) {
    try {
      if (call.exchange->gone()) throw ApiError(499, "the client left");
      scoring->go_on();
      if (scoring->done()) return finish();
      own->run([next = again.lock()](Turn& turn) { (*next)(turn); }, /*goes_on=*/true);
    } catch (...) {
      const ApiError error = api_error_of(std::current_exception());
      call.log.close(error.status());
      respond(call.exchange, error.reply());
    }
  };
  worker->run([step](Turn& turn) { (*step)(turn); });
}

void Api::complete(Call call) {
  const Fields fields(call.body);
  TextRequest request = read_text_request(fields);
  request.notes = fields.whole("logprobs", 0, 20).value_or(-1);
  const auto limit = fields.whole("max_tokens", 0, INT32_MAX);
  request.options.max_new_tokens = limit.value_or(16);  // as OpenAI's reference has it
  const bool echoes = fields.flag("echo");
  if (limit == 0 && !echoes) throw ApiError(400, "'max_tokens' is 0, which only 'echo' makes sense of", "max_tokens");
  const auto grammar = read_format(fields);
  if (fields.has("suffix")) throw ApiError(400, "'suffix' is not supported", "suffix");
  if (fields.whole("best_of", 1, 128).value_or(request.choices) != request.choices)
    throw ApiError(400, "'best_of' is not supported beyond 'n'", "best_of");
  const auto worker = models_->get(request.model);
  const Writes& writes = worker->writes();
  request.options.sampling = sampling_of(request, writes.drawn_sampling(), random_seed());
  if (grammar) request.options.constraints.push_back(generate::json_constraint(grammar, worker->token_trie()));
  std::vector<std::vector<int32_t>> prompts = read_prompts(fields, writes);
  if (prompts.size() > worker->queue())
    throw ApiError(
        400, fmt::format("{} prompts in one request; this server takes at most {}", prompts.size(), worker->queue()),
        "prompt");
  std::vector<TextTask> tasks;
  for (const auto& prompt : prompts) {
    TextTask task = task_of(*worker, request, prompt, std::ssize(prompt));
    task.client = client_of(call, request);
    task.arrived = call.log.arrived;
    require_room(task.prompt_length, task.options.context + (limit == 0 ? 1 : 0), "prompt");
    tasks.push_back(std::move(task));
  }
  AnswerOptions options = answer_options(call, *worker, request, tasks.front().options.max_new_tokens, "cmpl-");
  options.choices *= prompts.size();
  call.log.model = worker->card().name;
  if (!echoes) {
    submit(*worker, std::move(tasks), make_completion_answer(call.exchange, std::move(options), call.log, {}));
    return;
  }
  echo(std::move(call), worker, std::move(options), std::move(tasks), std::move(prompts), limit == 0);
}

Json Api::tokenize(const Json& body) {
  const Fields fields(body);
  const auto worker = models_->get(fields.text("model"));
  const text::Tokenizer& tokenizer = worker->writes("tokenize").tokenizer();
  const std::string content = fields.has("content") ? fields.text("content") : fields.required_text("prompt");
  const std::vector<int32_t> ids = tokenizer.encode(
      content, {.add_special = fields.flag("add_special"), .parse_special = fields.flag("parse_special", true)});
  Json tokens = ids;
  if (fields.flag("with_pieces")) {
    tokens = Json::array();
    for (const int32_t id : ids) tokens.push_back({{"id", id}, {"piece", token_text(tokenizer, id)}});
  }
  return {{"tokens", std::move(tokens)}, {"count", ids.size()}};
}

Json Api::detokenize(const Json& body) {
  const Fields fields(body);
  const auto worker = models_->get(fields.text("model"));
  const text::Tokenizer& tokenizer = worker->writes("detokenize").tokenizer();
  const Json& list = fields.required("tokens");
  std::vector<int32_t> ids;
  if (!list.is_array()) fields.refuse("tokens", list, "a list of token ids");
  for (const Json& id : list) {
    const int64_t number = whole_number(id).value_or(-1);
    if (number < 0 || number >= tokenizer.vocabulary())
      fields.refuse("tokens", list, fmt::format("token ids from 0 to {}", tokenizer.vocabulary() - 1));
    ids.push_back(static_cast<int32_t>(number));
  }
  return {{"content", tokenizer.decode(ids, false)}};
}

Json Api::apply_template(const Json& body) {
  const Fields fields(body);
  const Conversation conversation = read_conversation(fields);
  const auto worker = models_->get(fields.text("model"));
  const text::ChatTemplate* const chat = worker->writes("chat").chat_template();
  if (chat == nullptr)
    throw ApiError(400, fmt::format("the model '{}' has no chat template", worker->card().name), "model",
                   "model_cannot");
  return {
      {"prompt", chat->render(conversation.messages, fields.flag("add_generation_prompt", true), conversation.inputs)}};
}

}  // namespace tessera::serve
