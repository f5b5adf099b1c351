// Tries, waits and goes on. A file's hash is computed while its bytes arrive; bytes of an earlier run are read once.
#include "hub/download.h"

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cmath>
#include <thread>

#include "core/digest.h"
#include "core/error.h"
#include "core/interrupt.h"

namespace tessera::hub {

namespace {

constexpr int most_tries = 5;               // in a row without much progress
constexpr int64_t much_progress = 1 << 20;  // bytes
constexpr double longest_wait = 300;        // seconds; a server that wants more is asked another day
constexpr size_t piece = 1 << 20;           // bytes hashed at a time

/// A file on its way: the bytes so far under `blob`.incomplete, and their hash.
class Part {
 public:
  Part(FileSystem& files, const RemoteFile& file, Path blob, std::function<void(int64_t)> on_bytes)
      : files_(files), remote_(file), blob_(std::move(blob)), path_(blob_.string() + ".incomplete"),
        on_bytes_(std::move(on_bytes)) {
    std::error_code none;
    const bool there = std::filesystem::is_regular_file(path_, none);
    if (there && std::filesystem::file_size(path_) <= static_cast<uint64_t>(file.bytes)) take_up();
    else restart();
  }

  int64_t received() const { return received_; }
  bool whole() const { return received_ == remote_.bytes; }
  /// Whether it began with bytes of an earlier run.
  bool taken_up() const { return taken_up_; }

  void append(std::string_view bytes) {
    if (std::ssize(bytes) > remote_.bytes - received_) {
      remove();
      throw FaultError("[pull] {}: the server sends more than the {} bytes that the listing says; deleted",
                       remote_.path, remote_.bytes);
    }
    out_->append(bytes);
    digest_->update(bytes);
    received_ += std::ssize(bytes);
    on_bytes_(std::ssize(bytes));
  }

  void restart() {
    on_bytes_(-received_);
    received_ = 0;
    taken_up_ = false;
    digest_ = std::make_unique<Digest>(remote_.hash.size(), remote_.bytes);
    out_ = files_.create(path_);
  }

  void remove() {
    on_bytes_(-received_);
    received_ = 0;
    out_.reset();
    files_.remove_all(path_);
  }

  std::string hash() { return digest_->hex(); }

  /// Under its final name, on the disk itself.
  void finish() {
    out_->sync();
    out_->close();
    files_.rename(path_, blob_);
    files_.sync_directory(blob_.parent_path());
  }

 private:
  void take_up() {
    digest_ = std::make_unique<Digest>(remote_.hash.size(), remote_.bytes);
    const MappedFile before(path_);
    for (std::string_view rest = before.bytes(); !rest.empty(); rest.remove_prefix(std::min(piece, rest.size())))
      digest_->update(rest.substr(0, piece));
    received_ = std::ssize(before.bytes());
    taken_up_ = received_ > 0;
    on_bytes_(received_);
    out_ = files_.open_append(path_);
  }

