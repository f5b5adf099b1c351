// GIF by giflib, frame by frame from memory; frames are laid on a canvas as the format's disposal methods ask.
#include <algorithm>
#include <array>
#include <cstring>
#include <memory>
#include <optional>
#include <vector>

#include <gif_lib.h>

#include "core/error.h"
#include "media/compose.h"
#include "media/decoders.h"

namespace tessera::media {

namespace {
constexpr int64_t kMostGifFrames = 1 << 16;

class GifReader {
 public:
  GifReader(std::string_view bytes, std::string_view source) : rest_(bytes), source_(source) {
    int error = 0;
    opened_.reset(DGifOpen(this, read, &error));
    if (!opened_) fail(error);
    file_ = opened_.get();
    if (file_->SWidth > 0 && file_->SHeight > 0) check_picture_size(file_->SWidth, file_->SHeight, source);
  }
  GifReader(const GifReader&) = delete;
  GifReader& operator=(const GifReader&) = delete;

  const GifFileType& file() const { return *file_; }
  const GraphicsControlBlock& control() const { return control_; }

  /// Moves to the next frame's description and reads its control block. False at the end of the file.
  bool next_frame() {
    control_ = GraphicsControlBlock{};
    control_.TransparentColor = NO_TRANSPARENT_COLOR;
    for (;;) {
      GifRecordType record{};
      const char* at = rest_.data();
      if (rest_.empty() && frames_ > 0) return false;  // some writers leave the end mark out, and no pixel is lost
      if (DGifGetRecordType(file_, &record) == GIF_ERROR) {
        const bool stray = file_->Error == D_GIF_ERR_WRONG_RECORD && rest_.data() != at && *at == 0;
        if (!stray) fail(file_->Error);
        continue;  // some writers put zeros between blocks
      }
      if (record == TERMINATE_RECORD_TYPE) return false;
      if (record == EXTENSION_RECORD_TYPE) read_extension();
      if (record != IMAGE_DESC_RECORD_TYPE) continue;
      if (++frames_ > kMostGifFrames) throw UserError("[media] {} has more than {} frames", source_, kMostGifFrames);
      require(DGifGetImageDesc(file_));
      check_picture_size(file_->Image.Width, file_->Image.Height, source_);
      return true;
    }
  }

  /// Colour numbers of the frame, row by row in their right order.
  std::vector<GifPixelType> read_indices() {
    const GifImageDesc& image = file_->Image;
    std::vector<GifPixelType> indices(static_cast<size_t>(image.Width) * image.Height);
    const auto read_rows = [&](int first, int step) {
      for (int y = first; y < image.Height; y += step) {
        require(DGifGetLine(file_, indices.data() + static_cast<size_t>(y) * image.Width, image.Width));
      }
    };
    if (image.Interlace) {
      read_rows(0, 8);
      read_rows(4, 8);
      read_rows(2, 4);
      read_rows(1, 2);
    } else {
      read_rows(0, 1);
    }
    return indices;
  }

  /// Passes over the frame's codes without decoding them.
  void skip_indices() {
    int size = 0;
    GifByteType* block = nullptr;
    require(DGifGetCode(file_, &size, &block));
    while (block != nullptr) require(DGifGetCodeNext(file_, &block));
  }

  [[noreturn]] void fail(int error) const {
    const char* words = GifErrorString(error);
    throw UserError("[media] {} is a damaged GIF: {}{}", source_, words == nullptr ? "unknown fault" : words,
                    frames_ > 0 ? fmt::format(" (frame {})", frames_ - 1) : "");
  }

 private:
  static int read(GifFileType* file, GifByteType* to, int size) {
    auto& rest = static_cast<GifReader*>(file->UserData)->rest_;
    const size_t count = std::min(rest.size(), static_cast<size_t>(std::max(size, 0)));
    std::memcpy(to, rest.data(), count);
    rest.remove_prefix(count);
    return static_cast<int>(count);
  }
  void require(int status) const {
    if (status == GIF_ERROR) fail(file_->Error);
  }
  void read_extension() {
    int code = 0;
    GifByteType* block = nullptr;
    require(DGifGetExtension(file_, &code, &block));
    if (code == GRAPHICS_EXT_FUNC_CODE && block != nullptr) {
      if (DGifExtensionToGCB(block[0], block + 1, &control_) == GIF_ERROR) fail(D_GIF_ERR_IMAGE_DEFECT);
    }
    while (block != nullptr) require(DGifGetExtensionNext(file_, &block));
  }

  std::string_view rest_;
  std::string_view source_;
  struct Close {
    void operator()(GifFileType* file) const { DGifCloseFile(file, nullptr); }
  };
  std::unique_ptr<GifFileType, Close> opened_;
  GifFileType* file_ = nullptr;
  GraphicsControlBlock control_{};
  int64_t frames_ = 0;
};

/// The picture so far, and how the last frame is disposed of.
class GifCanvas {
 public:
  /// `file` is at its first frame. Where that is larger than the screen (0x0 in some files) it makes the canvas so large.
  GifCanvas(const GifFileType& file, std::string_view source) {
    const int64_t width = std::max<int64_t>(file.SWidth, int64_t{file.Image.Left} + file.Image.Width);
    const int64_t height = std::max<int64_t>(file.SHeight, int64_t{file.Image.Top} + file.Image.Height);
    check_picture_size(width, height, source);
    canvas_ = Image(width, height, 4);
  }
  const Image& picture() const { return canvas_; }

