// Several sources as one, each with a share of the samples. What must stay true: a part's samples come in its own order, none left out
// and none twice, so that a pass over a part visits each of its rows once.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "data/sample.h"

namespace tessera::data {

/// A source and its share of a mixture, relative to the other parts.
struct WeightedSource {
  double weight = 1.0;
  std::unique_ptr<SampleSource> source;
};

/// Sample n of a part is the mixture's n-th sample that falls to this part. Which part sample i falls to is a fixed, even schedule: of
/// the first i samples each part has its share, to within one sample for mixtures of up to three parts and two for any number. How
/// many have fallen to a part is computed directly for any i, so that a run can resume anywhere.
class Mixture final : public SampleSource {
 public:
  /// Throws UserError for no part and for a weight that is not a finite number above 0.
  explicit Mixture(std::vector<WeightedSource> parts);

  Sample at(uint64_t index) const override;
  std::string edition() const override;
  /// Each part's held-out samples, by its share.
  std::vector<Sample> heldout(uint64_t most) const override;
  size_t longest_caption() const override;

  /// Where sample `index` comes from: a part, and the index within it.
  struct Place {
    size_t part = 0;
    uint64_t index = 0;
    bool operator==(const Place&) const = default;
  };
  Place place_of(uint64_t index) const;

 private:
  /// A binary tree that deals samples out: a leaf is a part, an inner node gives `left_share` of its samples to the left.
  struct Node {
    double weight = 0, left_share = 0;
    size_t left = 0, right = 0;  // inner node: into nodes_
    size_t part = 0;             // leaf
    bool leaf = true;
  };
  std::vector<WeightedSource> parts_;
  std::vector<Node> nodes_;
  size_t root_ = 0;
};

}  // namespace tessera::data
