// Distances are products of blocks of rows and centres, |x - c|^2 = |x|^2 - 2 x c + |c|^2, of which the least is found while they are in the cache.
#include "align/clusters.h"

#include <ATen/Parallel.h>
#include <ATen/ops/addmm.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/from_blob.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <cstring>
#include <limits>
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
  std::vector<double> sums;     // [K * width]
  std::vector<int64_t> counts;  // [K]
  double distance = 0;          // summed
  int64_t changed = 0;
  std::vector<std::pair<float, int64_t>> furthest;  // rows furthest from their own centre, the furthest first

  void keep_furthest(float distance_of_row, int64_t row) {
    constexpr size_t most = 64;
    if (furthest.size() == most && distance_of_row <= furthest.back().first) return;
    const std::pair<float, int64_t> entry(distance_of_row, row);
    furthest.insert(
        std::ranges::upper_bound(furthest, entry, [](const auto& a, const auto& b) { return a.first > b.first; }),
        entry);
    if (furthest.size() > most) furthest.pop_back();
  }
};

/// Sizes of a product whose results stay in a core's cache until the least of each row has been found.
constexpr int64_t block_rows = 128, block_centres = 1024;

/// Takes over the least of `values` where it is below `least`; two loops that the compiler makes vectors of.
void take_least(const float* values, int64_t count, int32_t first, float& least, int32_t& nearest) {
  float here = values[0];
  for (int64_t i = 1; i < count; ++i) here = std::min(here, values[i]);
  if (!(here < least)) return;
  least = here;
  nearest = first + static_cast<int32_t>(std::find(values, values + count, here) - values);
}

/// Of rows [n, width]: the nearest centre of each and |c|^2 - 2 x c for it. Blocks of rows are shared among the threads; each row's result
/// is the same whoever computes it.
void find_nearest(const Tensor& rows, const Tensor& centres_t, const Tensor& lengths, float* least, int32_t* nearest) {
  const int64_t count = rows.size(0), clusters = lengths.size(0);
  std::fill(least, least + count, std::numeric_limits<float>::infinity());
  at::parallel_for(0, (count + block_rows - 1) / block_rows, 1, [&](int64_t begin, int64_t end) {
    const at::NoGradGuard no_grad;
    Tensor products = at::empty({block_rows * block_centres}, at::kFloat);
    for (int64_t b = begin; b < end; ++b) {
      const int64_t first = b * block_rows, last = std::min(first + block_rows, count);
      const Tensor own = rows.slice(0, first, last);
      for (int64_t c = 0; c < clusters; c += block_centres) {
        const int64_t wide = std::min(block_centres, clusters - c);
        Tensor out = products.slice(0, 0, (last - first) * wide).view({last - first, wide});
        at::addmm_out(out, lengths.slice(0, c, c + wide), own, centres_t.slice(1, c, c + wide), 1, -2);
        const float* values = out.const_data_ptr<float>();
        for (int64_t i = first; i < last; ++i)
          take_least(values + (i - first) * wide, wide, static_cast<int32_t>(c), least[i], nearest[i]);
      }
    }
  });
}

Pass assign(const FeatureFile& features, const Tensor& centres, const KMeansOptions& options,
            std::vector<int32_t>& cluster) {
  const int64_t width = features.width();
  Pass pass{.sums = std::vector<double>(static_cast<size_t>(centres.numel())),
            .counts = std::vector<int64_t>(static_cast<size_t>(centres.size(0)))};
  const Tensor lengths = centres.square().sum(1), centres_t = centres.t().contiguous();
  std::vector<float> least(static_cast<size_t>(options.piece));
  std::vector<int32_t> nearest(static_cast<size_t>(options.piece));
  for (int64_t first = 0; first < features.rows(); first += options.piece) {
    const int64_t last = std::min(first + options.piece, features.rows());
    const Tensor rows = features.part(first, last);
    find_nearest(rows, centres_t, lengths, least.data(), nearest.data());
    const float* x = rows.const_data_ptr<float>();
    // In the order of the rows, so that the sums do not depend on the number of threads.
    for (int64_t i = first; i < last; ++i, x += width) {
      const int32_t now = nearest[static_cast<size_t>(i - first)];
      double* sum = pass.sums.data() + static_cast<size_t>(now) * static_cast<size_t>(width);
      double square = 0;
      for (int64_t k = 0; k < width; ++k) {
        sum[k] += x[k];
        square += static_cast<double>(x[k]) * x[k];
      }
      const double distance = std::max(0.0, least[static_cast<size_t>(i - first)] + square);
      pass.distance += distance;
      ++pass.counts[static_cast<size_t>(now)];
      pass.keep_furthest(static_cast<float>(distance), i);
      int32_t& own = cluster[static_cast<size_t>(i)];
      pass.changed += own != now ? 1 : 0;
      own = now;
    }
  }
  return pass;
}

/// Means of the clusters' rows; empty clusters take the rows that are furthest from theirs.
Tensor moved(const FeatureFile& features, const Pass& pass, const Tensor& centres) {
  Tensor next = centres.clone();
  float* to = next.mutable_data_ptr<float>();
  const auto width = static_cast<size_t>(features.width());
  size_t spare = 0;
  for (size_t k = 0; k < pass.counts.size(); ++k) {
    if (pass.counts[k] > 0) {
      for (size_t i = 0; i < width; ++i)
        to[k * width + i] = static_cast<float>(pass.sums[k * width + i] / static_cast<double>(pass.counts[k]));
    } else if (spare < pass.furthest.size()) {
      const int64_t row = pass.furthest[spare++].second;
      next[static_cast<int64_t>(k)].copy_(features.part(row, row + 1)[0]);
    }
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

FeatureWriter::FeatureWriter(const Path& file, int64_t width, FileSystem& files)
    : files_(files), file_(file), partial_(file.string() + ".partial"), width_(width), out_(files.create(partial_)) {
  std::string header(header_bytes, '\0');
  std::memcpy(header.data(), magic, sizeof magic);
  std::memcpy(header.data() + sizeof magic, &width_, sizeof width_);
  out_->append(header);
}

FeatureWriter::~FeatureWriter() {
  if (out_ == nullptr) return;
  out_.reset();
  std::error_code ignored;
  std::filesystem::remove(partial_, ignored);
}

void FeatureWriter::add(const Tensor& rows) {
  const Tensor plain = rows.to(at::kCPU, at::kFloat).contiguous();
  if (plain.size(1) != width_) throw UserError("[align] features of width {}, want {}", plain.size(1), width_);
  out_->append({reinterpret_cast<const char*>(plain.const_data_ptr<float>()), plain.nbytes()});
}

void FeatureWriter::finish() {
  out_->sync();
  out_->close();
  out_.reset();
  files_.rename(partial_, file_);
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
