// Everything that can be asked for beside the files of the page, each path once: what access, log, metrics and dispatch know of it.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "serve/http.h"

namespace tessera::serve {

enum class Endpoint {
  chat,
  respond,
  complete,
  draw,
  edit,
  tokenize,
  detokenize,
  apply_template,
  citations,
  votes,
  list_models,
  show_model,
  health,
  metrics,
  about_server,
  list_data,
  data_samples,
  list_runs,
  show_run
};

struct Route {
  std::string_view path;  // as the API has it; one that ends with "/" stands for all paths that begin so
  Endpoint endpoint;
  bool posted = false;         // else it is read, by GET or HEAD
  bool page = false;           // asked for by the page: the Studio answers
  bool files = false;          // takes a form with files beside JSON
  bool keyless = false;        // answered without a key
  bool polled = false;         // asked for by itself every few seconds: counted, but without a line in the log
  std::string_view name = {};  // in metrics and log; "": the path

  std::string_view shown() const { return name.empty() ? path : name; }
};

std::span<const Route> routes();

/// The path as the API has it: "/v1/chat/completions" also for "/chat/completions", as clients ask whose base address lacks /v1.
std::string api_path(const std::string& path);

/// The route of a path in either form; null where there is none.
const Route* route_of(const std::string& path);

/// The paths of the API with their methods, for those who asked for another one: "POST /v1/chat/completions, ..., and GET /v1/models, ...".
std::string api_routes();

/// What a request is called in metrics and log: one of a few names, whatever clients ask for.
std::string name_of(const HttpRequest& request);
/// Whether requests of that name have no line in the log.
bool is_polled(std::string_view name);

}  // namespace tessera::serve
