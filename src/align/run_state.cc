// The two files of a run that others look at.
#include "align/run_state.h"

#include <unistd.h>

namespace tessera::align {

namespace {
constexpr std::chrono::seconds pause_between_writes{2};

int64_t unix_now() {
  return std::chrono::duration_cast<std::chrono::seconds>(std::chrono::system_clock::now().time_since_epoch()).count();
}

/// "round 3: scores" -> (3, "scores"); of steps before the rounds (0, name).
std::pair<int64_t, std::string> round_and_part(const std::string& name) {
  const size_t colon = name.find(": ");
  if (!name.starts_with("round ") || colon == std::string::npos) return {0, name};
  return {std::stoll(name.substr(6, colon - 6)), name.substr(colon + 2)};
}
}  // namespace

Json read_state(const Path& run) {
  std::error_code error;
  if (!std::filesystem::is_regular_file(state_of(run), error)) return Json::object();
  const Json state = Json::parse(read_file(state_of(run)), nullptr, false);
  return state.is_object() ? state : Json::object();
}

std::string words_of_state(const Json& state) {
  const std::string what = state.value("state", "");
  if (what.empty()) return "";
  std::string words = state.value("step", "") + ": ";
  if (what != "running" || !state.contains("of")) words += what;
  else
    words += fmt::format("{} of {} {}", state["done"].get<int64_t>(), state["of"].get<int64_t>(),
                         state["unit"].get<std::string>());
  if (what == "running" && state.contains("seconds_left"))
    words += ", " + format_duration(state["seconds_left"].get<double>()) + " left";
  if (what == "stopped") words += "; go on with the same command";
  if (what == "failed" && state.contains("error")) words += ": " + state.value("error", "");
  return words;
}

void write_state(const Path& run, const std::string& step, const std::string& state, Json more) {
  Json all = {{"step", step}, {"state", state}, {"process", ::getpid()}, {"updated", unix_now()}};
  all.update(more);
  // A fault's words may hold the name of a file, and that any bytes.
  write_file_atomically(state_of(run), all.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n");
}

std::string words_of(const StoredStep& step) {
  std::string words;
  const Json detail = parse_json(step.detail, step.name);
  for (const auto& [key, value] : detail.items())
    words += fmt::format("{}{} {}", words.empty() ? "" : ", ", key,
                         value.is_number_float() ? fmt::format("{:.4g}", value.get<double>())
                         : value.is_string()     ? value.get<std::string>()
                                                 : value.dump());
  return words;
}

void write_metrics(const Path& run, const Store& store) {
  std::string lines;
  for (const StoredStep& step : store.steps()) {
    if (step.state != "done") continue;
    auto [round, part] = round_and_part(step.name);
    std::ranges::replace_if(
        part, [](char c) { return c == ' ' || c == ',' || c == '-'; }, '_');
    Json line = {{"step", round}};
    const Json detail = Json::parse(step.detail, nullptr, false);
    if (detail.is_object()) {
      for (const auto& [key, value] : detail.items()) {
        if (value.is_number()) line[part + "_" + key] = value;
      }
    }
    line[part + "_seconds"] = step.seconds;
    lines += line.dump() + "\n";
  }
  if (!lines.empty()) write_file_atomically(run / "metrics.jsonl", lines);
}

StepProgress::StepProgress(const Path& run, std::string step, const std::string& label, int64_t total,
                           const std::string& unit, int64_t start)
    : run_(run), step_(std::move(step)), unit_(unit), total_(total), start_(start), began_(Clock::now()),
      written_(began_ - pause_between_writes), bar_(label, total, unit, start) {}

void StepProgress::update(int64_t done) {
  bar_.update(done);
  const auto now = Clock::now();
  if (now - written_ < pause_between_writes) return;
  written_ = now;
  Json more = {{"done", done}, {"of", total_}, {"unit", unit_}};
  const double elapsed = std::chrono::duration<double>(now - began_).count();
  if (done > start_ && elapsed > 0)
    more["seconds_left"] = static_cast<double>(total_ - done) * elapsed / static_cast<double>(done - start_);
  write_state(run_, step_, "running", std::move(more));
}

}  // namespace tessera::align
