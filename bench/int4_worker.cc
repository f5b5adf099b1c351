// The engine's side of bench/int4: reads one JSON request per line, answers with one JSON object per line.
//   tessera_int4_bench THREADS
// {"do": "load", "preset": "qwen2.5-0.5b"}     random 4-bit weights of that shape; -> {"layer_bytes", "word_bytes", "multiply_adds"}
// {"do": "decode", "context": C, "tokens": N}  N single-token passes after a cache of C positions
// {"do": "prefill", "length": L}               one pass over L positions, and the last one's logits
// {"do": "linear", "rows": R, "bits": 4 | 8 | 16 | 32}  all linear layers once on R rows
// {"do": "bandwidth"} {"do": "peak"}           what the machine can do, in bytes and operations a second
#include <chrono>
#include <iostream>

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include "bench/probe.h"
#include "core/json.h"
#include "models/lm/module.h"
#include "models/lm/presets.h"
#include "quant/rounding.h"
#include "tensor/build.h"

namespace tessera::bench {
namespace {

using nn::Linear;

/// A packed model whose numbers stay of ordinary size through all blocks.
lm::DecoderLm random_packed(const lm::LmConfig& config) {
  lm::DecoderLm model = [&] {
    const BuildDevice nowhere(at::kMeta);
    return lm::DecoderLm(config);
  }();
  at::manual_seed(1);
  nn::for_each_linear(model, [](const std::string& name, Linear& layer) {
    if (name == "lm_head" || !layer.weight.defined()) return;
    const int64_t out = layer.weight.size(0), in = layer.weight.size(1), group = 128;
    layer.int4 = nn::Int4Weight{.packed = at::randint(0, 256, {out, in / 2}, at::kByte),
                                .scales = at::full({out, in / group}, 0.2 / std::sqrt(static_cast<double>(in))),
                                .zeros = at::full({out, in / group}, 8, at::kByte),
                                .group = group};
    layer.weight = Tensor();
  });
  for_each_tensor(model, [](const std::string& name, Tensor& t) {
    if (!t.is_meta()) return;
    if (t.dim() == 2) t = at::randn(t.sizes()).mul_(0.02).to(at::kHalf);
    else t = name.ends_with("bias") ? at::zeros(t.sizes()) : at::ones(t.sizes());
  });
  return model;
}

class Bench {
 public:
  Json load(const std::string& preset) {
    model_ = random_packed(lm::preset(preset));
    int64_t layer_bytes = 0, weights = 0;
    nn::for_each_linear(*model_, [&](const std::string&, Linear& layer) {
      if (!layer.int4) return;
      layer_bytes +=
          static_cast<int64_t>(layer.int4->packed.nbytes() + layer.int4->scales.nbytes() + layer.int4->zeros.nbytes());
      weights += layer.int4->packed.numel() * 2;
    });
    const Tensor& words = model_->config.tied ? model_->embed_tokens : model_->lm_head.weight;
    return {
        {"layer_bytes", layer_bytes}, {"word_bytes", words.nbytes()}, {"weights", weights}, {"words", words.numel()}};
  }

  void pass(const Tensor& ids, nn::TokenCache& cache) const {
    const c10::InferenceMode inference;
    const lm::Places places = lm::places_of(model_->config, cache.length(), ids.size(1), {}, at::kCPU);
    model_->logits(model_->forward(model_->embed(ids), places, &cache).select(1, -1));
  }

  /// A cache that holds `length` positions.
  nn::TokenCache filled(int64_t length) const {
    nn::TokenCache cache({.depth = model_->config.depth});
    pass(at::randint(0, model_->config.vocabulary, {1, length}, at::kLong), cache);
    return cache;
  }

  const lm::DecoderLm& model() const { return *model_; }

 private:
  std::optional<lm::DecoderLm> model_;
};

/// All linear layers of the blocks once, each on rows of its own, with weights of `bits`.
double linear_seconds(const lm::DecoderLm& model, int64_t rows, int64_t bits) {
  const c10::InferenceMode inference;
  lm::DecoderLm copy = model;
  double seconds = 0;
  nn::for_each_linear(copy, [&](const std::string&, Linear& layer) {
    if (!layer.int4) return;
    const Tensor x = at::randn({rows, layer.int4->packed.size(1) * 2});
    std::function<Tensor()> work = [&] { return nn::linear(x, *layer.int4); };
    Tensor weight, narrow;
    nn::Int8Weight int8;
    if (bits == 8) int8 = quant::round_int8(unpacked(*layer.int4)), work = [&] { return nn::linear(x, int8); };
    if (bits == 32) weight = unpacked(*layer.int4), work = [&] { return at::linear(x, weight); };
    if (bits == 16) {
      weight = unpacked(*layer.int4).to(at::kBFloat16), narrow = x.to(at::kBFloat16);
      work = [&] { return at::linear(narrow, weight); };
    }
    const auto begin = std::chrono::steady_clock::now();
    work();
    seconds += std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  });
  return seconds;
}

Json answer(Bench& bench, const Json& request, int threads) {
  const std::string action = request.at("do");
  if (action == "load") return bench.load(request.at("preset"));
  if (action == "bandwidth") return {{"value", read_bandwidth(threads)}};
  if (action == "peak") return {{"value", multiply_add_peak(threads)}};
  if (action == "linear") return {{"seconds", linear_seconds(bench.model(), request.at("rows"), request.at("bits"))}};
  const int64_t vocabulary = bench.model().config.vocabulary;
  nn::TokenCache cache({.depth = bench.model().config.depth});
  if (action == "decode") cache = bench.filled(request.at("context"));
  else if (action != "prefill")
    throw UserError("[bench] unknown request '{}', want load, decode, prefill, linear, bandwidth or peak", action);
  const int64_t length = action == "decode" ? 1 : request.at("length").get<int64_t>();
  const Tensor ids = at::randint(0, vocabulary, {1, length}, at::kLong);
  const auto begin = std::chrono::steady_clock::now();
  for (int64_t i = 0; i < request.value("tokens", int64_t{1}); ++i) bench.pass(ids, cache);
  return {{"seconds", std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count()}};
}

}  // namespace
}  // namespace tessera::bench

int main(int count, char** words) {
  try {
    if (count != 2) throw tessera::UserError("[bench] want one argument, the number of threads");
    const int threads = std::stoi(words[1]);
    at::set_num_threads(threads);
    tessera::bench::Bench bench;
    for (std::string line; std::getline(std::cin, line);)
      std::cout << tessera::bench::answer(bench, tessera::parse_json(line, "request"), threads).dump() << std::endl;
    return 0;
  } catch (const std::exception& error) {
    std::cerr << error.what() << "\n";
    return 2;
  }
}
