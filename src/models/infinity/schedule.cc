// The published table of grids for pictures at least as tall as wide; wide ones are the same, transposed.
#include "models/infinity/schedule.h"

#include <cmath>
#include <map>

#include <fmt/ranges.h>

#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/pixel_shuffle.h>
#include <ATen/ops/pixel_unshuffle.h>

#include "core/error.h"

namespace tessera::infinity {

namespace {

constexpr size_t scales_of_1m = 13;

struct Template {
  double ratio;  // height / width
  ScaleShape scales[scales_of_1m];
};

// clang-format off
constexpr Template templates[] = {
    {1.0, {{1, 1}, {2, 2}, {4, 4}, {6, 6}, {8, 8}, {12, 12}, {16, 16}, {20, 20}, {24, 24}, {32, 32}, {40, 40}, {48, 48}, {64, 64}}},
    {1.25, {{1, 1}, {2, 2}, {3, 3}, {5, 4}, {10, 8}, {15, 12}, {20, 16}, {25, 20}, {30, 24}, {35, 28}, {45, 36}, {55, 44}, {70, 56}}},
    {1.333, {{1, 1}, {2, 2}, {4, 3}, {8, 6}, {12, 9}, {16, 12}, {20, 15}, {24, 18}, {28, 21}, {36, 27}, {48, 36}, {60, 45}, {72, 54}}},
    {1.5, {{1, 1}, {2, 2}, {3, 2}, {6, 4}, {9, 6}, {15, 10}, {21, 14}, {27, 18}, {33, 22}, {39, 26}, {48, 32}, {63, 42}, {78, 52}}},
    {1.75, {{1, 1}, {2, 2}, {3, 3}, {7, 4}, {11, 6}, {14, 8}, {21, 12}, {28, 16}, {35, 20}, {42, 24}, {56, 32}, {70, 40}, {84, 48}}},
    {2.0, {{1, 1}, {2, 2}, {4, 2}, {6, 3}, {10, 5}, {16, 8}, {22, 11}, {30, 15}, {38, 19}, {46, 23}, {60, 30}, {74, 37}, {90, 45}}},
    {2.5, {{1, 1}, {2, 2}, {5, 2}, {10, 4}, {15, 6}, {20, 8}, {25, 10}, {30, 12}, {40, 16}, {50, 20}, {65, 26}, {80, 32}, {100, 40}}},
    {3.0, {{1, 1}, {2, 2}, {6, 2}, {9, 3}, {15, 5}, {21, 7}, {27, 9}, {36, 12}, {45, 15}, {54, 18}, {72, 24}, {90, 30}, {111, 37}}},
};
// clang-format on

double truncated_reciprocal(double ratio) { return std::floor(1000 / ratio) / 1000; }

/// A template, or the transposed one.
struct Chosen {
  const Template* grids;
  bool wide;
};

/// By the absolute difference of height / width, the first of equals, in the published order: a template, then its reciprocal.
Chosen nearest_template(double ratio) {
  Chosen nearest{&templates[0], false};
  double least = std::abs(templates[0].ratio - ratio);
  const auto try_one = [&](double own, Chosen chosen) {
    if (const double distance = std::abs(own - ratio); distance < least) {
      least = distance;
      nearest = chosen;
    }
  };
  for (const Template& t : templates) {
    try_one(t.ratio, {&t, false});
    if (t.ratio > 1) try_one(truncated_reciprocal(t.ratio), {&t, true});
  }
  return nearest;
}

}  // namespace

int64_t Schedule::tokens() const { return begin(scales.size()); }

int64_t Schedule::begin(size_t k) const {
  int64_t sum = 0;
  for (size_t i = 0; i < k; ++i) sum += scales[i].area();
  return sum;
}

std::vector<nn::RopeGrid> Schedule::rope_grids() const {
  std::vector<nn::RopeGrid> grids;
  for (const ScaleShape& s : scales) grids.push_back({s.height, s.width, span.height, span.width});
  return grids;
}

std::vector<ScaleShape> Schedule::latent_scales(bool patchify) const {
  std::vector<ScaleShape> latent = scales;
  if (patchify) {
    for (ScaleShape& s : latent) s = {2 * s.height, 2 * s.width};
  }
  return latent;
}

const std::vector<double>& template_ratios() {
  static const std::vector<double> ratios = [] {
    std::vector<double> all;
    for (const Template& t : templates) all.push_back(t.ratio);
    for (const Template& t : templates) {
      if (t.ratio > 1) all.push_back(truncated_reciprocal(t.ratio));
    }
    std::sort(all.begin(), all.end());
    return all;
  }();
  return ratios;
}

const std::vector<std::string>& template_areas() {
  static const std::vector<std::string> areas{"0.06M", "0.25M", "0.60M", "1M"};
  return areas;
}

Schedule published_schedule(double ratio, std::string_view area) {
  static const std::map<std::string, size_t, std::less<>> scale_counts{
      {"0.06M", 7}, {"0.25M", 10}, {"0.60M", 12}, {"1M", scales_of_1m}};
  const auto count = scale_counts.find(area);
  if (count == scale_counts.end()) {
    throw UserError("[infinity] no published schedule for pixels '{}', want 0.06M, 0.25M, 0.60M or 1M", area);
  }
  const auto [grids, wide] = nearest_template(ratio);
  const auto oriented = [transposed = wide](ScaleShape s) { return transposed ? ScaleShape{s.width, s.height} : s; };
  Schedule schedule;
  for (size_t k = 0; k < count->second; ++k) schedule.scales.push_back(oriented(grids->scales[k]));
  schedule.span = oriented(grids->scales[scales_of_1m - 1]);
  return schedule;
}

Schedule stretched_schedule(const std::vector<int64_t>& edges, double ratio) {
  Schedule schedule;
  for (const int64_t edge : edges) {
    const auto stretched = [&](double factor) {
      return std::max<int64_t>(1, std::llround(static_cast<double>(edge) * factor));
    };
    schedule.scales.push_back({stretched(std::sqrt(ratio)), stretched(1 / std::sqrt(ratio))});
  }
  schedule.scales.front() = {1, 1};  // the start token is one position
  schedule.span = schedule.scales.back();
  return schedule;
}

Schedule schedule_for(const InfinityConfig& config, double ratio, std::string_view area) {
  if (config.scales.empty()) return published_schedule(ratio, area.empty() ? config.pixels : area);
  if (!area.empty())
    throw UserError("[draw] this model has scales of its own and no published areas; leave out --pixels");
  return stretched_schedule(config.scales, ratio);
}

Schedule schedule_of_size(const InfinityConfig& config, int64_t height, int64_t width, int64_t pixels_per_token) {
  const auto fits = [&](const Schedule& schedule) {
    const ScaleShape last = schedule.scales.back();
    return last.height * pixels_per_token == height && last.width * pixels_per_token == width;
  };
  const auto size_text = [&](const Schedule& schedule) {
    const ScaleShape last = schedule.scales.back();
    return fmt::format("{}x{}", last.width * pixels_per_token, last.height * pixels_per_token);
  };
  if (!config.scales.empty()) {
    const Schedule schedule =
        stretched_schedule(config.scales, static_cast<double>(height) / static_cast<double>(width));
    if (fits(schedule)) return schedule;
    throw UserError("[draw] this model draws no {}x{} pixels; of that shape it draws {}", width, height,
                    size_text(schedule));
  }
  std::vector<std::string> own;
  for (const std::string& area : template_areas()) {
    for (const double ratio : template_ratios()) {
      const Schedule schedule = published_schedule(ratio, area);
      if (fits(schedule)) return schedule;
      if (area == config.pixels) own.push_back(size_text(schedule));
    }
  }
  throw UserError("[draw] no published size is {}x{}; at {} there are {}", width, height, config.pixels,
                  fmt::join(own, ", "));
}

Tensor to_tokens(const Tensor& grid, bool patchify) {
  return (patchify ? at::pixel_unshuffle(grid, 2) : grid).flatten(2).transpose(1, 2);
}

Tensor to_grid(const Tensor& tokens, ScaleShape scale, bool patchify) {
  const Tensor grid = tokens.transpose(1, 2).unflatten(2, {scale.height, scale.width});
  return patchify ? at::pixel_shuffle(grid, 2) : grid;
}

Tensor features_of(const Tensor& sum, ScaleShape scale, bool patchify) {
  const int64_t factor = patchify ? 2 : 1;
  return to_tokens(codec::grow(sum, {factor * scale.height, factor * scale.width}), patchify);
}

Tensor forced_features(const std::vector<Tensor>& sums, const Schedule& schedule, bool patchify) {
  std::vector<Tensor> features;
  for (size_t k = 1; k < schedule.scales.size(); ++k)
    features.push_back(features_of(sums[k - 1], schedule.scales[k], patchify));
  return at::cat(features, 1);
}

Tensor all_tokens(const std::vector<Tensor>& bits, bool patchify) {
  std::vector<Tensor> tokens;
  for (const Tensor& of_scale : bits) tokens.push_back(to_tokens(of_scale, patchify));
  return at::cat(tokens, 1);
}

Tensor codewords(const Tensor& bits) {
  return bits.to(at::kLong).bitwise_left_shift(at::arange(bits.size(-1), bits.options().dtype(at::kLong))).sum(-1);
}

}  // namespace tessera::infinity
