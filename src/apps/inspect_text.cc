// The report of `tessera inspect` as a person reads it.
#include <algorithm>

#include "apps/inspect.h"
#include "core/terminal.h"
#include "core/utf8.h"

namespace tessera::apps {

namespace {

/// 4812345 -> "4,812,345".
std::string grouped(int64_t number) {
  std::string digits = std::to_string(number);
  for (auto place = static_cast<std::ptrdiff_t>(digits.size()) - 3; place > 0; place -= 3) {
    digits.insert(static_cast<size_t>(place), ",");
  }
  return digits;
}

std::string size_text(uint64_t bytes) {
  double size = static_cast<double>(bytes);
  for (const char* unit : {"B", "kB", "MB", "GB"}) {
    if (size < 1000) return fmt::format("{:.{}f} {}", size, *unit == 'B' ? 0 : 1, unit);
    size /= 1000;
  }
  return fmt::format("{:.1f} TB", size);
}

std::string shown(const Json& value) {
  const std::string text = without_control_characters(value.is_string() ? value.get<std::string>() : value.dump());
  if (text.size() <= 100) return text;
  return text.substr(0, whole_characters(std::string_view(text).substr(0, 97))) + "...";
}

/// Names and values in two columns; tables inside tables are indented.
std::string table(const Json& tree, size_t indent) {
  size_t width = 0;
  for (const auto& [name, value] : tree.items()) {
    if (!value.is_object()) width = std::max(width, name.size());
  }
  std::string text;
  for (const auto& [name, value] : tree.items()) {
    const std::string left = std::string(indent, ' ') + shown(name);
    if (value.is_object() && !value.empty()) text += left + "\n" + table(value, indent + 2);
    else text += fmt::format("{:<{}}  {}\n", left, indent + width, shown(value));
  }
  return text;
}

std::string tensor_table(const Json& rows) {
  size_t names = 0;
  for (const Json& row : rows) names = std::max(names, shown(row["name"]).size());
  std::string text = "\ntensors\n";
  for (const Json& row : rows) {
    std::string shape = row["shape"].dump();
    for (size_t comma = 0; (comma = shape.find(',', comma)) != std::string::npos; comma += 2)
      shape.insert(comma + 1, " ");
    text += fmt::format("  {:<{}}  {:<7}  {}\n", shown(row["name"]), names, row["dtype"].get<std::string>(), shape);
  }
  return text;
}

std::string section(const std::string& title, const Json& tree) {
  return tree.empty() ? "" : "\n" + title + "\n" + table(tree, 2);
}

std::string weights_text(const Json& report) {
  std::string formats;
  for (const auto& [dtype, count] : report["dtypes"].items()) formats += (formats.empty() ? "" : ", ") + dtype;
  const Json& tensors = report["tensors"];
  const std::string type = report.contains("model_type") ? shown(report["model_type"]) + ", " : "";
  std::string text = fmt::format("{}: {}{} parameters ({}) in {} tensors, {}\n", shown(report["path"]), type,
                                 grouped(report["parameters"].get<int64_t>()), formats.empty() ? "none" : formats,
                                 tensors.is_array() ? tensors.size() : tensors.get<size_t>(),
                                 size_text(report["bytes"].get<uint64_t>()));
  if (report.contains("knows"))
    text += fmt::format("knows {}\n", without_control_characters(report["knows"].get<std::string>()));
  if (report.contains("packed")) {
    for (const auto& [kind, row] : report["packed"].items()) {
      text += fmt::format("{}: {} parameters in {} layers\n", kind, grouped(row["parameters"].get<int64_t>()),
                          row["layers"].get<int64_t>());
    }
  }
  if (report.contains("config")) text += section("config", report["config"]);
  text += section("metadata", report["metadata"]);
  if (tensors.is_array() && !tensors.empty()) text += tensor_table(tensors);
  for (const char* part : {"codec", "text_encoder"}) {
    if (report.contains(part)) text += "\n" + weights_text(report[part]);
  }
  return text;
}

std::string folder_text(const Json& report) {
  std::string text = fmt::format("{}: {} parts with weights\n", shown(report["path"]), report["parts"].size());
  for (const Json& part : report["parts"]) text += "\n" + weights_text(part);
  return text;
}

bool is_table(const Json& value) {
  const bool tables = value.is_array() && !value.empty() &&
                      std::all_of(value.begin(), value.end(), [](const Json& one) { return one.is_object(); });
  return value.is_object() || tables;
}

std::string run_text(const Json& report) {
  const Json& checkpoints = report["checkpoints"];
  std::string text =
      fmt::format("{}: training run, {} steps logged, {}\n", shown(report["path"]), report["step"].get<int64_t>(),
                  checkpoints.empty() ? "no checkpoint" : "last checkpoint at step " + checkpoints.back().dump());
  text += section("last metrics", report["metrics"]) + section("recipe", used_settings(report["recipe"]));
  if (report.contains("model")) text += "\n" + weights_text(report["model"]);
  return text;
}

}  // namespace

Json used_settings(const Json& recipe) {
  Json used = Json::object();
  if (recipe.is_array()) {
    for (size_t i = 0; i < recipe.size(); ++i) used[std::to_string(i)] = used_settings(recipe[i]);
    return used;
  }
  const auto kind = recipe.find("kind");
  const std::string chosen = kind != recipe.end() && kind->is_string() ? kind->get<std::string>() : "";
  const bool chooses = recipe.contains(chosen) && is_table(recipe[chosen]);
  for (const auto& [name, value] : recipe.items()) {
    if (!is_table(value)) used[name] = value;
    else if (!chooses || name == chosen) used[name] = used_settings(value);
  }
  return used;
}

std::string inspect_text(const Json& report) {
  if (report["kind"] == "run") return run_text(report);
  return report["kind"] == "folder" ? folder_text(report) : weights_text(report);
}

}  // namespace tessera::apps
