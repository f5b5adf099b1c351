// Distances are one matrix product for each piece of rows: |x - c|^2 = |x|^2 - 2 x c + |c|^2.
#include "align/clusters.h"

#include <ATen/ops/from_blob.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <cstring>
#include <unordered_set>

#include "core/error.h"
#include "core/rng.h"

namespace tessera::align {

namespace {
constexpr char magic[8] = {'t', 'f', 'e', 'a', 't', 'u', 'r', '1'};
constexpr size_t header_bytes = 16;

/// K different rows by chance, in rising order.
std::vector<int64_t> chosen_rows(int64_t rows, int64_t count, uint64_t seed) {
  // Floyd's sampling: no list of all rows is made.
  std::unordered_set<int64_t> chosen;
  Rng rng(seed);
  for (int64_t i = rows - count; i < rows; ++i) {
    const auto candidate = static_cast<int64_t>(rng.below(static_cast<uint64_t>(i) + 1));
    chosen.insert(chosen.contains(candidate) ? i : candidate);
  }
  std::vector<int64_t> sorted(chosen.begin(), chosen.end());
  std::ranges::sort(sorted);
  return sorted;
}

/// One pass: the nearest centre of every row, and the sums from which new centres are made.
struct Pass {
  Tensor sums, counts;  // [K, width], [K]
  double distance = 0;  // summed
  int64_t changed = 0;
  std::vector<std::pair<float, int64_t>> furthest;  // rows furthest from their own centre, the furthest first

