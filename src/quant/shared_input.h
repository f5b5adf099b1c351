// What calibration works on: linear layers that read one input, and what gives that input. A model lists these once;
// nothing here uses a model's name.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "nn/layers/linear.h"

namespace tessera::quant {

/// Layers whose input is the same tensor. Where something before them can take it, channel i of the input may be
/// divided by s[i] and column i of the consumers multiplied by it: the model's function stays as it is, its rounding
/// does not.
struct SharedInput {
  struct Consumer {
    nn::Linear* layer = nullptr;  // weight [out, in]
    bool clip = true;             // its ranges may be narrowed; not those of queries and keys, whose products matter
    bool pack = true;             // it is rounded; otherwise its columns follow the scales and that is all
  };
  /// The norm whose output is the input.
  struct Norm {
    Tensor weight, bias;  // [in]; bias may be absent
    double offset = 0;    // the norm multiplies by offset + weight
  };
  std::string name;  // of the first consumer, for reports
  std::vector<Consumer> consumers;
  std::optional<Norm> norm;
  nn::Linear* producer = nullptr;  // or the layer whose outputs the input's channels are proportional to
  Tensor channels;                 // [in] int64: which output of `producer` channel i comes from; absent: the i-th

  bool scalable() const { return norm.has_value() || producer != nullptr; }
  int64_t width() const { return consumers.front().layer->weight.size(1); }
};

/// Divides the input's channels by scale [in] and multiplies the consumers' columns. With `producer` and channels that
/// share an output, their scales must be equal.
void fold(const SharedInput& input, const Tensor& scale);

/// What went into a layer during calibration: magnitudes of each channel over all rows, and an even sample of the rows.
class InputStatistics : public nn::InputObserver {
 public:
  explicit InputStatistics(int64_t most_rows = 512) : most_rows_(most_rows) {}
  /// x [..., in].
  void see(const Tensor& x) override;

  int64_t rows() const { return rows_; }
  Tensor mean_magnitude() const { return sum_ / static_cast<double>(std::max<int64_t>(1, rows_)); }  // [in]
  const Tensor& largest_magnitude() const { return largest_; }                                       // [in]
  Tensor sample() const;  // [n, in] fp32, n between most_rows / 2 and most_rows once there were as many

 private:
  int64_t most_rows_, rows_ = 0, stride_ = 1, kept_ = 0;
  Tensor sum_, largest_;
  std::vector<Tensor> pieces_;
};

/// Watches one consumer of each input while it lives.
class Calibration {
 public:
  explicit Calibration(const std::vector<SharedInput>& inputs, int64_t most_rows = 512);
  ~Calibration();
  Calibration(const Calibration&) = delete;
  Calibration& operator=(const Calibration&) = delete;

  /// In the order of the inputs.
  const std::vector<InputStatistics>& statistics() const { return statistics_; }

 private:
  std::vector<nn::Linear*> watched_;
  std::vector<InputStatistics> statistics_;
};

}  // namespace tessera::quant
