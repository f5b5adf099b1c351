// What layers with a state of fixed size carry from one position of a row to the next, and how a row is taken back to an earlier length.
// Tensors of a state are never written into: who keeps a state keeps what it was.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <vector>

#include "tensor/tensor.h"

namespace tessera::nn {

/// One layer's. Absent tensors are zeros.
struct RecurrentState {
  Tensor window;  // [kernel - 1, channels]: the last inputs of its convolution
  Tensor memory;  // [H, K, V] fp32
};

/// Takes new positions x [n, channels] of one row into a state and gives what the layer makes of them [n, ...].
using RecurrentStep = std::function<Tensor(const Tensor& x, RecurrentState& state)>;

/// The states of all layers of a model after some position of a row.
struct RowStates {
  std::vector<RecurrentState> layers;  // by layer; empty for layers that have none
  /// By layer, or none: inputs [m, channels] of the last m positions, which are not taken in yet.
  std::vector<Tensor> pending = {};

  /// Adds the bytes of tensors that are not in `counted` yet.
  int64_t bytes(std::set<const void*>& counted) const;
};
using KeptStates = std::shared_ptr<const RowStates>;  // null: before the first position

/// A row's states: now, after the last kept position, and before passes whose positions may be taken back.
class RecurrentRow {
 public:
  /// Opens a pass over a row of `length` positions. `revocable`: what it reads is remembered, so that the row can be taken back to
  /// any position of it; else all that was remembered is forgotten.
  void begin(size_t layers, int64_t length, bool revocable);
  /// One layer's part of the pass: x [n, channels].
  Tensor advance(size_t layer, const Tensor& x, const RecurrentStep& step);
  /// Ends the pass; without it the states stay what they were.
  void end();

  const KeptStates& now() const { return now_; }
  /// The states are those of a known position.
  void start(KeptStates states) { *this = {}, now_ = std::move(states); }
  /// Keeps the states of the row, which has `length` positions.
  void keep(int64_t length) { kept_ = Kept{length, now_}; }
  struct Kept {
    int64_t length = 0;
    KeptStates states;
  };
  /// Goes back to `length` positions if states of that length are at hand, else to the longest shorter length that has some, `other`
  /// among them. Returns that length.
  int64_t rewind(int64_t from, int64_t length, const Kept& other);
  int64_t bytes(std::set<const void*>& counted) const;

 private:
  /// A pass that may be taken back.
  struct Pass {
    int64_t length = 0;          // before it
    KeptStates states;           // likewise
    std::vector<Tensor> inputs;  // by layer, [n, channels]
  };
  static constexpr size_t most_passes = 2;  // a piece that crosses a cut of its prompt is read in two
  static KeptStates within(const Pass& pass, int64_t count);

  KeptStates now_;
  std::optional<Kept> kept_;
  std::vector<Pass> passes_;  // the last ones, in order
  RowStates next_;            // of the pass under way
  Pass open_;                 // likewise
  bool revocable_ = false;
};

}  // namespace tessera::nn
