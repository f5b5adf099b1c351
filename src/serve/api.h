// The API: paths to functions. Stands on no socket, so that tests and `tessera replay` ask it in memory.
#pragma once

#include <atomic>
#include <memory>
#include <string>

#include "serve/access.h"
#include "serve/answer.h"
#include "serve/json_fields.h"
#include "serve/models.h"
#include "serve/pool.h"
#include "serve/routes.h"
#include "serve/studio.h"
#include "serve/text_request.h"

namespace tessera::serve {

struct ApiOptions {
  AccessRules access;
  int64_t max_tokens = 2048;  // of an answer whose request gives no limit
  StudioOptions studio;       // what the page may show
  int threads = 2;            // that read requests
};

class Api {
 public:
  Api(Models& models, Metrics& metrics, const ApiOptions& options);
  ~Api();

  /// Answers now, or later from another thread.
  void handle(std::shared_ptr<Exchange> exchange);
  /// Takes no further request for work.
  void drain() { draining_ = true; }
  /// Requests that are read at this moment or wait for it.
  int64_t reading() const { return reading_; }

 private:
  struct Call {
    std::shared_ptr<Exchange> exchange;
    Json body;
    RequestLog log;
  };
  void respond(const std::shared_ptr<Exchange>& exchange, HttpReply reply) const;
  void post(const std::shared_ptr<Exchange>& exchange, const Route& route);
  void answer_page(const std::shared_ptr<Exchange>& exchange, const Route& route);
  void answer_post(const std::shared_ptr<Exchange>& exchange, const Route& route);
  void dispatch(const Call& call, const Route& route);
  void get(const std::shared_ptr<Exchange>& exchange, const Route* route);
  HttpReply answer_get(const HttpRequest& request, const Route* route);
  Json model_json(const ModelCard& card) const;
  std::string metrics_text() const;

  // chat_routes.cc
  void chat(Call call);
  void respond_once(Call call);
  using MakeAnswer =
      std::function<std::shared_ptr<Answer>(AnswerOptions options, const RequestLog& log, const Json& tools)>;
  void answer_chat(Call call, const Json& body, std::string_view id, const MakeAnswer& make);
  // text_routes.cc
  void complete(Call call);
  void echo(Call call, const std::shared_ptr<Worker>& worker, AnswerOptions options, std::vector<TextTask> tasks,
            std::vector<std::vector<int32_t>> prompts, bool only_echo);
  Json tokenize(const Json& body);
  Json detokenize(const Json& body);
  Json apply_template(const Json& body);
  /// `limit`: of new tokens, where the request names none.
  AnswerOptions answer_options(const Call& call, const Worker& worker, const TextRequest& request, int64_t limit,
                               std::string_view id);
  TextTask task_of(const Worker& worker, const TextRequest& request, std::vector<int32_t> prompt, int64_t length) const;
  void submit(Worker& worker, std::vector<TextTask> tasks, const std::shared_ptr<Answer>& answer) const;
  std::string client_of(const Call& call, const TextRequest& request) const;
  // picture_routes.cc
  void draw(Call call);
  void edit(Call call);
  void start_drawing(Call call, bool edits);

  Models* models_;
  Metrics* metrics_;
  ApiOptions options_;
  Studio studio_;
  std::atomic<bool> draining_{false};
  std::atomic<int64_t> reading_{0};
  // The last to come and the first to go; requests that are read are handed on to the loader, which therefore goes after them.
  Pool loader_, page_, pool_;
};

/// An id of an answer: "chatcmpl-" and 24 random characters.
std::string random_id(std::string_view prefix);
/// A seed that survives JSON in every language: below 2^53.
uint64_t random_seed();

}  // namespace tessera::serve
