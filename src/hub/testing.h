// For tests: a hub of one repository and the store that it redirects large files to, on two ports of this machine.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "core/digest.h"
#include "core/json.h"
#include "core/log.h"
#include "core/progress.h"
#include "hub/pull.h"
#include "tests/support/http_server.h"
#include "tests/support/scratch.h"

namespace tessera::hub {

using testing::HttpReply;
using testing::HttpSeen;

/// `bytes` as a server sends them that knows ranges.
inline HttpReply range_of(const std::string& bytes, const HttpSeen& asked) {
  const auto range = asked.headers.find("range");  // "bytes=100-"
  if (range == asked.headers.end()) return {.body = bytes};
  const size_t from = std::stoul(range->second.substr(6));
  if (from >= bytes.size()) return {.status = 416};
  const std::string where = fmt::format("bytes {}-{}/{}", from, bytes.size() - 1, bytes.size());
  return {.status = 206, .headers = {{"Content-Range", where}}, .body = bytes.substr(from)};
}

/// Answers as the hub does for org/tiny. `hub_first` and `store_first` may answer in its place.
class FakeHub {
 public:
  using First = std::function<std::optional<HttpReply>(const HttpSeen&)>;
  struct File {
    std::string bytes;
    bool large = false;
  };

  std::string commit = "0123456789abcdef0123456789abcdef01234567";
  std::map<std::string, File> files = {{"config.json", {R"({"model_type": "tiny"})"}},
                                       {"model.safetensors", {std::string(50'000, 'w') + "end", true}},
                                       {"text/merges é.txt", {"a b\n"}}};
  First hub_first, store_first;

  FakeHub() {
    set_log_level(LogLevel::quiet);
    set_progress_enabled(false);
  }

  std::string address() const { return hub_.address(); }
  std::vector<HttpSeen> asked_of_hub() const { return hub_.seen(); }
  std::vector<HttpSeen> asked_of_store() const { return store_.seen(); }
  static std::string hash_of(const File& file) {
    Digest digest(file.large ? 64 : 40, std::ssize(file.bytes));
    digest.update(file.bytes);
    return digest.hex();
  }

  /// The listing of `files`.
  Json tree() const {
    Json list = Json::array({{{"type", "directory"}, {"path", "text"}, {"oid", std::string(40, '1')}, {"size", 0}}});
    for (const auto& [path, file] : files) {
      Json entry = {{"type", "file"}, {"path", path}, {"size", file.bytes.size()}, {"oid", hash_of(file)}};
      if (file.large) {
        entry["oid"] = std::string(40, '2');
        entry["lfs"] = {{"oid", hash_of(file)}, {"size", file.bytes.size()}, {"pointerSize", 134}};
      }
      list.push_back(entry);
    }
    return list;
  }

 private:
  HttpReply answer(const HttpSeen& asked) const {
    if (hub_first) {
      if (const auto reply = hub_first(asked)) return *reply;
    }
    const std::string api = "/api/models/org/tiny/", resolve = "/org/tiny/resolve/" + commit + "/";
    if (asked.target == api + "revision/main" || asked.target == api + "revision/v1%2Ffinal")
      return {.body = Json({{"sha", commit}}).dump()};
    if (asked.target.starts_with(api + "revision/"))
      return {.status = 404, .headers = {{"X-Error-Code", "RevisionNotFound"}}};
    if (asked.target == api + "tree/" + commit + "?recursive=true") return {.body = tree().dump()};
    if (!asked.target.starts_with(resolve)) return {.status = 404, .headers = {{"X-Error-Code", "RepoNotFound"}}};
    for (const auto& [path, file] : files) {
      if (asked.target != resolve + url_escaped(path, true)) continue;
      if (!file.large) return range_of(file.bytes, asked);
      return {.status = 302, .headers = {{"Location", store_.address() + "/" + path + "?signature=1"}}};
    }
    return {.status = 404, .headers = {{"X-Error-Code", "EntryNotFound"}}};
  }

  HttpReply give(const HttpSeen& asked) const {
    if (store_first) {
      if (const auto reply = store_first(asked)) return *reply;
    }
    return range_of(files.at(asked.target.substr(1, asked.target.find('?') - 1)).bytes, asked);
  }

  testing::HttpServer store_{[this](const HttpSeen& asked) { return give(asked); }};
  testing::HttpServer hub_{[this](const HttpSeen& asked) { return answer(asked); }};
};

/// Pulls org/tiny from a FakeHub into a folder of its own and keeps how long it would have waited.
class FakePull {
 public:
  FakeHub hub;
  testing::ScratchFolder cache{testing::ScratchFolder::On::memory};
  std::vector<double> waits;
  PullOptions options{.repository = "org/tiny", .token = "secret", .pause = [this](double s) { waits.push_back(s); }};

  Pulled run() {
    options.endpoint = hub.address();
    options.cache = cache.path();
    return pull(options);
  }
  Path folder() const { return cache / "models--org--tiny"; }
  Path snapshot() const { return folder() / "snapshots" / hub.commit; }
  /// Where the blob of a file is kept.
  Path blob(const std::string& path) const { return folder() / "blobs" / FakeHub::hash_of(hub.files.at(path)); }
};

}  // namespace tessera::hub
