// `tessera quantize`: calibrate, search, pack, write.
#include "apps/quantize.h"

#include <algorithm>
#include <chrono>

#include <fmt/ranges.h>

#include "apps/convert.h"
#include "apps/text_request.h"
#include "core/error.h"
#include "core/files.h"
#include "core/log.h"
#include "core/progress.h"
#include "core/text_file.h"
#include "core/utf8.h"
#include "media/read_media.h"
#include "models/quantizable.h"
#include "models/registry.h"
#include "nn/kernels/int4_kernel.h"
#include "quant/awq.h"
#include "quant/smooth_quant.h"
#include "tensor/device.h"
#include "tensor/model_dir.h"
#include "tensor/weight_source.h"

namespace tessera::apps {

namespace {

namespace fs = std::filesystem;
using quant::SharedInput;

/// Every file of the paths, folders opened, each in order of names.
std::vector<Path> files_of(const std::vector<std::string>& paths) {
  FileKinds kinds = picture_files;
  kinds.insert(kinds.end(), {".txt", ".md"});
  std::vector<Path> files;
  for (const std::string& path : paths)
    std::ranges::copy(find_files(path, kinds, "quantize"), std::back_inserter(files));
  return files;
}

CalibrationData calibration_of(const QuantizeOptions& options) {
  CalibrationData data{.tokens = options.tokens, .seed = options.compute.seed};
  for (const Path& file : files_of(options.calibration)) {
    if (is_of_kind(file, picture_files)) data.pictures.push_back(media::read_image(file));
    else data.texts.push_back(read_text(file, "quantize"));
  }
  const auto blank = [](const std::string& text) { return text.find_first_not_of(" \t\r\n") == std::string::npos; };
  if (!options.calibration.empty() && data.pictures.empty() && std::ranges::all_of(data.texts, blank))
    throw UserError("[quantize] --calibration {} holds nothing, want texts or pictures",
                    fmt::join(options.calibration, ", "));
  // A part of each text: the first of them alone may hold more than is asked for.
  if (data.texts.size() > 1) {
    const auto most = static_cast<size_t>(std::max<int64_t>(4096, 8 * options.tokens / std::ssize(data.texts)));
    for (std::string& text : data.texts) text.resize(whole_characters(std::string_view(text).substr(0, most)));
  }
  return data;
}

/// The group to pack with: what was asked for, or the largest that divides every layer's inputs.
int64_t group_for(const std::vector<SharedInput>& inputs, int64_t asked) {
  if (asked != 0 && (asked < 8 || asked % 8 != 0 || asked > nn::int4::most_group))
    throw UserError("[quantize] --group is {}, want a multiple of 8 up to {}, or 0", asked, nn::int4::most_group);
  for (const int64_t group : asked != 0 ? std::vector<int64_t>{asked} : std::vector<int64_t>{128, 64, 32}) {
    const auto misfit =
        std::find_if(inputs.begin(), inputs.end(), [&](const SharedInput& i) { return i.width() % group != 0; });
    if (misfit == inputs.end()) return group;
    if (group == asked || group == 32)
      throw UserError("[quantize] layer {} reads {} channels, want a multiple of the group {}", misfit->name,
                      misfit->width(), group);
  }
  return asked;
}

void require_eights(const std::vector<SharedInput>& inputs) {
  for (const SharedInput& input : inputs) {
    for (const auto& consumer : input.consumers) {
      if (consumer.pack && consumer.layer->weight.size(0) % 8 != 0)
        throw UserError("[quantize] layer {} or a neighbour has {} outputs, want a multiple of 8", input.name,
                        consumer.layer->weight.size(0));
    }
  }
}

/// Of weights; of a folder that holds none itself, of all files.
uint64_t bytes_of(const Path& directory) {
  uint64_t bytes = 0;
  if (holds_weights(directory)) {
    for (const Path& file : weight_files(directory)) bytes += fs::file_size(file);
    return bytes;
  }
  for (const auto& entry : fs::recursive_directory_iterator(directory))
    bytes += entry.is_regular_file() ? entry.file_size() : 0;
  return bytes;
}

int64_t layers_of(const std::vector<SharedInput>& inputs) {
  int64_t layers = 0;
  for (const SharedInput& input : inputs)
    layers += std::ranges::count(input.consumers, true, &SharedInput::Consumer::pack);
  return layers;
}

void require_sound(const QuantizeOptions& options) {
  if (options.bits != 4 && options.bits != 0) throw UserError("[quantize] --bits is {}, want 4 or 0", options.bits);
  if (options.method != "awq" && options.method != "nearest")
    throw UserError("[quantize] --method is '{}', want awq or nearest", options.method);
  if (options.tower != "auto" && options.tower != "int8" && options.tower != "none")
    throw UserError("[quantize] --tower is '{}', want int8, none or auto", options.tower);
  if (is_gguf_file(options.model))
    throw UserError(
        "[quantize] {} is a GGUF file; want a directory (tessera convert makes one), or --format for another file",
        options.model.string());
  if (options.tokens < 1) throw UserError("[quantize] --tokens is {}, want at least 1", options.tokens);
  if (fs::exists(options.out) && !(fs::is_directory(options.out) && fs::is_empty(options.out)))
    throw UserError("[quantize] {} exists; give a new directory", options.out.string());
  require_writable(options.out / "config.json", "quantize");
}

struct Errors {
  double nearest = 0, found = 0;  // means over inputs
};

Errors pack_language(const std::vector<SharedInput>& inputs, const std::vector<quant::InputStatistics>& statistics,
                     int64_t group, bool search) {
  Progress progress("search", std::ssize(inputs), "inputs");
  const auto results = quant::awq(
      inputs, statistics,
      {.group = group, .scale = search, .clip = search, .on_input = [&](int64_t done) { progress.update(done); }});
  Errors errors;
  for (const auto& r : results) {
    errors.nearest += r.nearest_error;
    errors.found += r.error;
  }
  const auto count = static_cast<double>(std::max<size_t>(1, results.size()));
  return {errors.nearest / count, errors.found / count};
}

/// What is packed, and in which groups.
struct Chosen {
  std::vector<SharedInput> language, tower;
  int64_t group = 0;
};

/// Throws UserError where nothing would be packed, and for widths that no group divides.
Chosen chosen_of(Quantizable& model, const QuantizeOptions& options) {
  Chosen chosen{.language = model.language_inputs(), .tower = model.tower_inputs()};
  if (options.bits == 0) chosen.language.clear();
  if (options.tower == "none") chosen.tower.clear();
  if (options.tower == "int8" && chosen.tower.empty())
    throw UserError("[quantize] {} has no vision tower to pack in 8 bits", options.model.string());
  if (chosen.language.empty() && chosen.tower.empty())
    throw UserError("[quantize] nothing to pack; give --bits 4 or --tower int8");
  chosen.group = group_for(chosen.language, options.group);
  require_eights(chosen.language);
  if (options.group == 0 && chosen.group != 128) log_info("widths are no multiples of 128: groups of {}", chosen.group);
  if (options.calibration.empty() && options.method == "awq")
    log_info("no --calibration: on texts that the model draws itself; give such as it is for");
  return chosen;
}

}  // namespace

int run_quantize(const QuantizeOptions& options) {
  if (!options.format.empty()) {
    if (options.out.extension() != ".gguf")
      throw UserError("[quantize] --format writes a GGUF file; {} does not end with .gguf", options.out.string());
    if (options.bits != 4 || options.group != 0 || options.tower != "auto" || !options.calibration.empty())
      throw UserError(
          "[quantize] --format {} rounds to nearest; --bits, --group, --tower and --calibration are for packing "
          "without it",
          options.format);
    return run_convert({.model = options.model,
                        .adapter = options.adapter,
                        .out = options.out,
                        .format = options.format,
                        .output = options.output});
  }
  const auto began = std::chrono::steady_clock::now();
  require_sound(options);
  CalibrationData data = calibration_of(options);
  const auto model =
      load_quantizable(options.model, parse_device(options.compute.device), adapter_paths(options.adapter));
  const Chosen chosen = chosen_of(*model, options);
  const auto& [language, tower, group] = chosen;
  std::vector<quant::InputStatistics> seen_language, seen_tower;
  int64_t positions = 0;
  seen_language.resize(language.size());
  seen_tower.resize(tower.size());
  if (!options.calibration.empty() || options.method == "awq") {
    std::optional<Progress> progress;
    data.on_progress = [&](int64_t done, int64_t total) {
      if (!progress) progress.emplace("calibrate", total, "rows");
      progress->update(done);
    };
    const quant::Calibration on_language(language), on_tower(tower);
    positions = model->calibrate(data);
    seen_language = on_language.statistics();
    seen_tower = on_tower.statistics();
  }
  const Errors errors = pack_language(language, seen_language, group, options.method == "awq");
  quant::smooth_quant(tower, seen_tower);
  model->save(options.out, {.group = group});

  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
  const Json result = {{"model", options.model.string()},
                       {"out", options.out.string()},
                       {"group", group},
                       {"layers", layers_of(language)},
                       {"tower_layers", layers_of(tower)},
                       {"calibration_positions", positions},
                       {"bytes_before", bytes_of(options.model)},
                       {"bytes", bytes_of(options.out)},
                       {"error_nearest", errors.nearest},
                       {"error", errors.found},
                       {"seconds", seconds}};
  if (options.output.json) print_json(result);
  else {
    fmt::print("{}: {} layers in 4 bits, {} in 8; {:.1f} MB, were {:.1f} MB\n", options.out.string(),
               layers_of(language), layers_of(tower), static_cast<double>(bytes_of(options.out)) / 1e6,
               static_cast<double>(bytes_of(options.model)) / 1e6);
    if (positions > 0)
      fmt::print("output error of a layer {:.4f} (rounding to nearest {:.4f}), {} positions, {:.0f} s\n", errors.found,
                 errors.nearest, positions, seconds);
    else fmt::print("rounded to nearest, {:.0f} s; --calibration would measure the output error\n", seconds);
  }
  return 0;
}

}  // namespace tessera::apps
