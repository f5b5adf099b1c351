// `tessera convert`: the registry knows how; here are progress and the summary.
#include "apps/convert.h"

#include <chrono>
#include <optional>

#include "apps/text_request.h"
#include "core/error.h"
#include "core/files.h"
#include "core/progress.h"
#include "models/registry.h"

namespace tessera::apps {

namespace {
uint64_t bytes_at(const Path& path) {
  if (!std::filesystem::is_directory(path)) return std::filesystem::file_size(path);
  uint64_t bytes = 0;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(path))
    bytes += entry.is_regular_file() ? entry.file_size() : 0;
  return bytes;
}

/// --dtype says fp32 where formats are f32; both are understood here.
std::string own_name(const std::string& format) { return format == "fp32" ? "f32" : format == "fp16" ? "f16" : format; }
}  // namespace

int run_convert(const ConvertOptions& options) {
  const auto began = std::chrono::steady_clock::now();
  require_writable(options.out, "convert");
  std::optional<Progress> progress;
  const auto show_progress = [&](int64_t done, int64_t of) {
    if (!progress) progress.emplace("convert", of, "tensors");
    progress->update(done);
  };
  convert_model(
      options.model, options.out,
      {.format = own_name(options.format), .on_progress = show_progress, .adapters = adapter_paths(options.adapter)});
  progress.reset();
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
  const uint64_t bytes = bytes_at(options.out);
  if (options.output.json) {
    print_json({{"model", options.model.string()},
                {"out", options.out.string()},
                {"format", options.format},
                {"bytes", bytes},
                {"seconds", seconds}});
  } else {
    fmt::print("{}: {:.1f} MB in {:.1f} s\n", options.out.string(), static_cast<double>(bytes) / 1e6, seconds);
  }
  return 0;
}

}  // namespace tessera::apps
