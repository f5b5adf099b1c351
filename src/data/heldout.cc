// One hash decides for generated samples, one permutation for rows.
#include "data/heldout.h"

#include <algorithm>
#include <cmath>
#include <unordered_set>

#include "core/error.h"
#include "core/rng.h"
#include "data/permutation.h"

namespace tessera::data {

bool is_held_out(uint64_t identity, double share) {
  return static_cast<double>(mix64(identity ^ hash_text("held out")) >> 11) * 0x1p-53 < share;
}

std::vector<bool> held_out_rows(const std::vector<uint64_t>& identities, double share, uint64_t order,
                                std::string_view where) {
  const uint64_t rows = identities.size();
  std::vector<bool> held(rows);
  if (share == 0 || rows < 2) return held;
  const auto count = std::max<uint64_t>(1, static_cast<uint64_t>(std::floor(static_cast<double>(rows) * share)));
  std::unordered_set<uint64_t> out;
  for (uint64_t place = rows - count; place < rows; ++place) out.insert(identities[permuted(place, rows, order)]);
  for (uint64_t row = 0; row < rows; ++row) held[row] = out.contains(identities[row]);
  if (std::ranges::count(held, true) == std::ssize(held))
    throw UserError("{}: all {} rows are like one that is held out; want other rows or heldout_share = 0", where, rows);
  return held;
}

std::vector<Sample> samples_to_measure(const SampleSource& source, uint64_t most) {
  std::vector<Sample> samples = source.heldout(most);
  if (!samples.empty()) return samples;
  const uint64_t count = std::min(source.pass_length().value_or(most), most);
  for (uint64_t i = 0; i < count; ++i) samples.push_back(source.at(i));
  return samples;
}

}  // namespace tessera::data
