// Reads a model directory without knowing the model: its tensors by name, the five largest first.
// Usage: load MODEL_DIR
#include <algorithm>
#include <cstdio>
#include <string>
#include <vector>

#include <ATen/core/Tensor.h>

#include "tessera/core/error.h"
#include "tessera/tensor/model_dir.h"
#include "tessera/tensor/weights.h"

int main(int count, char** words) try {
  if (count != 2) throw tessera::UserError("[load] usage: load MODEL_DIR");
  const tessera::ModelDirectory model = tessera::read_model_directory(words[1]);
  std::vector<std::pair<std::string, at::Tensor>> tensors;
  int64_t parameters = 0;
  for (const auto& [name, tensor] : tessera::load_tensors(model.path)) {
    tensors.emplace_back(name, tensor);
    parameters += tensor.numel();
  }
  std::printf("%s: %lld parameters in %zu tensors\n", model.model_type.c_str(), static_cast<long long>(parameters),
              tensors.size());

  std::stable_sort(tensors.begin(), tensors.end(),
                   [](const auto& a, const auto& b) { return a.second.numel() > b.second.numel(); });
  tensors.resize(std::min<size_t>(tensors.size(), 5));
  for (const auto& [name, tensor] : tensors) {
    std::printf("  %-40s %10lld  rms %.4f\n", name.c_str(), static_cast<long long>(tensor.numel()),
                tensor.to(at::kFloat).square().mean().sqrt().item<double>());
  }
  return 0;
} catch (const tessera::Error& error) {
  std::fprintf(stderr, "load: %s\n", error.what());
  return error.exit_status();
}