  FileSystem& files_;
  const RemoteFile& remote_;
  Path blob_, path_;
  std::function<void(int64_t)> on_bytes_;
  std::unique_ptr<Digest> digest_;
  std::unique_ptr<WritableFile> out_;
  int64_t received_ = 0;
  bool taken_up_ = false;
};

bool is_transient(const HttpAnswer& answer) {
  const int status = answer.status;
  return !answer.fault.empty() || status == 408 || status == 416 || status == 429 || (status >= 500 && status <= 504);
}

/// Says what the caller can do about a refusal.
void refuse(const HttpAnswer& answer, std::string_view repository) {
  const std::string code = answer.header("x-error-code");
  if (answer.status == 401 && code == "RepoNotFound")
    throw UserError("[pull] there is no public model {}; a private one needs a token (HF_TOKEN)", repository);
  if (answer.status == 401 || answer.status == 403)
    throw UserError("[pull] {} needs a token (HF_TOKEN) of someone who may read it{}; the hub says {}", repository,
                    code == "GatedRepo" ? " and has accepted its terms on its page" : "", answer.status);
  if (answer.status == 404 && code == "RevisionNotFound") throw UserError("[pull] {} has no such revision", repository);
  if (answer.status == 404 && code == "EntryNotFound")
    throw FaultError("[pull] {} lists a file that it has not", repository);
  if (answer.status == 404) throw UserError("[pull] no such model: {}", repository);
}

std::string what_happened(const HttpAnswer& answer) {
  return answer.fault.empty() ? fmt::format("the hub says {}", answer.status) : answer.fault;
}

/// Seconds before the next try: as the server says, else 1, 2, 4, 8.
double wait_before_next(const HttpAnswer& answer, int tries) {
  const std::string said = answer.header("retry-after");
  double seconds = 0;
  const auto [end, error] = std::from_chars(said.data(), said.data() + said.size(), seconds);
  const bool number =
      error == std::errc() && end == said.data() + said.size() && std::isfinite(seconds) && seconds >= 0;
  return number && !said.empty() ? seconds : std::pow(2.0, tries - 1);
}

/// Whether the answer's body goes on at byte `from`; false when it is the whole file. Throws FaultError for another
/// place or length.
bool goes_on(const HttpAnswer& answer, int64_t from, const RemoteFile& file) {
  const auto number = [](const std::string& text) {
    int64_t value = -1;
    std::from_chars(text.data(), text.data() + text.size(), value);
    return value;
  };
  if (answer.status == 206) {
    const std::string range = answer.header("content-range");  // "bytes 100-199/200"
    const int64_t start = range.starts_with("bytes ") ? number(range.substr(6)) : -1;
    if (start != from) throw FaultError("[pull] {}: got bytes '{}', want those from {} on", file.path, range, from);
  }
  const int64_t begin = answer.status == 206 ? from : 0;
  const std::string length = answer.header("content-length");
  if (!length.empty() && number(length) != file.bytes - begin)
    throw FaultError("[pull] {}: the server announces {} bytes, the listing says {}", file.path, length,
                     file.bytes - begin);
  return answer.status == 206;
}

}  // namespace

void pause_for(double seconds) {
  using Clock = std::chrono::steady_clock;
  const auto end = Clock::now() + std::chrono::duration<double>(seconds);
  while (Clock::now() < end) {
    if (InterruptGuard::raised()) throw FaultError("[pull] stopped; the same command goes on from here");
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
}

void get_with_patience(Connection& connection, std::string_view repository, const Wanted& wanted) {
  for (int tries = 1;; ++tries) {
    const int64_t before = wanted.received();
    HttpAnswer answer = connection.http.get(wanted.request());
    connection.answered = connection.answered || answer.reached;
    if (answer.ok() && wanted.whole()) return;
    if (answer.ok()) answer.fault = fmt::format("the server ends after {} bytes", wanted.received());
    refuse(answer, repository);
    wanted.on_failure(answer);
    if (wanted.received() - before >= much_progress) tries = 1;
    const double seconds = wait_before_next(answer, tries);
    if (!connection.answered || !is_transient(answer) || tries >= most_tries || seconds > longest_wait)
      throw FaultError("[pull] {}: {}{}", repository, what_happened(answer),
                       seconds > longest_wait ? fmt::format("; it asks for {:.0f} s of patience", seconds) : "");
    connection.pause(seconds);
  }
}

void download(Connection& connection, std::string_view repository, const std::string& url, const RemoteFile& file,
              const Path& blob) {
  Part part(connection.files, file, blob, connection.on_bytes);
  const auto request = [&]() -> HttpRequest {
    const int64_t from = part.received();
    return {.url = url,
            .token = connection.token,
            .from = from,
            .on_head =
                [&part, &file, from](const HttpAnswer& answer) {
                  if (!goes_on(answer, from, file) && from > 0) part.restart();
                },
            .on_body = [&part](std::string_view bytes) { part.append(bytes); }};
  };
  const auto begin_again = [&](const HttpAnswer& answer) {
    if (answer.status == 416) part.restart();
  };
  if (!part.whole()) {
    get_with_patience(connection, repository,
                      {.request = request,
                       .whole = [&] { return part.whole(); },
                       .received = [&] { return part.received(); },
                       .on_failure = begin_again});
  }
  const std::string hash = part.hash();
  if (hash == file.hash) {
    part.finish();
    return;
  }
  const bool again = part.taken_up();  // the damage may lie in the earlier run's bytes
  part.remove();
  if (again) {
    download(connection, repository, url, file, blob);
    return;
  }
  throw FaultError("[pull] {}: the bytes have the hash {}, want {}; deleted", file.path, hash, file.hash);
}

}  // namespace tessera::hub
