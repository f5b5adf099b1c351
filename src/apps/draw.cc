// `tessera draw`: prompts -> the model's Draws -> files of pictures. Everything that can be refused is refused before drawing.
#include "apps/draw.h"

#include <algorithm>
#include <chrono>

#include <fmt/ranges.h>

#include "apps/terminal_picture.h"
#include "apps/text_request.h"
#include "core/error.h"
#include "core/files.h"
#include "core/interrupt.h"
#include "core/log.h"
#include "core/progress.h"
#include "core/text_file.h"
#include "media/compose.h"
#include "media/picture_file.h"
#include "media/png.h"
#include "media/read_media.h"
#include "models/registry.h"
#include "tensor/device.h"

namespace tessera::apps {

namespace {

constexpr int64_t most_pictures = 10000;  // of a prompt

/// The prompts of the command line, then those of the file, each `count` times.
std::vector<std::string> all_prompts(const DrawOptions& options) {
  const std::vector<std::string> prompts = given_prompts(options.prompt, options.prompts, "draw");
  if (prompts.empty())
    throw UserError("[draw] no prompt; say what to draw, as in: tessera draw -m DIR \"red apple\" -o out.png");
  if (options.count < 1 || options.count > most_pictures)
    throw UserError("[draw] --count is {}, want 1 to {}", options.count, most_pictures);
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

/// Of one picture, which may take long, the scales are counted; of several, the pictures.
class DrawProgress {
 public:
  explicit DrawProgress(int64_t pictures) : count_(pictures) {
    if (count_ > 1) bar_.emplace("draw", count_, "pictures");
  }
  void step(size_t scale, size_t scales) {
    const auto now = std::chrono::steady_clock::now();
    if (scale < scales && seconds_.size() == scale)
      seconds_.push_back(std::chrono::duration<double>(now - last_).count());
    last_ = now;
    if (count_ > 1) return;
    if (!bar_) bar_.emplace("draw", static_cast<int64_t>(scales), "scales");
    bar_->update(static_cast<int64_t>(scale) + 1);
  }
  void pictures(int64_t done) {
    if (count_ > 1) bar_->update(done);
  }
  void finish() {
    if (bar_) bar_->finish();
  }
  /// Of the first pictures; that of the first scale holds reading the prompt.
  const std::vector<double>& scale_seconds() const { return seconds_; }

 private:
  int64_t count_;
  std::optional<Progress> bar_;
  std::vector<double> seconds_;
  std::chrono::steady_clock::time_point last_ = std::chrono::steady_clock::now();
};

/// "one picture", "600 pictures", "interrupted after 192 of 600 pictures".
std::string told(size_t drawn, size_t asked) {
  if (drawn < asked) return fmt::format("interrupted after {} of {} pictures", drawn, asked);
  return asked == 1 ? "one picture" : fmt::format("{} pictures", asked);
}

/// ": " and the names of files; of many, the first and the last; nothing where there are none.
std::string told(const std::vector<std::string>& files) {
  constexpr size_t listed = 8;
  if (files.empty()) return "";
  if (files.size() <= listed) return fmt::format(": {}", fmt::join(files, ", "));
  return fmt::format(": {} ... {}", files.front(), files.back());
}

/// The shape that was asked for, or else that of the first picture.
double aspect_of(const DrawOptions& options, const std::optional<Image>& first) {
  if (!options.aspect.empty()) return parse_aspect(options.aspect);
  constexpr double least = 0.25, most = 4;
  return first ? std::clamp(static_cast<double>(first->height) / static_cast<double>(first->width), least, most) : 1;
}

DrawRequest request_of(const DrawOptions& options) {
  DrawRequest request{.prompts = all_prompts(options),
                      .seed = options.compute.seed,
                      .cfg = options.cfg,
                      .tau = options.tau,
                      .top_p = options.top_p,
                      .top_k = options.top_k,
                      .window = options.window,
                      .settle = options.settle,
                      .pixels = options.pixels,
                      .negative = options.negative,
                      .positive_prompt = options.positive_prompt};
  request.fast = fast_drawing(options.fast);
  if (!options.cfg_layers.empty()) request.cfg_layers = options.cfg_layers;
  if (!options.size.empty() && (!options.aspect.empty() || !options.pixels.empty()))
    throw UserError("[draw] --size says all; leave out --aspect and --pixels");
  if (!options.negative.empty() && is_blank(options.negative))
    throw UserError("[draw] --negative holds no words; leave it out, or say what pictures are to keep away from");
  if (!options.from.empty() && !options.init_image.empty())
    throw UserError("[draw] --from is an older name of --init-image; give one of them");
  const Path& first = options.init_image.empty() ? options.from : options.init_image;
  if (options.keep_scales.value_or(0) > 0 && first.empty())
    throw UserError("[draw] --keep-scales is {} but there is no --init-image to keep them from", *options.keep_scales);
  if (!first.empty()) {
    request.from = media::read_image(first);
    request.keep_scales = options.keep_scales.value_or(1);
  }
  if (!options.size.empty()) request.size = parse_size(options.size);
  request.aspect = aspect_of(options, request.from);
  return request;
}

/// Throws UserError where standard output is to hold something else than one picture.
void require_one_output(const DrawOptions& options, size_t pictures) {
  constexpr const char* out = "[draw] --out - writes a picture to standard output";
  if (pictures > 1) throw UserError("{}, but there are {}; want --sheet, or a name", out, pictures);
  if (options.output.json) throw UserError("{}, where --json goes too; want a name for the picture", out);
  if (options.show || options.show_as != "auto")
    throw UserError("{}, where --show paints too; want a name for the picture", out);
  if (output_is_terminal()) throw UserError("{}, which is a terminal; want a pipe, a file, or a name", out);
}

/// Throws UserError where a picture cannot be written: better now than after the drawing.
void require_outputs(const DrawOptions& options, const std::vector<Path>& paths) {
  if (options.enlarge < 1 || options.enlarge > 64)
    throw UserError("[draw] --enlarge is {}, want 1 to 64", options.enlarge);
  if (is_dash(options.out)) {
    require_one_output(options, paths.size());
  } else {
    media::picture_kind(options.out, "draw");
    require_writable(paths.front(), "draw");
    require_writable(paths.back(), "draw");
  }
  if (!options.save_scales.empty()) require_writable(options.save_scales / "1-strip.png", "draw");
}

/// Absent unless pictures are to be shown.
std::optional<PicturePainter> painter_of(const DrawOptions& options) {
  if (!options.show && options.show_as == "auto") return std::nullopt;
  PicturePainter painter(options.show_as);
  if (!painter.paints())
    log_warning("[draw] standard output is no terminal; --show paints nothing (--show-as blocks paints all the same)");
  return painter;
}

}  // namespace

int run_draw(const DrawOptions& options) {
  DrawRequest request = request_of(options);
  const std::vector<Path> paths = outputs(options, request.prompts.size());
  require_outputs(options, paths);
  std::optional<PicturePainter> painter = painter_of(options);
  const auto model =
      load_model(options.model, parse_device(options.compute.device), load_options(options.memory, options.adapter));
  const Draws* draws = model->draws();
  if (!draws)
    throw UserError("[draw] {} holds a model of type '{}', which cannot draw", options.model.string(),
                    model->model_type());

  ScaleFiles scale_files(options.save_scales, options.enlarge);
  std::vector<std::string> written;
  const auto write = [&](const Path& path, const Image& picture) {
    if (is_dash(path)) show(media::encode_png(picture));
    else media::write_picture(path, picture);
    written.push_back(is_dash(path) ? "standard output" : path.string());
  };
  const InterruptGuard guard;
  DrawProgress progress(std::ssize(request.prompts));
  request.on_step = [&](size_t scale, size_t scales) {
    progress.step(scale, scales);
    return request.prompts.size() > 1 || !InterruptGuard::raised();  // a batch of several is drawn to its end
  };
  if (!options.save_scales.empty()) request.on_scale = [&](const ScaleView& view) { scale_files.take(view); };
  request.on_pictures = [&](size_t first, const std::vector<Image>& pictures) {
    for (size_t i = 0; i < pictures.size() && !options.sheet; ++i)
      write(paths[first + i], enlarged(pictures[i], options.enlarge));
    progress.pictures(static_cast<int64_t>(first) + std::ssize(pictures));
    return !InterruptGuard::raised();
  };
  const auto began = std::chrono::steady_clock::now();
  std::vector<Image> pictures = draws->draw(request);
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
  progress.finish();

  if (painter && !options.output.json) {
    for (const Image& picture : pictures) painter->paint(picture);
  }
  if (options.sheet && !pictures.empty()) {
    for (Image& picture : pictures) picture = enlarged(picture, options.enlarge);
    write(paths[0], media::contact_sheet(pictures, {.columns = options.count > 1 ? options.count : 0}));
  }
  const bool interrupted = pictures.size() < request.prompts.size();
  log_info("{} in {}{}", told(pictures.size(), request.prompts.size()), format_duration(seconds), told(written));
  if (options.output.json) {
    print_json({{"pictures", written},
                {"scales", scale_files.written()},
                {"prompts", request.prompts},
                {"seed", request.seed},
                {"interrupted", interrupted},
                {"scale_seconds", progress.scale_seconds()},
                {"seconds", seconds}});
  }
  return interrupted ? interrupted_status : 0;
}

}  // namespace tessera::apps
