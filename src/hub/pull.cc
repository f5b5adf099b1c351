// Listing, choice, downloads, links, name: in this order, so that what has a name is whole.
#include "hub/pull.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <cstdlib>
#include <set>

#include "core/error.h"
#include "core/interrupt.h"
#include "core/json.h"
#include "core/log.h"
#include "core/model_cache.h"
#include "core/progress.h"
#include "hub/http.h"
#include "hub/listing.h"

namespace tessera::hub {

namespace fs = std::filesystem;

namespace {

constexpr size_t longest_page = 64 << 20;  // bytes of one answer of the hub's API
constexpr int most_pages = 1000;
constexpr int64_t spare_bytes = 16 << 20;  // left free on the disk

std::string environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

/// Keeps a second tessera, or a Python program, off a blob while it is fetched. Where the file system has no locks
/// there is none.
class BlobLock {
 public:
  explicit BlobLock(const Path& path) : fd_(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644)) {
    bool said = false;
    while (fd_ >= 0 && ::flock(fd_, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK) {
      if (!said) log_info("another program fetches this file; waiting for it");
      said = true;
      pause_for(0.2);
    }
  }
  ~BlobLock() {
    if (fd_ >= 0) ::close(fd_);
  }
  BlobLock(const BlobLock&) = delete;
  BlobLock& operator=(const BlobLock&) = delete;

 private:
  int fd_;
};

class Pull {
 public:
  explicit Pull(const PullOptions& options)
      : options_(options), files_(*options.files), folder_(repository_folder(options.cache, options.repository)),
        connection_{.http = http_, .token = options.token, .pause = options.pause, .files = files_} {}

  Pulled run() {
    Pulled result;
    result.commit = commit();
    const Choice choice = choose_files(listing(result.commit), options_.include, options_.exclude, options_.repository);
    result.skipped = choice.skipped;
    result.snapshot = folder_ / "snapshots" / result.commit;
    make_folders(result.snapshot, choice.files);
    result.fetched_bytes = fetch(result.commit, choice.files);
    for (const RemoteFile& file : choice.files) {
      link(result.snapshot / file.path, file);
      result.files.push_back(file.path);
      result.bytes += file.bytes;
    }
    if (options_.revision != result.commit) write_ref(result.commit);
    return result;
  }

 private:
  /// The body of one answer of the hub's API; `next` becomes the address of the page after it, or "".
  std::string api(const std::string& url, std::string* next = nullptr) {
    std::string body;
    const auto request = [&]() -> HttpRequest {
      body.clear();
      return {.url = url,
              .token = options_.token,
              .on_head =
                  [&](const HttpAnswer& head) {
                    if (next != nullptr) *next = next_page(head.header("link"));
                  },
              .on_body =
                  [&](std::string_view bytes) {
                    if (body.size() + bytes.size() > longest_page)
                      throw FaultError("[pull] {} sends more than {} MB of listing", options_.endpoint,
                                       longest_page >> 20);
                    body += bytes;
                  }};
    };
    get_with_patience(connection_, options_.repository, {.request = request});
    return body;
  }

  /// Of `<https://...>; rel="next"`. A page elsewhere would be given the token.
  std::string next_page(const std::string& link) const {
    const size_t end = link.find(">; rel=\"next\"");
    if (end == link.npos) return "";
    const size_t begin = link.rfind('<', end);
    const std::string url = begin == link.npos ? "" : link.substr(begin + 1, end - begin - 1);
    if (!url.starts_with(options_.endpoint + "/"))
      throw FaultError("[pull] the hub's listing goes on at '{}', want an address of {}", url, options_.endpoint);
    return url;
  }

  std::string commit() {
    const std::string url = fmt::format("{}/api/models/{}/revision/{}", options_.endpoint, options_.repository,
                                        url_escaped(options_.revision, false));
    const Json answer = Json::parse(api(url), nullptr, false);
    const auto sha = answer.is_object() ? answer.find("sha") : answer.end();
    if (!answer.is_object() || sha == answer.end() || !sha->is_string() || !is_commit(sha->get<std::string>()))
      throw FaultError("[pull] {} names no commit of {}; is it a Hugging Face hub?", options_.endpoint,
                       options_.repository);
    return sha->get<std::string>();
  }

  std::vector<RemoteFile> listing(const std::string& commit) {
    std::vector<RemoteFile> files;
    std::string url =
        fmt::format("{}/api/models/{}/tree/{}?recursive=true", options_.endpoint, options_.repository, commit);
    for (int page = 0; !url.empty(); ++page) {
      if (page == most_pages) throw FaultError("[pull] the hub's listing has more than {} pages", most_pages);
      std::string next;
      read_tree_page(api(url, &next), files);
      url = next;
    }
    require_distinct_paths(files);
    return files;
  }

  Path blob_of(const RemoteFile& file) const { return folder_ / "blobs" / file.hash; }

  bool is_there(const RemoteFile& file) const {
    std::error_code none;
    const auto bytes = fs::file_size(blob_of(file), none);
    return !none && bytes == static_cast<uintmax_t>(file.bytes);
  }

