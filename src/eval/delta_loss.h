// DeltaLoss (NVILA, arXiv 2412.04468): a sample is useful when a large model finds its answer more likely than a small one does.
// What both find easy, or both find odd, teaches little. Per sub-dataset the share with the largest log(p_large / p_small) is kept.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "core/files.h"
#include "core/json.h"
#include "data/sample.h"
#include "train/objective.h"

namespace tessera::eval {

/// How likely a model finds the answer of a sample.
struct AnswerNats {
  double nats = 0;    // -log p, summed over the answer's tokens
  double tokens = 0;  // how many they are
};
using Scorer = std::function<AnswerNats(const Sample&)>;

/// Scores by an objective's loss: its mean over what is learned of one sample, times that sample's weight.
Scorer scorer_of(train::Objective& objective);

/// One sample under both models.
struct DeltaScore {
  std::string source;           // sub-dataset
  double large = 0, small = 0;  // nats of the answer
  double tokens = 0;
  bool operator==(const DeltaScore&) const = default;

  /// log(p_large / p_small) of the whole answer, or of a token of it on average.
  double delta(bool per_token) const { return (small - large) / (per_token && tokens > 0 ? tokens : 1); }
};

/// The rows to keep, rising: of each source the round(share * rows) with the largest delta, and one at least. Equal ones: the earlier.
/// Rows whose numbers are not finite are never kept. share in (0, 1]; throws UserError otherwise.
std::vector<size_t> kept_rows(const std::vector<DeltaScore>& scores, double share, bool per_token = false);

/// Scores on the disk, a line each, appended as they come; a run that was killed resumes where the file ends.
class ScoreFile {
 public:
  /// `made_of` names data and models and is the first line. Reads what is there; a torn last line is cut off. Throws UserError when
  /// the file was made of something else, or holds a line that is no score.
  ScoreFile(const Path& file, const Json& made_of, FileSystem& files = disk());

  const std::vector<DeltaScore>& scores() const { return scores_; }
  void append(const DeltaScore& score);

 private:
  std::vector<DeltaScore> scores_;
  std::unique_ptr<WritableFile> out_;
};

/// Samples 0 to `count` - 1 of which some are scored already; `sample` gives one with the name of its source, `done` is called after each.
void score_rows(ScoreFile& file, size_t count, const std::function<std::pair<Sample, std::string>(size_t)>& sample,
                const Scorer& large, const Scorer& small, const std::function<void(size_t)>& done = {});

/// What became of a source.
struct PrunedSource {
  int64_t rows = 0, kept = 0;
  double mean_delta = 0, mean_delta_kept = 0;
};
std::map<std::string, PrunedSource> pruned_sources(const std::vector<DeltaScore>& scores,
                                                   const std::vector<size_t>& kept, bool per_token);

}  // namespace tessera::eval
