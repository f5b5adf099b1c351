// `tessera draw`: prompts -> the model's Draws -> PNG files. Everything that can be refused is refused before drawing.
#include "apps/draw.h"

#include <chrono>
#include <sstream>

#include <fmt/ranges.h>

#include "core/error.h"
#include "core/files.h"
#include "core/log.h"
#include "core/progress.h"
#include "media/compose.h"
#include "media/png.h"
#include "media/read_media.h"
#include "models/registry.h"
#include "tensor/device.h"

namespace tessera::apps {

namespace {

/// The prompts of the command line, then those of the file, each `count` times.
std::vector<std::string> all_prompts(const DrawOptions& options) {
  std::vector<std::string> prompts = options.prompt;
  if (!options.prompts.empty()) {
    std::istringstream lines(read_file(options.prompts));
    for (std::string line; std::getline(lines, line);) {
      if (line.find_first_not_of(" \t\r") != std::string::npos) prompts.push_back(line);
    }
  }
  if (prompts.empty())
    throw UserError("[draw] no prompt; say what to draw, as in: tessera draw -m DIR \"red apple\" -o out.png");
  if (options.count < 1) throw UserError("[draw] --count is {}, want at least 1", options.count);
  std::vector<std::string> repeated;
  for (const std::string& prompt : prompts) repeated.insert(repeated.end(), static_cast<size_t>(options.count), prompt);
  return repeated;
}

/// dir/name.png -> dir/name-3.png.
Path numbered(const Path& path, size_t number) {
  return path.parent_path() / fmt::format("{}-{}{}", path.stem().string(), number, path.extension().string());
}

/// Where pictures go: one file when there is one picture or a sheet, else numbered files.
std::vector<Path> outputs(const DrawOptions& options, size_t pictures) {
  std::vector<Path> paths;
  const bool one = options.sheet || pictures == 1;
  for (size_t i = 0; i < (one ? 1 : pictures); ++i) paths.push_back(one ? options.out : numbered(options.out, i + 1));
  return paths;
}

Image enlarged(const Image& picture, int64_t factor) {
  return factor == 1 ? picture : media::resize_area(picture, picture.width * factor, picture.height * factor);
}

/// Writes every picture after every scale as PICTURE-scale-K.png, and strips of all scales.
class ScaleFiles {
 public:
  ScaleFiles(const Path& directory, int64_t enlarge) : directory_(directory), enlarge_(enlarge) {}

  void take(const ScaleView& view) {
    for (size_t i = 0; i < view.pictures.size(); ++i) {
      const size_t picture = view.first + i;
      if (strips_.size() <= picture) strips_.resize(picture + 1);
      strips_[picture].push_back(enlarged(view.pictures[i], enlarge_));
      write(fmt::format("{}-scale-{}.png", picture + 1, view.scale + 1), strips_[picture].back());
      if (view.scale + 1 == view.scales) {
        write(fmt::format("{}-strip.png", picture + 1),
              media::contact_sheet(strips_[picture], {.columns = static_cast<int64_t>(view.scales)}));
      }
    }
  }
  const std::vector<std::string>& written() const { return written_; }

 private:
  void write(const std::string& name, const Image& picture) {
    media::write_png(directory_ / name, picture);
    written_.push_back((directory_ / name).string());
  }
  Path directory_;
  int64_t enlarge_;
  std::vector<std::vector<Image>> strips_;
  std::vector<std::string> written_;
};

DrawRequest request_of(const DrawOptions& options) {
  DrawRequest request{.prompts = all_prompts(options),
                      .seed = options.compute.seed,
                      .cfg = options.cfg,
                      .tau = options.tau,
                      .top_p = options.top_p,
                      .aspect = parse_aspect(options.aspect)};
  if (!options.from.empty()) {
    request.from = media::read_image(options.from);
    request.keep_scales = options.keep_scales;
  }
  return request;
}

}  // namespace

int run_draw(const DrawOptions& options) {
  DrawRequest request = request_of(options);
  if (options.enlarge < 1 || options.enlarge > 64)
    throw UserError("[draw] --enlarge is {}, want 1 to 64", options.enlarge);
  const std::vector<Path> paths = outputs(options, request.prompts.size());
  for (const Path& path : paths) require_writable(path, "draw");
  if (!options.save_scales.empty()) require_writable(options.save_scales / "1-strip.png", "draw");

  const auto model = load_model(options.model, parse_device(options.compute.device));
  const Draws* draws = model->draws();
  if (!draws)
    throw UserError("[draw] {} holds a model of type '{}', which cannot draw", options.model.string(),
                    model->model_type());

  ScaleFiles scale_files(options.save_scales, options.enlarge);
  Progress progress("draw", std::ssize(request.prompts), "pictures");
  if (!options.save_scales.empty()) request.on_scale = [&](const ScaleView& view) { scale_files.take(view); };
  request.on_batch = [&](size_t done) { progress.update(static_cast<int64_t>(done)); };
  const auto began = std::chrono::steady_clock::now();
  std::vector<Image> pictures = draws->draw(request);
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
  progress.finish();

  for (Image& picture : pictures) picture = enlarged(picture, options.enlarge);
  const int64_t columns = options.count > 1 ? options.count : 0;
  if (options.sheet) pictures = {media::contact_sheet(pictures, {.columns = columns})};
  std::vector<std::string> written;
  for (size_t i = 0; i < paths.size(); ++i) {
    media::write_png(paths[i], pictures[i]);
    written.push_back(paths[i].string());
  }
  log_info("{} in {}: {}",
           request.prompts.size() == 1 ? "one picture" : fmt::format("{} pictures", request.prompts.size()),
           format_duration(seconds), fmt::join(written, ", "));
  if (options.output.json) {
    print_json({{"pictures", written},
                {"scales", scale_files.written()},
                {"prompts", request.prompts},
                {"seed", request.seed},
                {"seconds", seconds}});
  }
  return 0;
}

}  // namespace tessera::apps