  /// Disposes of the frame before, then lays this one on.
  void lay(const GifFileType& file, const GraphicsControlBlock& control, const std::vector<GifPixelType>& indices,
           std::string_view source) {
    const ColorMapObject* colours = file.Image.ColorMap != nullptr ? file.Image.ColorMap : file.SColorMap;
    if (colours == nullptr) throw UserError("[media] {} is a damaged GIF: a frame has no colours", source);
    const bool clear = control.TransparentColor != NO_TRANSPARENT_COLOR;
    if (first_ && !clear) fill(whole(), colour_of(*colours, 0));
    dispose();
    const Box box = inside(file.Image);
    disposal_ = control.DisposalMode;
    box_ = box;
    if (first_ && !clear && disposal_ == DISPOSE_PREVIOUS)
      disposal_ = DISPOSE_DO_NOT;  // there is nothing to go back to
    first_ = false;
    if (disposal_ == DISPOSE_PREVIOUS) before_ = canvas_;
    ground_ = clear ? std::array<uint8_t, 4>{} : colour_of(*colours, file.SBackGroundColor);
    for (int64_t y = box.top; y < box.bottom; ++y) {
      for (int64_t x = box.left; x < box.right; ++x) {
        const int index = indices[(y - file.Image.Top) * file.Image.Width + (x - file.Image.Left)];
        if (index == control.TransparentColor) continue;
        if (index >= colours->ColorCount) {
          throw UserError("[media] {} is a damaged GIF; got colour {}, want below {}", source, index,
                          colours->ColorCount);
        }
        const auto colour = colour_of(*colours, index);
        std::copy(colour.begin(), colour.end(), canvas_.at(x, y));
      }
    }
  }

 private:
  struct Box {
    int64_t left = 0, top = 0, right = 0, bottom = 0;
  };
  Box whole() const { return {0, 0, canvas_.width, canvas_.height}; }
  Box inside(const GifImageDesc& image) const {
    return {std::min<int64_t>(image.Left, canvas_.width), std::min<int64_t>(image.Top, canvas_.height),
            std::min<int64_t>(int64_t{image.Left} + image.Width, canvas_.width),
            std::min<int64_t>(int64_t{image.Top} + image.Height, canvas_.height)};
  }
  static std::array<uint8_t, 4> colour_of(const ColorMapObject& colours, int index) {
    if (index >= colours.ColorCount) return {0, 0, 0, 255};
    const GifColorType& colour = colours.Colors[index];
    return {colour.Red, colour.Green, colour.Blue, 255};
  }
  void fill(const Box& box, const std::array<uint8_t, 4>& colour) {
    for (int64_t y = box.top; y < box.bottom; ++y) {
      for (int64_t x = box.left; x < box.right; ++x) std::copy(colour.begin(), colour.end(), canvas_.at(x, y));
    }
  }
  void dispose() {
    if (disposal_ == DISPOSE_BACKGROUND) fill(box_, ground_);
    if (disposal_ == DISPOSE_PREVIOUS) canvas_ = before_;
    disposal_ = DISPOSAL_UNSPECIFIED;
  }

  Image canvas_, before_;
  Box box_;
  std::array<uint8_t, 4> ground_{};
  int disposal_ = DISPOSAL_UNSPECIFIED;
  bool first_ = true;
};
}  // namespace

int64_t count_gif_frames(std::string_view bytes, std::string_view source) {
  GifReader reader(bytes, source);
  int64_t frames = 0;
  for (; reader.next_frame(); ++frames) reader.skip_indices();
  return frames;
}

void play_gif(std::string_view bytes, std::string_view source, const ShowFrame& show) {
  GifReader reader(bytes, source);
  std::optional<GifCanvas> canvas;
  for (int64_t frame = 0; reader.next_frame(); ++frame) {
    if (!canvas) canvas.emplace(reader.file(), source);
    canvas->lay(reader.file(), reader.control(), reader.read_indices(), source);
    if (!show(frame, canvas->picture())) return;
  }
}

Image decode_gif(std::string_view bytes, std::string_view source) {
  Image picture;
  play_gif(bytes, source, [&](int64_t, const Image& canvas) {
    picture = canvas;
    return false;
  });
  if (picture.pixels.empty()) throw UserError("[media] {} is a GIF without a frame", source);
  bool clear = false;
  for (size_t i = 3; i < picture.pixels.size(); i += 4) clear = clear || picture.pixels[i] != 255;
  return clear ? picture : over(picture, white);
}

}  // namespace tessera::media
