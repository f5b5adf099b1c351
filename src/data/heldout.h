// What is held out: samples to measure on, which never train. Every source decides by what a sample is, not by where it stands, so that
// what is the same is on one side, whatever the seed, the pass and the order.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "data/sample.h"

namespace tessera::data {

/// Share that is held out where an objective measures held-out samples and the data name no share.
inline constexpr double default_heldout_share = 0.02;

/// Which side something stands on. `identity`: a hash of what it is. A larger share holds out all that a smaller one does.
bool is_held_out(uint64_t identity, double share);

/// Which rows are held out: a share of them, rounded down but at least one (of several), and with each the rows that have the same
/// identity. `order` names the permutation whose last rows are taken. Throws UserError, which opens with `where`, when no row is left
/// to train on.
std::vector<bool> held_out_rows(const std::vector<uint64_t>& identities, double share, uint64_t order,
                                std::string_view where);

/// What an objective is measured on, at most `most` samples: held-out ones, or, where the source holds nothing out, the first ones of a
/// pass, which are trained on too.
std::vector<Sample> samples_to_measure(const SampleSource& source, uint64_t most);

}  // namespace tessera::data
