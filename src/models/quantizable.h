// What packing asks of a model. Beside the capabilities, which are those of a model that is used as it is.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "core/files.h"
#include "media/image.h"
#include "quant/shared_input.h"
#include "quant/stored_form.h"

namespace tessera {

/// What a model is run on while its activations are watched.
struct CalibrationData {
  std::vector<std::string> texts;  // empty: texts that the model draws itself
  std::vector<Image> pictures;     // for models that see
  int64_t tokens = 16384;          // of text, at most
  int64_t length = 512;            // of a row
  uint64_t seed = 0;
  std::function<void(int64_t done, int64_t total)> on_progress;
};

/// A model in memory whose weights are fp32 and may be written into.
class Quantizable {
 public:
  virtual ~Quantizable() = default;
  /// Layers of the language model, block by block, producers before those that read them.
  virtual std::vector<quant::SharedInput> language_inputs() = 0;
  /// Layers of the vision tower that take 8 bits; empty where there is none.
  virtual std::vector<quant::SharedInput> tower_inputs() { return {}; }
  /// Runs the model over the data; returns the number of positions. Throws UserError for data that it cannot use.
  virtual int64_t calibrate(const CalibrationData& data) const = 0;
  /// Writes the directory; layers that were packed are written so.
  virtual void save(const Path& out, const quant::Int4Format& format) = 0;
};
}  // namespace tessera
