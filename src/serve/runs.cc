// Reads run directories (train/loop.h says what is in one) and writes nothing.
#include "serve/runs.h"

#include <algorithm>
#include <charconv>
#include <chrono>
#include <fstream>
#include <functional>
#include <utility>

#include "serve/api_error.h"

namespace tessera::serve {

namespace {

constexpr int64_t most_bytes = 1 << 20;
namespace fs = std::filesystem;

bool is_run(const Path& path) {
  std::error_code error;
  return fs::is_regular_file(path / "metrics.jsonl", error);
}

int64_t written(const Path& file) {
  std::error_code error;
  const auto when = fs::last_write_time(file, error);
  if (error) return 0;
  return std::chrono::duration_cast<std::chrono::seconds>(std::chrono::file_clock::to_sys(when).time_since_epoch())
      .count();
}

/// When a run last said something.
int64_t updated(const Path& run) { return std::max(written(run / "metrics.jsonl"), written(run / "state.json")); }

/// Entries of a folder by name; links lead nowhere.
std::vector<Path> entries_of(const Path& folder, bool folders) {
  std::vector<Path> found;
  std::error_code error;
  for (auto at = fs::directory_iterator(folder, error); !error && at != fs::directory_iterator(); at.increment(error)) {
    std::error_code vanished;
    const fs::file_status status = at->symlink_status(vanished);
    if (vanished || at->path().filename().string().starts_with('.')) continue;
    if (status.type() == (folders ? fs::file_type::directory : fs::file_type::regular)) found.push_back(at->path());
  }
  std::ranges::sort(found);
  return found;
}

/// The last whole line of metrics.
Json last_line(const Path& file) {
  std::ifstream in(file, std::ios::binary | std::ios::ate);
  const auto size = static_cast<int64_t>(in.tellg());
  const int64_t tail = std::min<int64_t>(size, 64 << 10);
  std::string text(static_cast<size_t>(std::max<int64_t>(tail, 0)), '\0');
  in.seekg(size - tail);
  in.read(text.data(), tail);
  const size_t end = text.rfind('\n');
  if (end == std::string::npos) return nullptr;
  const size_t begin = end == 0 ? std::string::npos : text.rfind('\n', end - 1);
  const size_t from = begin == std::string::npos ? 0 : begin + 1;
  const Json line = Json::parse(text.substr(from, end - from), nullptr, false);
  return line.is_object() ? line : Json(nullptr);
}

/// What a run that writes state.json (src/align/run_state.h) is doing; null for others.
Json state_json(const Path& run) {
  std::error_code error;
  const Path file = run / "state.json";
  if (!fs::is_regular_file(file, error) || fs::file_size(file, error) > (64 << 10)) return nullptr;
  const Json state = Json::parse(read_file(file), nullptr, false);
  return state.is_object() ? state : Json(nullptr);
}

Json run_json(const Path& run) {
  const Json last = last_line(run / "metrics.jsonl"), state = state_json(run);
  std::error_code error;
  const bool told = state.is_object() && state.contains("state");
  return {{"name", run.filename().string()},
          {"step", last.is_object() && last.contains("step") ? last["step"] : Json(nullptr)},
          {"last", last},
          {"updated", updated(run)},
          {"state", state},
          {"finished", told ? state["state"] != "running" : fs::is_directory(run / "model", error)}};
}

Json metrics_json(const Path& file, std::optional<std::string> asked) {
  int64_t from = 0;
  if (asked) {
    const auto [end, error] = std::from_chars(asked->data(), asked->data() + asked->size(), from);
    if (error != std::errc() || end != asked->data() + asked->size() || from < 0)
      throw ApiError(400, fmt::format("'from' is '{}', want a number of bytes", *asked), "from");
  }
  std::ifstream in(file, std::ios::binary | std::ios::ate);
  const auto size = static_cast<int64_t>(in.tellg());
  if (from > size) from = 0;
  std::string text(static_cast<size_t>(std::clamp<int64_t>(size - from, 0, most_bytes)), '\0');
  in.seekg(from);
  in.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<size_t>(std::max<std::streamsize>(in.gcount(), 0)));
  Json lines = Json::array();
  size_t begin = 0;
  for (size_t end = text.find('\n'); end != std::string::npos; end = text.find('\n', begin)) {
    Json line = Json::parse(text.substr(begin, end - begin), nullptr, false);
    if (line.is_object()) lines.push_back(std::move(line));
    begin = end + 1;
  }
  if (begin == 0 && std::ssize(text) == most_bytes) begin = text.size();  // a line without end is passed over
  return {{"lines", std::move(lines)}, {"from", from}, {"next", from + static_cast<int64_t>(begin)}, {"size", size}};
}

std::string kind_of(const Path& file) {
  const std::string ending = file.extension().string();
  if (ending == ".png") return "image/png";
  if (ending == ".jpg" || ending == ".jpeg") return "image/jpeg";
  if (ending == ".webp") return "image/webp";
  if (ending == ".txt" || ending == ".jsonl" || ending == ".json" || ending == ".md")
    return "text/plain; charset=utf-8";
  return "";
}

Json samples_json(const Path& folder) {
  Json list = Json::array();
  for (const Path& file : entries_of(folder, false)) {
    const std::string name = file.filename().string(), kind = kind_of(file);
    if (kind.empty()) continue;
    int64_t step = -1;
    if (name.starts_with("step-")) std::from_chars(name.data() + 5, name.data() + name.size(), step);
    list.push_back({{"step", step < 0 ? Json(nullptr) : Json(step)}, {"file", name}, {"kind", kind}});
  }
  return {{"samples", std::move(list)}};
}

HttpReply json_reply(const Json& body) {
  return {.headers = {{"Content-Type", "application/json"}, {"Cache-Control", "no-store"}}, .body = wire(body)};
}

/// The entry of that name among those that are there.
Path named(const std::vector<Path>& entries, std::string_view name, std::string_view what) {
  for (const Path& entry : entries) {
    if (entry.filename().string() == name) return entry;
  }
  throw ApiError(404, fmt::format("there is no {} '{}'", what, name));
}

HttpReply sample_reply(const Path& run, std::string_view name) {
  const Path file = named(entries_of(run / "samples", false), name, "sample");
  const std::string kind = kind_of(file);
  std::error_code error;
  const auto size = fs::file_size(file, error);
  if (kind.empty() || error || size > (64 << 20)) throw ApiError(404, fmt::format("there is no sample '{}'", name));
  return {.headers = {{"Content-Type", kind},
                      {"Content-Security-Policy", "default-src 'none'; sandbox"},
                      {"Cache-Control", "no-cache"}},
          .body = read_file(file)};
}

}  // namespace

