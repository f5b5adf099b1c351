// Finds the tasks of files and folders and says which are none.
#include "eval/olmes_task.h"

#include <algorithm>

#include "core/error.h"
#include "core/json.h"
#include "eval/mmlu.h"

namespace tessera::eval {

const std::vector<std::string> olmes_metrics = {"acc_raw",      "acc_per_token", "acc_per_char",
                                                "acc_per_byte", "acc_uncond",    "bits_per_byte"};

namespace {
constexpr int deepest_folder = 4;

/// request file of a folder that is a task, or nothing.
Path request_file(const Path& folder) {
  for (const char* name : {"requests.jsonl.gz", "requests.jsonl"}) {
    if (std::filesystem::is_regular_file(folder / name)) return folder / name;
  }
  return {};
}

/// What config.json says of a task; only these keys are looked at.
void read_config(const Path& file, OlmesTask& task, int64_t& offset) {
  if (!std::filesystem::exists(file)) return;
  const Json json = read_json_file(file);
  const auto config = json.is_object() ? json.find("task_config") : json.end();
  if (!json.is_object() || config == json.end() || !config->is_object())
    throw UserError("[eval] {} has no object 'task_config'", file.string());
  if (const auto name = config->find("task_name"); name != config->end() && name->is_string()) task.name = *name;
  if (const auto metric = config->find("primary_metric"); metric != config->end() && metric->is_string()) {
    std::string said = *metric;
    if (said == "bits_per_byte_corr" || said == "logits_per_byte") said = "bits_per_byte";
    if (std::ranges::count(olmes_metrics, said) > 0) task.primary_metric = said;
  }
  const auto details = config->find("metric_kwargs");
  if (details == config->end() || !details->is_object()) return;
  const auto said = details->find("uncond_docid_offset");
  if (said == details->end() || said->is_null()) return;
  if (!said->is_number_integer() || *said < 1 || *said > 1000000000)
    throw UserError("[eval] {}: uncond_docid_offset is {}, want 1 to 1000000000", file.string(), said->dump());
  offset = *said;
}

OlmesTask read_request_file(const Path& file) {
  OlmesTask task{.name = file.stem().stem().string()};
  int64_t offset = 1000000;
  if (file.stem().stem() == "requests") {
    const Path folder = std::filesystem::absolute(file).parent_path();
    task.name = folder.parent_path().filename().string();
    task.variant = folder.filename().string();
    read_config(folder / "config.json", task, offset);
  }
  const MappedFile mapped(file);
  task.documents = parse_olmes_requests(mapped.bytes(), file.string(), offset);
  const auto asked = std::ranges::count_if(task.documents, [](const auto& each) { return each.answer.has_value(); });
  if (asked != 0 && asked != std::ssize(task.documents))
    throw UserError("[eval] {}: {} of {} documents have several choices, want all or none", file.string(), asked,
                    task.documents.size());
  if (asked == 0) task.primary_metric = "bits_per_byte";
  else if (task.primary_metric.empty() || task.primary_metric == "bits_per_byte") task.primary_metric = "acc_per_char";
  return task;
}

void find_tasks(const Path& path, const OlmesSource& source, int depth, std::vector<OlmesTask>& tasks) {
  const auto keep = [&](OlmesTask task) {
    keep_evenly(task.documents, source.limit);
    tasks.push_back(std::move(task));
  };
  if (!std::filesystem::is_directory(path)) return keep(read_request_file(path));
  if (const Path file = request_file(path); !file.empty()) {
    const std::string variant = std::filesystem::absolute(file).parent_path().filename().string();
    if (source.variant.empty() || variant == source.variant) keep(read_request_file(file));
    return;
  }
  if (is_mmlu(path)) return keep(read_mmlu(path, source.variant.empty() ? "val_rc_5shot" : source.variant));
  if (depth == deepest_folder) return;
  std::vector<Path> inner;
  std::error_code unreadable;
  for (const auto& entry : std::filesystem::directory_iterator(path, unreadable)) {
    if (entry.is_directory() && !entry.is_symlink()) inner.push_back(entry.path());
  }
  if (unreadable) throw UserError("[eval] {} cannot be read: {}", path.string(), unreadable.message());
  std::sort(inner.begin(), inner.end());
  for (const Path& folder : inner) find_tasks(folder, source, depth + 1, tasks);
}
}  // namespace

void keep_evenly(std::vector<OlmesDocument>& documents, int64_t limit) {
  const auto count = static_cast<size_t>(limit);
  if (limit <= 0 || count >= documents.size()) return;
  // Place i * size / count never lies before i, so that documents move to the front one after another.
  for (size_t i = 0; i < count; ++i) {
    const size_t from = i * documents.size() / count;
    if (from != i) documents[i] = std::move(documents[from]);
  }
  documents.resize(count);
}

std::vector<OlmesTask> read_olmes_tasks(const OlmesSource& source) {
  std::vector<OlmesTask> tasks;
  for (const Path& path : source.data) {
    if (!std::filesystem::exists(path)) throw UserError("[eval] {} does not exist", path.string());
    const size_t before = tasks.size();
    find_tasks(path, source, 0, tasks);
    if (tasks.size() == before) {
      throw UserError("[eval] {} holds no task{}; want a folder with requests.jsonl.gz, or one of such folders",
                      path.string(), source.variant.empty() ? "" : " of variant '" + source.variant + "'");
    }
  }
  return tasks;
}

}  // namespace tessera::eval
