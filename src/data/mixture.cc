// Dealing samples out along a tree of two-way splits. With two ways, rounding n x share gives an even schedule; lighter parts are joined
// first (Huffman's order), so that the errors of nested roundings stay small.
#include "data/mixture.h"

#include <algorithm>
#include <cmath>

#include "core/error.h"
#include "core/rng.h"

namespace tessera::data {

namespace {
/// How many of the first n samples of a node go left. A product and a rounding, nothing that compilers may fuse: the same everywhere.
uint64_t gone_left(uint64_t n, double share) {
  return static_cast<uint64_t>(std::round(static_cast<double>(n) * share));
}
}  // namespace

Mixture::Mixture(std::vector<WeightedSource> parts) : parts_(std::move(parts)) {
  if (parts_.empty()) throw UserError("[data] a mixture has no parts; give [[data.mixture]] tables");
  std::vector<size_t> roots;
  for (size_t part = 0; part < parts_.size(); ++part) {
    const double weight = parts_[part].weight;
    if (!(weight > 0) || !std::isfinite(weight))
      throw UserError("[data] a mixture's weight is {}, want a number above 0", weight);
    roots.push_back(nodes_.size());
    nodes_.push_back({.weight = weight, .part = part});
  }
  while (roots.size() > 1) {
    std::ranges::stable_sort(roots, std::greater<>(), [&](size_t node) { return nodes_[node].weight; });
    const size_t right = roots.back(), left = roots[roots.size() - 2];
    const double weight = nodes_[left].weight + nodes_[right].weight;
    roots.resize(roots.size() - 2);
    roots.push_back(nodes_.size());
    nodes_.push_back(
        {.weight = weight, .left_share = nodes_[left].weight / weight, .left = left, .right = right, .leaf = false});
  }
  root_ = roots.front();
}

Mixture::Place Mixture::place_of(uint64_t index) const {
  size_t node = root_;
  while (!nodes_[node].leaf) {
    const uint64_t left = gone_left(index, nodes_[node].left_share);
    const bool goes_left = gone_left(index + 1, nodes_[node].left_share) > left;
    index = goes_left ? left : index - left;
    node = goes_left ? nodes_[node].left : nodes_[node].right;
  }
  return {nodes_[node].part, index};
}

Sample Mixture::at(uint64_t index) const {
  const Place place = place_of(index);
  Sample sample = parts_[place.part].source->at(place.index);
  if (sample.picture_id) sample.picture_id = mix64(*sample.picture_id + (static_cast<uint64_t>(place.part) << 32));
  return sample;
}

/// The number rises when the schedule changes: a run goes on only with the schedule that it began with.
std::string Mixture::edition() const {
  std::string all = "mixture 2: ";
  for (size_t part = 0; part < parts_.size(); ++part) all += (part == 0 ? "" : "; ") + parts_[part].source->edition();
  return all;
}

size_t Mixture::longest_caption() const {
  size_t longest = 0;
  for (const WeightedSource& part : parts_) longest = std::max(longest, part.source->longest_caption());
  return longest;
}

std::vector<Sample> Mixture::heldout(uint64_t most) const {
  std::vector<Sample> all;
  for (const WeightedSource& part : parts_) {
    const auto share = static_cast<uint64_t>(std::ceil(static_cast<double>(most) * part.weight / nodes_[root_].weight));
    std::ranges::move(part.source->heldout(std::min<uint64_t>(share, most - all.size())), std::back_inserter(all));
  }
  return all;
}

}  // namespace tessera::data
