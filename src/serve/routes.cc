// See routes.h.
#include "serve/routes.h"

#include <algorithm>
#include <array>
#include <vector>

#include <fmt/ranges.h>

#include "serve/assets.h"

namespace tessera::serve {

namespace {

constexpr std::array table = {
    Route{.path = "/v1/chat/completions", .endpoint = Endpoint::chat, .posted = true},
    Route{.path = "/v1/responses", .endpoint = Endpoint::respond, .posted = true},
    Route{.path = "/v1/completions", .endpoint = Endpoint::complete, .posted = true},
    Route{.path = "/v1/images/generations", .endpoint = Endpoint::draw, .posted = true},
    Route{.path = "/v1/images/edits", .endpoint = Endpoint::edit, .posted = true, .files = true},
    Route{.path = "/tokenize", .endpoint = Endpoint::tokenize, .posted = true},
    Route{.path = "/detokenize", .endpoint = Endpoint::detokenize, .posted = true},
    Route{.path = "/apply-template", .endpoint = Endpoint::apply_template, .posted = true},
    Route{.path = "/citations", .endpoint = Endpoint::citations, .posted = true, .page = true},
    Route{.path = "/votes", .endpoint = Endpoint::votes, .posted = true, .page = true},
    Route{.path = "/v1/models", .endpoint = Endpoint::list_models},
    Route{.path = "/v1/models/", .endpoint = Endpoint::show_model, .name = "/v1/models/NAME"},
    Route{.path = "/health", .endpoint = Endpoint::health, .keyless = true, .polled = true},
    Route{.path = "/metrics", .endpoint = Endpoint::metrics, .polled = true},
    Route{.path = "/studio/server", .endpoint = Endpoint::about_server, .page = true},
    Route{.path = "/data", .endpoint = Endpoint::list_data, .page = true},
    Route{.path = "/data/samples", .endpoint = Endpoint::data_samples, .page = true},
    Route{.path = "/runs", .endpoint = Endpoint::list_runs, .page = true, .polled = true},
    Route{.path = "/runs/", .endpoint = Endpoint::show_run, .page = true, .polled = true, .name = "/runs"},
};

const Route* exactly(std::string_view path) {
  const auto* const found = std::ranges::find_if(table, [&](const Route& route) {
    return path == route.path || (route.path.ends_with('/') && path.starts_with(route.path));
  });
  return found == table.end() ? nullptr : found;
}

}  // namespace

std::span<const Route> routes() { return table; }

std::string api_path(const std::string& path) {
  return exactly(path) == nullptr && exactly("/v1" + path) != nullptr ? "/v1" + path : path;
}

const Route* route_of(const std::string& path) { return exactly(api_path(path)); }

std::string api_routes() {
  const auto listed = [](bool posted) {
    std::vector<std::string_view> paths;
    for (const Route& route : table) {
      if (route.posted == posted && !route.page) paths.push_back(route.shown());
    }
    return fmt::format("{}", fmt::join(paths, ", "));
  };
  return fmt::format("POST {}, and GET {}", listed(true), listed(false));
}

std::string name_of(const HttpRequest& request) {
  if (const Route* const route = route_of(request.path)) return std::string(route->shown());
  return is_asset(request.path) ? "page" : "other";
}

bool is_polled(std::string_view name) {
  return name == "page" ||
         std::ranges::any_of(table, [&](const Route& route) { return route.polled && route.shown() == name; });
}

}  // namespace tessera::serve