std::optional<HttpReply> runs_reply(const HttpRequest& request, const Path& folder) {
  const std::string_view path = request.path;
  if (folder.empty() || (path != "/runs" && !path.starts_with("/runs/"))) return std::nullopt;
  std::vector<Path> runs;
  for (const Path& entry : entries_of(folder, true)) {
    if (is_run(entry)) runs.push_back(entry);
  }
  if (path == "/runs" || path == "/runs/") {
    std::vector<std::pair<int64_t, Path>>
        by_time;  // read once: a run that goes on would change the order while it is made
    for (const Path& run : runs) by_time.emplace_back(updated(run), run);
    std::ranges::stable_sort(by_time, std::ranges::greater(), &std::pair<int64_t, Path>::first);
    Json list = Json::array();
    for (const auto& [time, run] : by_time) list.push_back(run_json(run));
    return json_reply({{"runs", std::move(list)}});
  }
  std::string_view rest = path.substr(6);
  const size_t slash = std::min(rest.find('/'), rest.size());
  const Path run = named(runs, rest.substr(0, slash), "run");
  rest.remove_prefix(std::min(slash + 1, rest.size()));
  if (rest.empty()) {
    Json one = run_json(run);
    std::error_code error;
    if (fs::is_regular_file(run / "recipe.toml", error)) one["recipe"] = read_file(run / "recipe.toml");
    return json_reply(one);
  }
  if (rest == "metrics") return json_reply(metrics_json(run / "metrics.jsonl", request.parameter("from")));
  if (rest == "samples") return json_reply(samples_json(run / "samples"));
  if (rest.starts_with("samples/")) return sample_reply(run, rest.substr(8));
  throw ApiError(404, fmt::format("there is nothing at {}", path));
}

}  // namespace tessera::serve
