// Paths of the page's requests to functions.
#include "serve/studio.h"

#include "core/error.h"
#include "data/citation_index.h"
#include "serve/api_error.h"
#include "serve/json_fields.h"
#include "serve/runs.h"

namespace tessera::serve {

void require_files(const StudioOptions& options) {
  if (!options.runs.empty() && !std::filesystem::is_directory(options.runs))
    throw UserError("[serve] --runs {} is no folder", options.runs.string());
  if (!options.citations.empty() && !std::filesystem::is_regular_file(options.citations))
    throw UserError("[serve] --citations {} is no file; `tessera data citations` makes one",
                    options.citations.string());
  if (!options.citations.empty()) data::CitationIndex::require(SafetensorsFile(options.citations));
  if (!options.votes.empty()) require_writable(options.votes, "serve");
}

Studio::Studio(StudioOptions options, Models& models) : options_(std::move(options)), models_(&models) {
  require_files(options_);
}

HttpReply Studio::answer(const HttpRequest& request, Endpoint endpoint) {
  const auto json = [](const Json& body) {
    return HttpReply{.headers = {{"Content-Type", "application/json"}, {"Cache-Control", "no-store"}},
                     .body = wire(body)};
  };
  switch (endpoint) {
    case Endpoint::citations:
      return json(citations(parse_body(request.body)));
    case Endpoint::votes:
      return json(vote(parse_body(request.body)));
    case Endpoint::about_server:
      return json(server());
    case Endpoint::list_data:
      return json(list_data());
    case Endpoint::data_samples:
      return json(data_samples(request));
    case Endpoint::list_runs:
    case Endpoint::show_run:
      if (auto run = runs_reply(request, options_.runs)) return std::move(*run);
      throw ApiError(404, fmt::format("there is nothing at {}", request.path));
    default:
      throw FaultError("[serve] {} has no function", request.path);
  }
}

Json Studio::server() const {
  Json quoting = Json::array();
  for (const ModelCard& card : models_->cards()) {
    if (card.writes && !options_.citations.empty()) quoting.push_back(card.name);
  }
  return {{"runs", !options_.runs.empty()}, {"data", true}, {"votes", !options_.votes.empty()}, {"citations", quoting}};
}

}  // namespace tessera::serve
