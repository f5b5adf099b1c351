// Two separable passes of integer arithmetic; nothing depends on the machine but the doubles that coefficients start
// as.
#include "media/compose.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <vector>

#include "media/decoders.h"

namespace tessera::media {

namespace {
constexpr int kFraction = 22;  // bits of a coefficient below the point: 32 less 8 of a sample less 2 of headroom
constexpr int32_t kHalf = 1 << (kFraction - 1);

/// The inputs that one output looks at, and their weights in units of 2^-22.
struct Taps {
  int64_t first = 0;
  std::vector<int32_t> weights;
};

/// What weighs inputs by their distance, and how far it reaches where nothing shrinks.
struct Filter {
  double (*weight)(double);
  double support;
};

double cubic(double x) {
  constexpr double a = -0.5;
  x = std::abs(x);
  if (x < 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
  if (x < 2) return (((x - 5) * x + 8) * x - 4) * a;
  return 0;
}

double sinc(double x) { return x == 0 ? 1 : std::sin(x * std::numbers::pi) / (x * std::numbers::pi); }

double lanczos(double x) { return x >= -3 && x < 3 ? sinc(x) * sinc(x / 3) : 0; }

constexpr Filter bicubic{cubic, 2}, lanczos3{lanczos, 3};

std::vector<Taps> taps(int64_t from, int64_t to, const Filter& filter) {
  const double scale = static_cast<double>(from) / static_cast<double>(to);
  const double stretch = std::max(scale, 1.0), support = filter.support * stretch, inverse = 1 / stretch;
  std::vector<Taps> all(static_cast<size_t>(to));
  std::vector<double> weights;
  for (int64_t i = 0; i < to; ++i) {
    const double centre = (static_cast<double>(i) + 0.5) * scale;
    const int64_t first = std::max<int64_t>(0, static_cast<int64_t>(centre - support + 0.5));
    const int64_t last = std::min(from, static_cast<int64_t>(centre + support + 0.5));
    weights.clear();
    double sum = 0;
    for (int64_t j = first; j < last; ++j) {
      weights.push_back(filter.weight((static_cast<double>(j) - centre + 0.5) * inverse));
      sum += weights.back();
    }
    all[i].first = first;
    for (const double weight : weights) {
      const double fixed = (sum != 0 ? weight / sum : weight) * (1 << kFraction);
      all[i].weights.push_back(static_cast<int32_t>(fixed < 0 ? fixed - 0.5 : fixed + 0.5));
    }
  }
  return all;
}

uint8_t rounded(int32_t sum) { return static_cast<uint8_t>(std::clamp(sum >> kFraction, 0, 255)); }

template <int C> void resize_row(const uint8_t* in, const std::vector<Taps>& columns, uint8_t* out) {
  for (const Taps& column : columns) {
    int32_t sums[C];
    std::fill_n(sums, C, kHalf);
    const uint8_t* at = in + column.first * C;
    for (const int32_t weight : column.weights) {
      for (int c = 0; c < C; ++c) sums[c] += weight * at[c];
      at += C;
    }
    for (int c = 0; c < C; ++c) *out++ = rounded(sums[c]);
  }
}

Image resize_width(const Image& picture, int64_t width, const Filter& filter) {
  Image resized(width, picture.height, picture.channels);
  const std::vector<Taps> columns = taps(picture.width, width, filter);
  for (int64_t y = 0; y < picture.height; ++y) {
    if (picture.channels == 4) resize_row<4>(picture.at(0, y), columns, resized.at(0, y));
    else resize_row<3>(picture.at(0, y), columns, resized.at(0, y));
  }
  return resized;
}

Image resize_height(const Image& picture, int64_t height, const Filter& filter) {
  Image resized(picture.width, height, picture.channels);
  const std::vector<Taps> rows = taps(picture.height, height, filter);
  const int64_t samples = picture.width * picture.channels;
  std::vector<int32_t> sums(static_cast<size_t>(samples));
  for (int64_t y = 0; y < height; ++y) {
    std::fill(sums.begin(), sums.end(), kHalf);
    for (size_t k = 0; k < rows[y].weights.size(); ++k) {
      const uint8_t* in = picture.at(0, rows[y].first + static_cast<int64_t>(k));
      const int32_t weight = rows[y].weights[k];
      for (int64_t x = 0; x < samples; ++x) sums[x] += weight * in[x];
    }
    std::transform(sums.begin(), sums.end(), resized.at(0, y), rounded);
  }
  return resized;
}

/// Straight alpha to premultiplied, rounded to nearest.
void premultiply(Image& picture) {
  for (size_t i = 0; i < picture.pixels.size(); i += 4) {
    uint8_t* pixel = &picture.pixels[i];
    for (int c = 0; c < 3; ++c) {
      const int product = pixel[c] * pixel[3] + 128;
      pixel[c] = static_cast<uint8_t>((product + (product >> 8)) >> 8);
    }
  }
}

/// The way back, rounded down; the cubic overshoots, so a colour may exceed its alpha.
void unpremultiply(Image& picture) {
  for (size_t i = 0; i < picture.pixels.size(); i += 4) {
    uint8_t* pixel = &picture.pixels[i];
    const int alpha = pixel[3];
    if (alpha == 0 || alpha == 255) continue;
    for (int c = 0; c < 3; ++c) pixel[c] = static_cast<uint8_t>(std::min(255, 255 * pixel[c] / alpha));
  }
}

Image resize(const Image& picture, int64_t width, int64_t height, const Filter& filter) {
  check_picture_size(width, height, "the resized picture");
  if (picture.width == width && picture.height == height) return picture;
  Image resized = picture;
  if (picture.channels == 4) premultiply(resized);
  const int64_t columns_lost = picture.width - width, rows_lost = picture.height - height;
  const bool rows_first = rows_lost > 0 && rows_lost > 2 * columns_lost;  // which pass is second shows in the rounding
  if (rows_first) resized = resize_height(resized, height, filter);
  if (width != resized.width) resized = resize_width(resized, width, filter);
  if (height != resized.height) resized = resize_height(resized, height, filter);
  if (picture.channels == 4) unpremultiply(resized);
  return resized;
}

}  // namespace

Image resize_bicubic(const Image& picture, int64_t width, int64_t height) {
  return resize(picture, width, height, bicubic);
}

Image resize_lanczos(const Image& picture, int64_t width, int64_t height) {
  return resize(picture, width, height, lanczos3);
}

}  // namespace tessera::media
