// Area resampling with exact integer coverage, and alpha compositing rounded to nearest.
#include "media/compose.h"

#include <algorithm>
#include <cmath>

namespace tessera::media {

namespace {
/// How output cell i of `to` covers the inputs of `from`: cell i spans [i * from, (i + 1) * from) and input j spans
/// [j * to, (j + 1) * to), so every overlap is a whole number and the overlaps of one cell sum to `from`.
struct Coverage {
  int64_t first = 0;
  std::vector<int64_t> weights;
};

std::vector<Coverage> coverage(int64_t from, int64_t to) {
  std::vector<Coverage> cells(static_cast<size_t>(to));
  for (int64_t i = 0; i < to; ++i) {
    const int64_t begin = i * from, end = begin + from;
    cells[i].first = begin / to;
    for (int64_t j = begin / to; j * to < end; ++j) {
      cells[i].weights.push_back(std::min(end, (j + 1) * to) - std::max(begin, j * to));
    }
  }
  return cells;
}

void resize_cell(const Image& picture, const Coverage& across, const Coverage& down, uint8_t* out) {
  const int64_t channels = picture.channels;
  int64_t sums[4] = {0, 0, 0, 0}, area = 0;
  for (size_t r = 0; r < down.weights.size(); ++r) {
    const uint8_t* in = picture.at(across.first, down.first + static_cast<int64_t>(r));
    for (const int64_t w : across.weights) {
      const int64_t weight = w * down.weights[r];
      const int64_t opaque = channels == 4 ? weight * in[3] : weight;
      for (int c = 0; c < 3; ++c) sums[c] += opaque * in[c];
      sums[3] += opaque;
      area += weight;
      in += channels;
    }
  }
  for (int c = 0; c < 3; ++c) out[c] = static_cast<uint8_t>(sums[3] ? (sums[c] + sums[3] / 2) / sums[3] : 0);
  if (channels == 4) out[3] = static_cast<uint8_t>((sums[3] + area / 2) / area);
}
}  // namespace

Image resize_area(const Image& picture, int64_t width, int64_t height) {
  if (picture.width == width && picture.height == height) return picture;
  const auto across = coverage(picture.width, width), down = coverage(picture.height, height);
  Image resized(width, height, picture.channels);
  for (int64_t y = 0; y < height; ++y) {
    for (int64_t x = 0; x < width; ++x) resize_cell(picture, across[x], down[y], resized.at(x, y));
  }
  return resized;
}

void paste(Image& canvas, const Image& sprite, int64_t x, int64_t y) {
  const int64_t left = std::max<int64_t>(0, -x), right = std::min(sprite.width, canvas.width - x);
  const int64_t top = std::max<int64_t>(0, -y), bottom = std::min(sprite.height, canvas.height - y);
  for (int64_t row = top; row < bottom; ++row) {
    for (int64_t column = left; column < right; ++column) {
      const uint8_t* from = sprite.at(column, row);
      uint8_t* to = canvas.at(x + column, y + row);
      const int alpha = sprite.channels == 4 ? from[3] : 255;
      for (int c = 0; c < 3; ++c) to[c] = static_cast<uint8_t>((from[c] * alpha + to[c] * (255 - alpha) + 127) / 255);
    }
  }
}

Image over(const Image& picture, const Rgb& ground) {
  if (picture.channels == 3) return picture;
  Image canvas(picture.width, picture.height, 3);
  for (size_t i = 0; i < canvas.pixels.size(); ++i) canvas.pixels[i] = ground[i % 3];
  paste(canvas, picture, 0, 0);
  return canvas;
}

Image crop(const Image& picture, int64_t x, int64_t y, int64_t width, int64_t height) {
  Image part(width, height, picture.channels);
  for (int64_t row = 0; row < height; ++row) {
    std::copy_n(picture.at(x, y + row), width * picture.channels, part.at(0, row));
  }
  return part;
}

Image centre_square(const Image& picture, int64_t size) {
  const int64_t side = std::min(picture.width, picture.height);
  return resize_area(crop(picture, (picture.width - side) / 2, (picture.height - side) / 2, side, side), size, size);
}

Image pad_to_square(const Image& picture) {
  const int64_t side = std::max(picture.width, picture.height);
  Image square(side, side, 4);
  const int64_t left = (side - picture.width) / 2, top = (side - picture.height) / 2;
  for (int64_t y = 0; y < picture.height; ++y) {
    for (int64_t x = 0; x < picture.width; ++x) {
      const uint8_t* from = picture.at(x, y);
      uint8_t* to = square.at(left + x, top + y);
      std::copy_n(from, 3, to);
      to[3] = picture.channels == 4 ? from[3] : 255;
    }
  }
  return square;
}

Image contact_sheet(const std::vector<Image>& pictures, const SheetOptions& options) {
  const auto count = static_cast<int64_t>(pictures.size());
  int64_t cell_width = 1, cell_height = 1;
  for (const Image& picture : pictures) {
    cell_width = std::max(cell_width, picture.width);
    cell_height = std::max(cell_height, picture.height);
  }
  const int64_t square = static_cast<int64_t>(std::ceil(std::sqrt(static_cast<double>(count))));
  const int64_t columns = std::max<int64_t>(1, options.columns > 0 ? options.columns : square);
  const int64_t rows = std::max<int64_t>(1, (count + columns - 1) / columns);
  Image sheet(options.gap + columns * (cell_width + options.gap), options.gap + rows * (cell_height + options.gap), 3);
  for (size_t i = 0; i < sheet.pixels.size(); ++i) sheet.pixels[i] = options.ground[i % 3];
  for (int64_t i = 0; i < count; ++i) {
    paste(sheet, pictures[i], options.gap + (i % columns) * (cell_width + options.gap),
          options.gap + (i / columns) * (cell_height + options.gap));
  }
  return sheet;
}

}  // namespace tessera::media
