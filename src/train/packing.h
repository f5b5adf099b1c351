// Sequences of different lengths in rows of one length, several in a row where they fit.
#pragma once

#include <cstdint>
#include <vector>

#include "tensor/tensor.h"

namespace tessera::train {

/// Which sequences share a row: each row's sum of lengths is at most `room`. The longest are placed first, each into the first row
/// that has room (first fit, decreasing); a pure function of the lengths. Every length is 1 to `room`.
std::vector<std::vector<size_t>> pack(const std::vector<int64_t>& lengths, int64_t room);

/// One sequence: inputs, and the next token at each position that is learned.
struct Sequence {
  std::vector<int32_t> ids;
  std::vector<int32_t> targets;  // as many; -1 where nothing is learned
};

/// Rows as tensors; what is not used of a row is padding at its end, a segment of its own.
struct PackedRows {
  Tensor ids;                                  // [R, L] int64
  Tensor targets;                              // [R, L] int64, -1 where nothing is learned
  Tensor segments;                             // [R, L] int64, the sequences of a row counted from 0
  std::vector<std::vector<size_t>> sequences;  // which ones each row holds, in its order
  double padding = 0;                          // share of positions that are padding
  double padding_unpacked = 0;                 // what that share would be with a row for each sequence
};

/// `together`: several in a row of at most `room`; otherwise each has its own. Rows are as long as the longest.
PackedRows packed_rows(const std::vector<Sequence>& sequences, int64_t room, bool together = true);

}  // namespace tessera::train
