// `tessera inspect`: gathers what headers and small text files say. Never reads weights, never loads LibTorch.
#include "apps/inspect.h"

#include <algorithm>
#include <filesystem>
#include <map>
#include <sstream>

#include <unistd.h>

#include "core/error.h"
#include "core/log.h"
#include "tensor/checkpoint.h"
#include "tensor/model_dir.h"
#include "tensor/weight_source.h"

namespace tessera::apps {

namespace {

/// "BF16", or the packed blocks of a GGUF file: "q4_K".
std::string format_of(const StoredTensor& entry) {
  return entry.blocks.empty() ? std::string(dtype_name(entry.dtype)) : entry.blocks;
}

Json tensor_row(const StoredTensor& entry) {
  return {{"name", entry.name},
          {"dtype", format_of(entry)},
          {"shape", entry.shape},
          {"parameters", scalar_count(entry.shape)}};
}

/// How many weights a stored tensor holds: eight to a word of 4-bit ones, none for the scales and zeros beside
/// packed ones.
int64_t weights_in(const StoredTensor& entry) {
  const std::string_view name = entry.name;
  if (name.ends_with(".qzeros") || name.ends_with(".weight_scale")) return 0;
  const bool words = name.ends_with(".qweight") && entry.dtype == Dtype::i32;
  return scalar_count(entry.shape) * (words ? 8 : 1);
}

/// The layers of each packing and the weights in them, and `scales` of 4-bit layers taken off the parameters.
void add_packing(Json& report, const std::map<std::string, StoredTensor>& entries) {
  Json packed = Json::object();
  for (const auto& [name, entry] : entries) {
    const auto with = [&](std::string_view suffix, std::string_view other) {
      return name.ends_with(suffix) &&
             entries.contains(name.substr(0, name.size() - suffix.size()) + std::string(other));
    };
    if (with(".scales", ".qweight"))
      report["parameters"] = report["parameters"].get<int64_t>() - scalar_count(entry.shape);
    const char* kind = with(".qweight", ".scales") ? "int4" : with(".weight", ".weight_scale") ? "int8" : nullptr;
    if (kind == nullptr) continue;
    Json& row = packed[kind];
    if (row.is_null()) row = {{"layers", int64_t{0}}, {"parameters", int64_t{0}}};
    row["layers"] = row["layers"].get<int64_t>() + 1;
    row["parameters"] = row["parameters"].get<int64_t>() + weights_in(entry);
  }
  if (!packed.empty()) report["packed"] = packed;
}

/// Adds what the headers of `files` say to `report`.
void add_weights(Json& report, const std::vector<Path>& files, bool list_tensors) {
  int64_t parameters = 0;
  uint64_t bytes = 0;
  std::map<std::string, int64_t> dtypes;
  Json rows = Json::array(), metadata = Json::object();
  std::map<std::string, StoredTensor> entries;
  for (const Path& path : files) {
    const StoredFile file = read_weight_file(path);
    bytes += std::filesystem::file_size(path);
    for (const StoredTensor& entry : file.tensors) {
      parameters += weights_in(entry);
      dtypes[format_of(entry)] += scalar_count(entry.shape);
      entries[entry.name] = entry;
      rows.push_back(tensor_row(entry));
    }
    for (const auto& [key, value] : file.metadata.items()) metadata[key] = value;
  }
  std::sort(rows.begin(), rows.end(), [](const Json& a, const Json& b) { return a["name"] < b["name"]; });
  report["parameters"] = parameters;
  report["bytes"] = bytes;
  report["files"] = files.size();
  report["dtypes"] = dtypes;
  report["tensors"] = list_tensors ? rows : Json(rows.size());
  report["metadata"] = metadata;
  add_packing(report, entries);
}

Json inspect_model(const Path& directory, bool list_tensors) {
  const ModelDirectory model = read_model_directory(directory);
  Json report = {{"kind", "model"}, {"path", directory.string()}, {"model_type", model.model_type}};
  if (const std::string knows = read_notes(directory).knows; !knows.empty()) report["knows"] = knows;
  add_weights(report, model.weight_files, list_tensors);
  report["config"] = model.config;
  for (const char* part : {"codec", "text_encoder"}) {
    if (std::filesystem::exists(directory / part)) report[part] = inspect_model(directory / part, list_tensors);
  }
  return report;
}

/// Files of weights in `folder` itself, and folders in it that hold weights, by name.
std::vector<Path> parts_of(const Path& folder) {
  std::vector<Path> parts;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    const bool holds = entry.is_directory() ? holds_weights(entry.path())
                                            : is_of_kind(entry.path(), {".pth", ".pt", ".bin", ".safetensors"});
    if (holds) parts.push_back(entry.path());
  }
  std::sort(parts.begin(), parts.end());
  return parts;
}

/// A folder that is no model itself, such as one of files as they were released.
Json inspect_folder(const Path& folder, const std::vector<Path>& parts, bool list_tensors) {
  Json report = {{"kind", "folder"}, {"path", folder.string()}, {"parts", Json::array()}};
  for (const Path& part : parts) {
    if (std::filesystem::exists(part / "config.json")) {
      report["parts"].push_back(inspect_model(part, list_tensors));
      continue;
    }
    Json weights = {{"kind", "weights"}, {"path", part.string()}};
    add_weights(weights, std::filesystem::is_directory(part) ? weight_files(part) : std::vector<Path>{part},
                list_tensors);
    report["parts"].push_back(weights);
  }
  return report;
}

/// A PEFT directory.
Json inspect_adapter(const Path& directory, bool list_tensors) {
  Json report = {{"kind", "adapter"}, {"path", directory.string()}};
  add_weights(report, {adapter_weight_file(directory)}, list_tensors);
  report["config"] = read_json_file(directory / "adapter_config.json");
  return report;
}

/// Later lines win field by field, since a line holds only what was measured at its step. A last line that was cut
/// off by a killed run is skipped.
void add_metrics(Json& report, const Path& file) {
  Json newest = Json::object();
  std::istringstream lines(read_file(file));
  for (std::string line; std::getline(lines, line);) {
    const Json entry = Json::parse(line, nullptr, false);
    if (entry.is_object()) newest.update(entry);
  }
  if (const auto step = newest.find("step"); step != newest.end()) {
    int64_t number = 0;
    from_json(*step, number, file.string(), "step");
    report["step"] = number;
    newest.erase("step");
  }
  report["metrics"] = newest;
}

Json inspect_run(const Path& directory, bool list_tensors) {
  Json report = {{"kind", "run"}, {"path", directory.string()}, {"step", 0}, {"metrics", Json::object()}};
  if (std::filesystem::exists(directory / "metrics.jsonl")) add_metrics(report, directory / "metrics.jsonl");
  report["checkpoints"] = CheckpointStore(directory / "checkpoints").steps();
  report["recipe"] = read_toml_file(directory / "recipe.toml");
  if (std::filesystem::exists(directory / "model")) report["model"] = inspect_model(directory / "model", list_tensors);
  return report;
}

}  // namespace

