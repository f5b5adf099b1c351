// What the page at / asks for beside OpenAI's API: training runs, samples of data, passages that an answer quotes, and votes. A client names data
// by the names of a list that the server gave; no path is taken from it.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "core/json.h"
#include "data/citation_index.h"
#include "serve/http.h"
#include "serve/models.h"
#include "serve/routes.h"

namespace tessera::serve {

struct StudioOptions {
  Path runs;       // folder of training runs; "": none
  Path votes;      // file that votes are appended to; "": none are taken
  Path citations;  // what `tessera data citations` made; "": none
};

/// Throws UserError for a folder of runs or a citation index that is not there, and for votes that could not be written.
void require_files(const StudioOptions& options);

class Studio {
 public:
  /// Throws as require_files() does.
  Studio(StudioOptions options, Models& models);
  ~Studio();

  /// Answers a request of the page; reads files, so it belongs to a thread of its own. Throws ApiError.
  HttpReply answer(const HttpRequest& request, Endpoint endpoint);

 private:
  Json server() const;
  std::map<std::string, Path> recipes() const;
  Json list_data();
  Json data_samples(const HttpRequest& request);
  std::shared_ptr<const data::CitationIndex> citation_index(const text::Tokenizer& tokenizer);
  Json citations(const Json& body);
  Json vote(const Json& body);

  struct Data;
  std::shared_ptr<const Data> data_of(const std::string& name);
  StudioOptions options_;
  Models* models_;
  std::mutex mutex_;  // of what follows
  std::map<std::string, std::shared_ptr<const Data>> data_;
  std::map<std::string, std::shared_ptr<const data::CitationIndex>> indexes_;  // by the tokenizer's fingerprint
  int64_t votes_ = 0;
};

}  // namespace tessera::serve