  void keep_furthest(const Tensor& distances, int64_t first, size_t most) {
    const float* d = distances.const_data_ptr<float>();
    for (int64_t i = 0; i < distances.size(0); ++i) {
      if (furthest.size() == most && d[i] <= furthest.back().first) continue;
      const std::pair<float, int64_t> entry(d[i], first + i);
      furthest.insert(
          std::ranges::upper_bound(furthest, entry, [](const auto& a, const auto& b) { return a.first > b.first; }),
          entry);
      if (furthest.size() > most) furthest.pop_back();
    }
  }
};

Pass assign(const FeatureFile& features, const Tensor& centres, const KMeansOptions& options,
            std::vector<int32_t>& cluster) {
  constexpr size_t spare_rows = 64;
  Pass pass{.sums = at::zeros_like(centres), .counts = at::zeros({centres.size(0)}, centres.options())};
  const Tensor lengths = centres.square().sum(1);  // [K]
  for (int64_t first = 0; first < features.rows(); first += options.piece) {
    const int64_t last = std::min(first + options.piece, features.rows());
    const Tensor rows = features.part(first, last);
    const auto [nearest, index] = (lengths - 2 * at::mm(rows, centres.t())).min(1);
    const Tensor distances = (nearest + rows.square().sum(1)).clamp_min(0);
    pass.distance += distances.sum(at::kDouble).item<double>();
    pass.sums.index_add_(0, index, rows);
    pass.counts.index_add_(0, index, at::ones_like(nearest));
    pass.keep_furthest(distances, first, spare_rows);
    const int64_t* found = index.const_data_ptr<int64_t>();
    for (int64_t i = first; i < last; ++i) {
      const auto now = static_cast<int32_t>(found[i - first]);
      pass.changed += cluster[static_cast<size_t>(i)] != now ? 1 : 0;
      cluster[static_cast<size_t>(i)] = now;
    }
  }
  return pass;
}

/// Means of the clusters' rows; empty clusters take the rows that are furthest from theirs.
Tensor moved(const FeatureFile& features, const Pass& pass, const Tensor& centres) {
  Tensor next = pass.sums / pass.counts.clamp_min(1).unsqueeze(1);
  const float* counts = pass.counts.const_data_ptr<float>();
  size_t spare = 0;
  for (int64_t k = 0; k < centres.size(0); ++k) {
    if (counts[k] > 0) continue;
    if (spare == pass.furthest.size()) {
      next[k].copy_(centres[k]);
      continue;
    }
    const int64_t row = pass.furthest[spare++].second;
    next[k].copy_(features.part(row, row + 1)[0]);
  }
  return next;
}
}  // namespace

FeatureFile::FeatureFile(const Path& file) : map_(file) {
  const std::string_view bytes = map_.bytes();
  if (bytes.size() < header_bytes || std::memcmp(bytes.data(), magic, sizeof magic) != 0)
    throw UserError("[align] {} holds no features", file.string());
  std::memcpy(&width_, bytes.data() + sizeof magic, sizeof width_);
  if (width_ < 1 || width_ > (1 << 20)) throw UserError("[align] {} has features of width {}", file.string(), width_);
  const size_t row = static_cast<size_t>(width_) * sizeof(float);
  if ((bytes.size() - header_bytes) % row != 0) throw UserError("[align] {} ends within a row", file.string());
  rows_ = static_cast<int64_t>((bytes.size() - header_bytes) / row);
}

Tensor FeatureFile::part(int64_t first, int64_t last) const {
  const char* at = map_.bytes().data() + header_bytes + static_cast<size_t>(first * width_) * sizeof(float);
  return at::from_blob(const_cast<char*>(at), {last - first, width_}, at::kFloat);  // never written into
}

FeatureWriter::FeatureWriter(const Path& file, int64_t width)
    : file_(file), partial_(file.string() + ".partial"), width_(width) {
  out_ = std::fopen(partial_.c_str(), "wb");
  if (out_ == nullptr) throw FaultError("[align] cannot write {}", partial_.string());
  std::fwrite(magic, 1, sizeof magic, out_);
  std::fwrite(&width_, 1, sizeof width_, out_);
}

FeatureWriter::~FeatureWriter() {
  if (out_ == nullptr) return;
  std::fclose(out_);
  std::error_code ignored;
  std::filesystem::remove(partial_, ignored);
}

void FeatureWriter::add(const Tensor& rows) {
  const Tensor plain = rows.to(at::kCPU, at::kFloat).contiguous();
  const auto count = static_cast<size_t>(plain.numel());
  if (plain.size(1) != width_) throw UserError("[align] features of width {}, want {}", plain.size(1), width_);
  if (std::fwrite(plain.const_data_ptr<float>(), sizeof(float), count, out_) != count)
    throw FaultError("[align] cannot write {}: {}", partial_.string(), std::strerror(errno));
}

void FeatureWriter::finish() {
  const bool written = std::fflush(out_) == 0;
  const bool closed = std::fclose(out_) == 0;
  out_ = nullptr;
  if (!written || !closed) throw FaultError("[align] cannot write {}: {}", partial_.string(), std::strerror(errno));
  std::filesystem::rename(partial_, file_);
}

Clusters k_means(const FeatureFile& features, const KMeansOptions& options) {
  const at::NoGradGuard no_grad;
  if (options.clusters < 1 || options.clusters > features.rows())
    throw UserError("[align] {} clusters of {} prompts; want at least one prompt in each", options.clusters,
                    features.rows());
  Clusters result{.cluster = std::vector<int32_t>(static_cast<size_t>(features.rows()), -1)};
  result.centres = at::zeros({options.clusters, features.width()}, at::kFloat);
  const std::vector<int64_t> start = chosen_rows(features.rows(), options.clusters, options.seed);
  for (size_t k = 0; k < start.size(); ++k)
    result.centres[static_cast<int64_t>(k)].copy_(features.part(start[k], start[k] + 1)[0]);
  for (int64_t i = 1; i <= std::max<int64_t>(1, options.iterations); ++i) {
    const Pass pass = assign(features, result.centres, options, result.cluster);
    result.distance = pass.distance / static_cast<double>(features.rows());
    result.iterations = i;
    if (options.on_iteration) options.on_iteration(i, result.distance);
    if (i == options.iterations || pass.changed * 1000 < features.rows())
      break;  // rows belong to the centres that are returned
    result.centres = moved(features, pass, result.centres);
  }
  return result;
}

}  // namespace tessera::align