Json inspect(const Path& target, bool list_tensors) {
  std::error_code unreadable;
  const auto status = std::filesystem::status(target, unreadable);
  if (!std::filesystem::exists(status)) throw UserError("[inspect] {} does not exist", target.string());
  if (std::filesystem::is_directory(status)) {
    const bool is_run =
        std::filesystem::exists(target / "recipe.toml") && !std::filesystem::exists(target / "config.json");
    if (std::filesystem::exists(target / "adapter_config.json") && !std::filesystem::exists(target / "config.json"))
      return inspect_adapter(target, list_tensors);
    if (is_run) return inspect_run(target, list_tensors);  // a trained model keeps its recipe beside its config
    if (!std::filesystem::exists(target / "config.json") && !holds_weights(target)) {
      if (const std::vector<Path> parts = parts_of(target); !parts.empty())
        return inspect_folder(target, parts, list_tensors);
    }
    return inspect_model(target, list_tensors);
  }
  if (is_gguf_file(target)) return inspect_model(target, list_tensors);
  Json report = {{"kind", "weights"}, {"path", target.string()}};
  add_weights(report, {target}, list_tensors);
  return report;
}

namespace {

void require_run(const Path& target) {
  std::error_code unreadable;
  if (!std::filesystem::exists(target, unreadable))
    throw UserError("[inspect] {} does not exist; --plot, --metric and --report want the directory of a training run",
                    target.string());
}

/// What --plot and --report draw. Throws UserError where there is nothing to draw.
std::vector<MetricSeries> metrics_of(const Json& report, const Path& target) {
  if (report["kind"] != "run")
    throw UserError("[inspect] --plot, --metric and --report are for training runs; {} is not one", target.string());
  const Path file = target / "metrics.jsonl";
  std::vector<MetricSeries> all;
  if (std::filesystem::exists(file)) all = read_metrics(file);
  if (all.empty()) throw UserError("[inspect] {} has no metrics yet; there is nothing to draw", target.string());
  return all;
}

}  // namespace

int run_inspect(const InspectOptions& options) {
  apply(options.output);
  const bool plots = options.plot || !options.metric.empty();
  if (plots || !options.report.empty()) require_run(options.target);
  if (!options.report.empty()) require_writable(options.report, "inspect");
  Json report = inspect(options.target, options.tensors);
  std::vector<MetricSeries> all, chosen;
  if (plots || !options.report.empty()) {
    all = metrics_of(report, options.target);
    chosen = choose_metrics(all, options.metric);
  }
  if (!options.report.empty()) {
    write_run_report(report, chosen, all, options.report);
    log_info("the report is in {}", options.report.string());
  }
  if (options.output.json) {
    if (plots) {
      for (const MetricSeries& each : chosen)
        report["series"][each.name] = {{"steps", each.steps}, {"values", each.values}};
    }
    print_json(report);
  } else if (plots) {
    detail::print(plot_text(chosen, terminal_of(STDOUT_FILENO)));
  } else {
    detail::print(inspect_text(report));
  }
  return 0;
}

}  // namespace tessera::apps
