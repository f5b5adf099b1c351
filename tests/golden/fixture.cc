// Fixtures are read by the library's own safetensors reader.
#include "tests/golden/fixture.h"

#include <gtest/gtest.h>

#include "tensor/weights.h"
#include "train/optimizer.h"

namespace tessera::golden {

Fixture::Fixture(const std::string& name) {
  const Path file = Path(TESSERA_SOURCE_DIR) / "tests/golden/data" / (name + ".safetensors");
  tensors_ = load_tensors(file);
  metadata_ = SafetensorsFile(file).metadata();
}

const Tensor& Fixture::operator[](const std::string& name) const { return tensors_.at(name); }

std::vector<Tensor> Fixture::list(const std::string& name) const {
  std::vector<Tensor> items;
  for (auto it = tensors_.find(name + ".0"); it != tensors_.end();
       it = tensors_.find(name + "." + std::to_string(items.size()))) {
    items.push_back(it->second);
  }
  return items;
}

void Fixture::fill(const std::vector<NamedTensor>& module) const {
  const at::NoGradGuard no_grad;
  size_t stored = 0;
  for (const auto& [name, unused] : tensors_) stored += name.starts_with("weights.");
  EXPECT_EQ(module.size(), stored) << "the engine's module and its twin list different tensors";
  for (NamedTensor parameter : module) {
    const auto found = tensors_.find("weights." + parameter.name);
    if (found == tensors_.end() || found->second.sizes() != parameter.tensor.sizes()) {
      ADD_FAILURE() << "the twin has no tensor of this name and shape: " << parameter.name << " "
                    << parameter.tensor.sizes();
      continue;
    }
    parameter.tensor.copy_(found->second);
  }
}

void Fixture::expect_gradients(const std::vector<train::Parameter>& parameters, double tolerance) const {
  size_t stored = 0;
  for (const auto& [name, unused] : tensors_) stored += name.starts_with("gradients.");
  EXPECT_EQ(parameters.size(), stored) << "the engine trains other tensors than its twin";
  for (const train::Parameter& p : parameters) {
    const Tensor gradient = p.tensor.grad().defined() ? p.tensor.grad() : at::zeros_like(p.tensor);
    const Tensor& want = tensors_.at("gradients." + p.name);
    // a bias before a norm has no gradient but rounding noise; 1e-3 keeps that from being compared with itself
    const double size = std::max(want.abs().max().item<double>(), 1e-3);
    expect_close(gradient, want, tolerance * size, "gradient of " + p.name);
  }
}

std::vector<Image> images(const Tensor& pixels) {
  std::vector<Image> all;
  for (int64_t b = 0; b < pixels.size(0); ++b) {
    Image& image = all.emplace_back(pixels.size(2), pixels.size(1), 3);
    const uint8_t* from = pixels[b].const_data_ptr<uint8_t>();
    std::copy(from, from + image.pixels.size(), image.pixels.begin());
  }
  return all;
}

std::vector<Sample> samples(const Tensor& pixels) {
  std::vector<Sample> all;
  for (Image& image : images(pixels)) all.push_back({.picture = std::move(image)});
  return all;
}

void expect_close(const Tensor& got, const Tensor& want, double tolerance, const std::string& what) {
  ASSERT_EQ(got.sizes(), want.sizes()) << what;
  const Tensor difference = (got.to(at::kDouble) - want.to(at::kDouble)).abs().flatten();
  const int64_t at = difference.argmax().item<int64_t>();
  EXPECT_LE(difference[at].item<double>(), tolerance)
      << what << " at flat index " << at << ": got " << got.flatten()[at].item<double>() << ", want "
      << want.flatten()[at].item<double>();
}

Tensor ten_losses(train::Objective& objective, const std::vector<Sample>& batch, uint64_t seed) {
  train::AdamW optimizer(objective.parameters(), {.beta1 = 0.9, .beta2 = 0.97, .weight_decay = 0.05, .clip = 5});
  std::vector<float> losses;
  for (int64_t step = 0; step < 10; ++step) {
    const train::Loss loss =
        objective.loss(batch, {.step = step, .total_steps = 10, .rng = Rng(seed, static_cast<uint64_t>(step))});
    losses.push_back(loss.value.item<float>());
    loss.value.backward();
    optimizer.step(1e-3);
  }
  return at::tensor(losses);
}

}  // namespace tessera::golden
