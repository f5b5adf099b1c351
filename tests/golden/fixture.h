// A fixture that a Python twin wrote: named tensors, and configs as JSON in the file's metadata.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "core/json.h"
#include "tensor/module.h"
#include "train/objective.h"

namespace tessera::golden {

class Fixture {
 public:
  /// tests/golden/data/NAME.safetensors.
  explicit Fixture(const std::string& name);

  const Tensor& operator[](const std::string& name) const;
  /// The tensors "NAME.0", "NAME.1", ... in order.
  std::vector<Tensor> list(const std::string& name) const;
  /// A config of the metadata, read as strictly as a user's file.
  template <class T> T config(const std::string& name) const {
    T value;
    from_json(parse_json(metadata_.at(name), name), value, name);
    return value;
  }
  /// Copies "weights.*" into a module. Adds a test failure for every name or shape that one side lacks.
  void fill(const std::vector<NamedTensor>& module) const;
  /// Expects each parameter's gradient to equal "gradients.*" to `tolerance` of that gradient's largest number; nothing
  /// may be missing on either side.
  void expect_gradients(const std::vector<train::Parameter>& parameters, double tolerance) const;

 private:
  std::map<std::string, Tensor> tensors_;
  std::map<std::string, std::string> metadata_;
};

/// Pictures and captionless samples of uint8 [B, H, W, 3].
std::vector<Image> images(const Tensor& pixels);
std::vector<Sample> samples(const Tensor& pixels);

/// Expects |got - want| <= tolerance everywhere, and reports where it is worst.
void expect_close(const Tensor& got, const Tensor& want, double tolerance, const std::string& what);

/// Ten AdamW steps as the twins take them (.9, .97, decay .05, clip 5, rate 1e-3, step k drawing from Rng(seed, k));
/// returns the loss before each step.
Tensor ten_losses(train::Objective& objective, const std::vector<Sample>& batch, uint64_t seed);

}  // namespace tessera::golden
