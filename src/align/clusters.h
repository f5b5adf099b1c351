// k-means over the features of many prompts, which stay on the disk: rows are read in pieces, and memory is that of the centres. What must stay
// true: the clusters are a function of the features and the seed alone.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "core/files.h"
#include "tensor/tensor.h"

namespace tessera::align {

/// Rows of features as they lie in a file: fp32, one after the other, after a header of 16 bytes (magic, width).
class FeatureFile {
 public:
  /// Throws UserError for a file of another kind or with half a row.
  explicit FeatureFile(const Path& file);
  int64_t rows() const { return rows_; }
  int64_t width() const { return width_; }
  /// Rows [first, last) as a view of the file, [n, width] fp32.
  Tensor part(int64_t first, int64_t last) const;

 private:
  MappedFile map_;
  int64_t rows_ = 0, width_ = 0;
};

/// Writes such a file row by row; it has its name only when finish() is called. Throws FaultError when the disk is full.
class FeatureWriter {
 public:
  FeatureWriter(const Path& file, int64_t width, FileSystem& files = disk());
  ~FeatureWriter();
  FeatureWriter(const FeatureWriter&) = delete;
  FeatureWriter& operator=(const FeatureWriter&) = delete;
  /// [n, width] fp32.
  void add(const Tensor& rows);
  void finish();

 private:
  FileSystem& files_;
  Path file_, partial_;
  int64_t width_;
  std::unique_ptr<WritableFile> out_;
};

struct KMeansOptions {
  int64_t clusters = 100;
  int64_t iterations =
      10;  // passes over all rows at most; ends earlier when fewer than 1 in 1,000 change their cluster
  uint64_t seed = 1;
  int64_t piece = 8192;                                                  // rows at once
  std::function<void(int64_t iteration, double distance)> on_iteration;  // mean squared distance to the own centre
};

struct Clusters {
  Tensor centres;                // [K, width] fp32
  std::vector<int32_t> cluster;  // of each row
  double distance = 0;           // mean squared
  int64_t iterations = 0;        // passes done
};

/// Lloyd's algorithm from K different rows drawn at random; a cluster without rows moves to the row that is furthest from its own centre.
/// One pass costs 2 rows K width multiply-adds. Throws UserError for fewer rows than clusters.
Clusters k_means(const FeatureFile& features, const KMeansOptions& options);

}  // namespace tessera::align
