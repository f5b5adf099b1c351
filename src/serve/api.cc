// What takes no time is answered by the thread of input and output; requests of the API go to the pool, and to the loader where a model has to
// be loaded first; what the page reads from files goes to a thread of its own, so that it keeps no answer waiting.
#include "serve/api.h"

#include <random>

#include "core/error.h"
#include "serve/api_error.h"
#include "serve/assets.h"
#include "serve/multipart.h"
#include "serve/picture_request.h"

namespace tessera::serve {

std::string random_id(std::string_view prefix) {
  static thread_local std::random_device device;
  constexpr std::string_view letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
  std::string id(prefix);
  for (int i = 0; i < 24; ++i) id += letters[device() % letters.size()];
  return id;
}

uint64_t random_seed() {
  static thread_local std::random_device device;
  return (static_cast<uint64_t>(device()) << 32 | device()) & ((uint64_t{1} << 53) - 1);
}

namespace {

/// As OpenAI's API has it, with the routes that there are, since clients ask for all of OpenAI's.
ApiError no_route(const HttpRequest& request) {
  return ApiError(404, fmt::format("Tessera has no route {} {}; it has {}", request.method, request.path, api_routes()),
                  "", "unknown_url");
}

}  // namespace

Api::Api(Models& models, Metrics& metrics, const ApiOptions& options)
    : models_(&models), metrics_(&metrics), options_(options), studio_(options.studio, models), loader_(1), page_(1),
      pool_(options.threads) {}

Api::~Api() = default;

void Api::respond(const std::shared_ptr<Exchange>& exchange, HttpReply reply) const {
  const HttpRequest& request = exchange->request();
  for (auto& header : common_headers(request, options_.access)) reply.headers.push_back(std::move(header));
  exchange->reply(std::move(reply));
}

void Api::handle(std::shared_ptr<Exchange> exchange) {
  const HttpRequest& request = exchange->request();
  const std::string& method = request.method;
  const bool reads = method == "GET" || method == "HEAD";
  const Route* const route = route_of(request.path);
  try {
    if (method == "OPTIONS") return exchange->reply(preflight(request, options_.access));
    if (route == nullptr && !reads && !is_asset(request.path)) throw no_route(request);
    const bool posted = route != nullptr && route->posted;
    if (posted && method != "POST") throw ApiError(405, request.path + " is posted to").allow("POST");
    if (!posted && !reads)
      throw ApiError(405, fmt::format("{} is read by GET, not by {}", request.path, method)).allow("GET, HEAD");
    if (route == nullptr) return get(exchange, nullptr);
    if (route->page) {
      ++reading_;
      return page_.run([this, exchange, route] {
        answer_page(exchange, *route);
        --reading_;
      });
    }
    posted ? post(exchange, *route) : get(exchange, route);
  } catch (...) {
    const ApiError error = api_error_of(std::current_exception());
    RequestLog{.metrics = metrics_, .client = request.peer, .method = method, .path = name_of(request)}.close(
        error.status());
    respond(exchange, error.reply());
  }
}

void Api::get(const std::shared_ptr<Exchange>& exchange, const Route* route) {
  const HttpRequest& request = exchange->request();
  HttpReply reply = answer_get(request, route);
  const std::string name = name_of(request);
  if (is_polled(name)) metrics_->answered(name, reply.status);
  else
    RequestLog{.metrics = metrics_, .client = request.peer, .method = request.method, .path = name}.close(reply.status);
  respond(exchange, std::move(reply));
}

Json Api::model_json(const ModelCard& card) const {
  Json abilities = Json::array();
  if (card.chats) abilities.push_back("chat");
  if (card.writes) abilities.push_back("write");
  if (card.sees) abilities.push_back("see");
  if (card.draws) abilities.push_back("draw");
  const generate::TokenSampling& own = card.sampling;
  const Json sampling = {{"temperature", own.temperature},
                         {"top_p", own.top_p},
                         {"top_k", own.top_k},
                         {"min_p", own.min_p},
                         {"repetition_penalty", own.repetition_penalty}};
  return {{"id", card.name},
          {"object", "model"},
          {"created", card.created},
          {"owned_by", "tessera"},
          {"tessera",
           {{"type", card.type},
            {"abilities", std::move(abilities)},
            {"context", card.context},
            {"sampling", card.writes ? sampling : Json(nullptr)},
            {"precision", card.precision},
            {"hash", card.hash},
            {"loaded", models_->is_loaded(card.name)}}}};
}

std::string Api::metrics_text() const {
  std::string gauges;
  const auto gauge = [&](std::string_view name, std::string_view help, double value) {
    write_metric(gauges, name, "gauge", help, value);
  };
  gauge("tessera_requests_waiting", "Requests that wait for their turn.", static_cast<double>(models_->waiting()));
  gauge("tessera_sequences_running", "Sequences that run or whose prompts are read.",
        static_cast<double>(models_->running()));
  gauge("tessera_cache_positions_held", "Positions of keys and values that sequences hold.",
        static_cast<double>(models_->held()));
  gauge("tessera_model_bytes", "Weights of the models in memory and their caches of keys and values.",
        static_cast<double>(models_->bytes()));
  gauge("tessera_models_loaded", "Models in memory.", static_cast<double>(models_->loaded()));
  return metrics_->text(gauges);
}

/// `route`: null for what may be a file of the page.
HttpReply Api::answer_get(const HttpRequest& request, const Route* route) {
  const auto json = [](const Json& body) {
    return HttpReply{.headers = {{"Content-Type", "application/json"}, {"Cache-Control", "no-store"}},
                     .body = wire(body)};
  };
  if (route == nullptr) {
    if (const auto asset = asset_reply(request)) return *asset;
    throw no_route(request);
  }
  switch (route->endpoint) {
    case Endpoint::health:
      return json({{"status", draining_ ? "draining" : "ok"}});
    case Endpoint::metrics:
      return {.headers = {{"Content-Type", "text/plain; version=0.0.4; charset=utf-8"}}, .body = metrics_text()};
    case Endpoint::list_models: {
      Json list = Json::array();
      for (const ModelCard& card : models_->cards()) list.push_back(model_json(card));
      return json({{"object", "list"}, {"data", std::move(list)}});
    }
    case Endpoint::show_model: {
      const std::string name = api_path(request.path).substr(route->path.size());
      if (name.empty()) throw ApiError(404, fmt::format("there is nothing at {}", request.path));
      return json(model_json(models_->card(name)));
    }
    default:
      throw FaultError("[serve] {} has no function", route->path);
  }
}

/// What the page asks for beside OpenAI's API.
void Api::answer_page(const std::shared_ptr<Exchange>& exchange, const Route& route) {
  const HttpRequest& request = exchange->request();
  const RequestLog log{
      .metrics = metrics_, .client = request.peer, .method = request.method, .path = std::string(route.shown())};
  try {
    HttpReply reply = studio_.answer(request, route.endpoint);
    if (route.polled) metrics_->answered(log.path, reply.status);
    else log.close(reply.status);
    respond(exchange, std::move(reply));
  } catch (...) {
    const ApiError error = api_error_of(std::current_exception());
    log.close(error.status());
    respond(exchange, error.reply());
  }
}

void Api::post(const std::shared_ptr<Exchange>& exchange, const Route& route) {
  if (draining_) throw ApiError(503, "the server is ending").retry_after(10);
  ++reading_;
  pool_.run([this, exchange, &route] {
    answer_post(exchange, route);
    --reading_;
  });
}

/// The functions of what is posted.
void Api::dispatch(const Call& call, const Route& route) {
  const auto said = [&](const Json& body) {
    call.log.close(200);
    respond(call.exchange,
            {.headers = {{"Content-Type", "application/json"}, {"Cache-Control", "no-store"}}, .body = wire(body)});
  };
  switch (route.endpoint) {
    case Endpoint::chat:
      return chat(call);
    case Endpoint::respond:
      return respond_once(call);
    case Endpoint::complete:
      return complete(call);
    case Endpoint::draw:
      return draw(call);
    case Endpoint::edit:
      return edit(call);
    case Endpoint::tokenize:
      return said(tokenize(call.body));
    case Endpoint::detokenize:
      return said(detokenize(call.body));
    case Endpoint::apply_template:
      return said(apply_template(call.body));
    default:
      throw FaultError("[serve] {} has no function", route.path);
  }
}

void Api::answer_post(const std::shared_ptr<Exchange>& exchange, const Route& route) {
  const HttpRequest& request = exchange->request();
  Call call{
      .exchange = exchange,
      .body = nullptr,
      .log = {
          .metrics = metrics_, .client = request.peer, .method = request.method, .path = std::string(route.shown())}};
  const auto fail = [this](const Call& failed) {
    const ApiError error = api_error_of(std::current_exception());
    failed.log.close(error.status());
    respond(failed.exchange, error.reply());
  };
  try {
    const std::string_view type = request.header("content-type");
    call.body = is_form(type) ? json_of_form(request.body, type) : parse_body(request.body);
    const std::string model = Fields(call.body).text("model");
    models_->require(model);
    const auto answer = [this, fail, &route](const Call& one) {
      try {
        dispatch(one, route);
      } catch (...) {
        fail(one);
      }
    };
    if (models_->is_loaded(model)) return answer(call);
    ++reading_;
    loader_.run([this, call, answer, model, fail] {
      try {
        models_->get(model);
        answer(call);
      } catch (...) {
        fail(call);
      }
      --reading_;
    });
  } catch (...) {
    fail(call);
  }
}

}  // namespace tessera::serve
