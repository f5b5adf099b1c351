// The laws that every input obeys; see targets.h.
#include "tests/fuzz/targets.h"

#include <algorithm>
#include <cmath>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "core/error.h"
#include "core/json.h"
#include "plan/ladder/ladder.h"
#include "plan/ladder/testing_tables.h"
#include "tensor/safetensors.h"

namespace tessera::testing {

namespace {
void require(bool holds, const char* law) {
  if (!holds) throw std::logic_error(law);
}

struct Bytes final : WritableFile {
  std::string text;
  void append(std::string_view bytes) override { text += bytes; }
  void sync() override {}
  void close() override {}
};

struct Inner {
  double rate = 0.1;
  std::optional<int64_t> warmup;
  std::vector<float> betas = {0.9f, 0.95f};
  bool operator==(const Inner&) const = default;
};
template <class V> void fields(V& v, Inner& c) {
  v("rate", c.rate, "");
  v("warmup", c.warmup, "");
  v("betas", c.betas, "");
}

struct Outer {
  std::string name;
  int64_t steps = 100;
  int32_t batch = 8;
  uint8_t level = 1;
  uint64_t seed = 0;
  bool resume = false;
  Inner optimizer;
  std::vector<Inner> stages;
  std::vector<std::string> words;
  bool operator==(const Outer&) const = default;
};
template <class V> void fields(V& v, Outer& c) {
  v("name", c.name, "");
  v("steps", c.steps, "");
  v("batch", c.batch, "");
  v("level", c.level, "");
  v("seed", c.seed, "");
  v("resume", c.resume, "");
  v("optimizer", c.optimizer, "");
  v("stages", c.stages, "");
  v("words", c.words, "");
}
}  // namespace

void fuzz_safetensors(std::string_view bytes) {
  const SafetensorsHeader header = parse_safetensors(bytes, "input");
  const std::string_view data = bytes.substr(header.header_end);
  uint64_t covered = 0;
  SafetensorsWriter writer;
  for (const TensorEntry& entry : header.entries) {
    require(entry.begin == covered && entry.end >= entry.begin && entry.end <= data.size(),
            "tensors cover the data in order");
    covered = entry.end;
    writer.add(entry.name, entry.dtype, entry.shape, data.substr(entry.begin, entry.end - entry.begin));
  }
  require(covered == data.size(), "no byte belongs to no tensor");
  writer.set_metadata(header.metadata);
  Bytes written;
  writer.write(written);
  const SafetensorsHeader again = parse_safetensors(written.text, "written");
  require(again.metadata == header.metadata && again.entries.size() == header.entries.size(),
          "what was read can be written");
}

void fuzz_json(std::string_view bytes) {
  const Json tree = parse_json(bytes, "input");
  require(parse_json(tree.dump(), "again") == tree, "JSON that was read reads back");
}

void fuzz_toml(std::string_view bytes) {
  const Json tree = parse_toml(bytes, "input");
  require(tree.is_object(), "a TOML text is a table");
  const std::string text = to_toml(tree);
  require(to_toml(parse_toml(text, "again")) == text, "TOML that was read reads back");
}

void fuzz_config(std::string_view bytes) {
  Outer read;
  from_json(parse_toml(bytes, "input"), read, "input");
  Outer from_toml_text, from_json_text;
  from_json(parse_toml(to_toml(to_json(read)), "toml"), from_toml_text, "toml");
  from_json(parse_json(to_json(read).dump(), "json"), from_json_text, "json");
  require(from_toml_text == read && from_json_text == read, "a config that was read reads back, from both formats");
}

namespace {

bool same(const std::vector<double>& a, const std::vector<double>& b) {
  const auto equal = [](double x, double y) { return x == y || (std::isnan(x) && std::isnan(y)); };
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), equal);
}

void require_same(const std::vector<plan::LadderRun>& a, const std::vector<plan::LadderRun>& b) {
  require(a.size() == b.size(), "every run reads back");
  for (size_t r = 0; r < a.size(); ++r) {
    require(a[r].name == b[r].name && a[r].params == b[r].params && same(a[r].tokens, b[r].tokens) &&
                same(a[r].loss, b[r].loss) && a[r].flops_per_token == b[r].flops_per_token,
            "a run that was read reads back");
    require(std::is_sorted(a[r].tokens.begin(), a[r].tokens.end()), "checkpoints stand in the order of their tokens");
    for (size_t t = 0; t < a[r].tasks.size(); ++t) {
      require(same(a[r].tasks[t].bpb, b[r].tasks[t].bpb) && same(a[r].tasks[t].acc, b[r].tasks[t].acc) &&
                  same(a[r].tasks[t].ce, b[r].tasks[t].ce),
              "a task that was read reads back");
    }
  }
}

void read_and_forecast(std::string_view bytes) {
  const plan::LadderTable table = plan::parse_ladder_table(bytes, "input");
  const plan::LadderTable again = plan::parse_ladder_table(plan::testing::csv_text(table), "again");
  require(again.tasks == table.tasks, "tasks that were read read back");
  require_same(table.runs, again.runs);
  require_same(table.targets, again.targets);
  const auto forecast = plan::forecast_ladder(
      table, {.method = plan::LadderMethod::paper, .targets = {plan::parse_target("big=7e9:4e12")}, .threads = 1});
  for (const auto& each : forecast.predictions) require(std::isfinite(each.predicted), "a prediction is a number");
  for (const std::string& warning : forecast.warnings) require(!Json(warning).dump().empty(), "a warning is UTF-8");
}

}  // namespace

void fuzz_ladder_table(std::string_view bytes) {
  try {
    read_and_forecast(bytes);
  } catch (const UserError& error) {
    require(!Json(error.what()).dump().empty(), "a message is UTF-8");  // dump throws otherwise
    throw;
  }
}

bool accepts(void (*target)(std::string_view), std::string_view bytes) {
  try {
    target(bytes);
    return true;
  } catch (const UserError& error) {
    const std::string message = error.what();
    if (!message.starts_with('[')) throw std::logic_error("a message names its module first: " + message);
    if (message.size() > 600) throw std::logic_error("a message of " + std::to_string(message.size()) + " bytes");
    for (const char c : message) {
      if (static_cast<unsigned char>(c) < ' ') throw std::logic_error("a message is one line of text: " + message);
    }
    return false;
  }
}

}  // namespace tessera::testing