  void make_folders(const Path& snapshot, const std::vector<RemoteFile>& files) {
    std::set<Path> folders = {folder_ / "blobs", folder_ / "refs", snapshot, lock_folder()};
    for (const RemoteFile& file : files) folders.insert((snapshot / file.path).parent_path());
    for (const Path& folder : folders) files_.create_directories(folder);
  }

  Path lock_folder() const { return options_.cache / ".locks" / folder_.filename(); }

  /// Fetches the blobs that are missing and returns how many bytes came in this run.
  int64_t fetch(const std::string& commit, const std::vector<RemoteFile>& files) {
    int64_t total = 0, begun = 0;
    std::set<std::string> counted;  // files of the same contents are one blob
    for (const RemoteFile& file : files) {
      if (is_there(file) || !counted.insert(file.hash).second) continue;
      total += file.bytes;
      begun += begun_bytes(file);
    }
    require_space(total - begun);
    const int64_t unit = total >= 10'000'000 ? 1'000'000 : 1000;
    int64_t done = 0;
    std::string name;
    Progress progress("pull " + options_.repository, total / unit, unit == 1000 ? "kB" : "MB", begun / unit);
    connection_.on_bytes = [&](int64_t change) {
      done += change;
      progress.update(done / unit, name);
    };
    for (const RemoteFile& file : files) {
      if (is_there(file)) continue;
      name = file.path;
      const BlobLock lock(lock_folder() / (file.hash + ".lock"));
      if (is_there(file)) continue;  // by the program that was waited for
      const std::string url = fmt::format("{}/{}/resolve/{}/{}", options_.endpoint, options_.repository, commit,
                                          url_escaped(file.path, true));
      download(connection_, options_.repository, url, file, blob_of(file));
    }
    return total - begun;
  }

  /// What an earlier run has fetched of a file.
  int64_t begun_bytes(const RemoteFile& file) const {
    std::error_code none;
    const auto bytes = fs::file_size(blob_of(file).string() + ".incomplete", none);
    return none ? 0 : std::min<int64_t>(file.bytes, static_cast<int64_t>(bytes));
  }

  /// Before a download that would fill the disk.
  void require_space(int64_t bytes) const {
    std::error_code none;
    const fs::space_info space = fs::space(options_.cache, none);
    const auto free = static_cast<int64_t>(std::min<uintmax_t>(space.available, INT64_MAX));
    if (!none && bytes > 0 && bytes + spare_bytes > free)
      throw FaultError("[pull] {} needs {:.1f} MB more, {} has {:.1f} MB free", options_.repository,
                       static_cast<double>(bytes) / 1e6, options_.cache.string(), static_cast<double>(free) / 1e6);
  }

  /// Makes `path` a relative link to the file's blob, in one step.
  void link(const Path& path, const RemoteFile& file) {
    std::error_code fault;
    const Path target = blob_of(file).lexically_relative(path.parent_path());
    if (fs::read_symlink(path, fault) == target) return;
    const Path partial = path.string() + ".partial";
    fs::remove(partial, fault);
    fs::create_symlink(target, partial, fault);
    if (fault)
      throw FaultError("[pull] cannot make the link {}: {}; the cache wants a disk with symbolic links (HF_HUB_CACHE)",
                       path.string(), fault.message());
    files_.rename(partial, path);
    files_.sync_directory(path.parent_path());
  }

  void write_ref(const std::string& commit) {
    const Path ref = folder_ / "refs" / options_.revision;
    files_.create_directories(ref.parent_path());
    write_file_atomically(ref, commit, files_);
  }

  const PullOptions& options_;
  FileSystem& files_;
  Path folder_;
  HttpClient http_;
  Connection connection_;
};

}  // namespace

Pulled pull(const PullOptions& options) {
  const InterruptGuard guard;
  return Pull(options).run();
}

std::string endpoint_from_environment() {
  std::string endpoint = environment("HF_ENDPOINT");
  if (endpoint.empty()) endpoint = "https://huggingface.co";
  while (endpoint.ends_with('/')) endpoint.pop_back();
  origin_of(endpoint);
  return endpoint;
}

std::string token_from_environment() {
  std::string token = environment("HF_TOKEN");
  if (token.empty()) token = environment("HUGGING_FACE_HUB_TOKEN");
  if (token.empty()) {
    const std::string named = environment("HF_TOKEN_PATH");
    const Path path = named.empty() ? hub_home() / "token" : Path(named);
    std::error_code none;
    if (fs::is_regular_file(path, none)) token = read_file(path);
  }
  const auto blank = [](unsigned char c) { return std::isspace(c) != 0; };
  while (!token.empty() && blank(static_cast<unsigned char>(token.back()))) token.pop_back();
  token.erase(token.begin(), std::find_if_not(token.begin(), token.end(), blank));
  const auto printable = [](unsigned char c) { return c > 0x20 && c < 0x7f; };
  if (!std::all_of(token.begin(), token.end(), printable))
    throw UserError("[pull] the token (HF_TOKEN or its file) holds blanks or other characters that no token has");
  return token;
}

}  // namespace tessera::hub
