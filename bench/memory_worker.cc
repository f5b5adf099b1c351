// One training run of a language model with random weights, and the memory and time that its steps take; one process for each
// way of tuning, so that no peak hides another. One JSON object on standard output.
//   tessera_memory_bench WHAT RECOMPUTE [KEY=NUMBER ...]
// WHAT: full, lora, qlora, norms. RECOMPUTE: 0 or 1. Keys: width, depth, heads, kv_heads, hidden, vocabulary, batch, length, rank, steps, threads.
#include <malloc.h>

#include <chrono>
#include <fstream>
#include <iostream>
#include <map>

#include <ATen/Parallel.h>

#include "bench/serve.h"
#include "core/json.h"
#include "models/lm/architecture/module.h"
#include "nn/layers/token_loss.h"
#include "tensor/live_bytes.h"
#include "train/optimizer.h"
#include "train/tune.h"

namespace tessera::bench {
namespace {

/// A number of /proc/self/status in bytes.
int64_t status_bytes(const std::string& key) {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.rfind(key + ":", 0) == 0) return std::stoll(line.substr(key.size() + 1)) * 1024;
  }
  return -1;
}

/// What building the model took is given back and forgotten: steps are measured alone.
void forget_peaks(LiveBytes& bytes) {
  malloc_trim(0);
  std::ofstream("/proc/self/clear_refs") << "5";
  bytes.reset_peak();
}

Tensor ids_of(int64_t batch, int64_t length, int64_t vocabulary) {
  Tensor ids = at::empty({batch, length}, at::kLong);
  Rng rng(1);
  for (int64_t i = 0; i < ids.numel(); ++i)
    ids.mutable_data_ptr<int64_t>()[i] = static_cast<int64_t>(rng.below(static_cast<uint64_t>(vocabulary)));
  return ids;
}

Json measure(const std::string& what, bool recompute, std::map<std::string, int64_t>& n) {
  at::set_num_threads(static_cast<int>(n["threads"]));
  LiveBytes bytes;
  lm::LmConfig c;
  c.width = n["width"];
  c.depth = n["depth"];
  c.heads = n["heads"];
  c.kv_heads = n["kv_heads"];
  c.hidden = n["hidden"];
  c.head_dim = c.width / c.heads;
  c.vocabulary = n["vocabulary"];
  lm::DecoderLm model(c);
  {
    const at::NoGradGuard no_grad;  // any numbers will do, and uniform ones are quickly drawn
    for (const NamedTensor& t : named_tensors(model))
      t.tensor.dim() > 1 ? t.tensor.uniform_(-0.02, 0.02) : t.tensor.fill_(1);
  }
  int64_t total = 0, trained = 0;
  for (const NamedTensor& t : named_tensors(model)) total += t.tensor.numel();
  const auto parameters = train::tuned_parameters(
      model, {.what = what, .rank = n["rank"], .alpha = 2.0 * static_cast<double>(n["rank"]), .group = 64});
  for (const train::Parameter& p : parameters) trained += p.tensor.numel();
  train::AdamW optimizer(parameters, {});
  forget_peaks(bytes);

  const Tensor ids = ids_of(n["batch"], n["length"] + 1, c.vocabulary);
  const Tensor inputs = ids.slice(1, 0, n["length"]), targets = ids.slice(1, 1).reshape(-1);
  const auto count = static_cast<double>(targets.numel());
  std::vector<double> seconds, losses;
  for (int64_t step = 0; step < n["steps"]; ++step) {
    const auto began = std::chrono::steady_clock::now();
    lm::Positions positions = lm::positions_of(model, n["length"], {}, at::kCPU);
    positions.recompute = recompute;
    const Tensor hidden = model.forward(model.embed(inputs), positions).reshape({-1, c.width});
    const Tensor loss = nn::token_loss(hidden, model.embed_tokens.weight, targets, {}, 64) / count;
    loss.backward();
    optimizer.step(1e-4);
    seconds.push_back(std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count());
    losses.push_back(loss.item<double>());
  }
  return {{"what", what},
          {"recompute", recompute},
          {"parameters", total},
          {"trained", trained},
          {"peak_tensor_bytes", bytes.peak()},
          {"peak_rss", status_bytes("VmHWM")},
          {"seconds", seconds},
          {"losses", losses}};
}

int run(const std::vector<std::string>& words) {
  if (words.size() < 2)
    throw UserError("[bench] want WHAT (full, lora, qlora, norms) RECOMPUTE (0 or 1) [KEY=NUMBER ...]");
  // Qwen2-0.5B's shape
  std::map<std::string, int64_t> numbers = {{"width", 896},   {"depth", 24},          {"heads", 14}, {"kv_heads", 2},
                                            {"hidden", 4864}, {"vocabulary", 151936}, {"batch", 1},  {"length", 256},
                                            {"rank", 16},     {"steps", 2},           {"threads", 1}};
  for (size_t i = 2; i < words.size(); ++i) {
    const size_t equals = words[i].find('=');
    if (equals == std::string::npos || !numbers.contains(words[i].substr(0, equals)))
      throw UserError("[bench] cannot read '{}'; want KEY=NUMBER, as in depth=6", words[i]);
    numbers[words[i].substr(0, equals)] = std::stoll(words[i].substr(equals + 1));
  }
  std::cout << measure(words[0], words[1] == "1", numbers).dump() << std::endl;
  return 0;
}

}  // namespace
}  // namespace tessera::bench

int main(int count, char** words) { return tessera::bench::guarded(count, words, tessera::bench::run); }
