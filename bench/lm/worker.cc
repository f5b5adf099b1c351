// The engine's side of bench/lm/run: reads one JSON request per line, answers with one JSON object per line.
//   tessera_lm_bench make PRESET DIR [DEPTH]     a model of that shape with random weights, bf16; of DEPTH blocks
//   tessera_lm_bench pack DIR OUT                the same with 4-bit weights, rounded to nearest
//   tessera_lm_bench probe THREADS               {"read_bandwidth", "multiply_add_peak"} of this machine
//   tessera_lm_bench serve DIR DTYPE THREADS [DEVICE]    {"do": "about" | "logits" | "prefill" | "decode", ...}
#include <chrono>
#include <iostream>

#include <ATen/Parallel.h>
#include <c10/core/InferenceMode.h>
#include <torch/csrc/autograd/grad_mode.h>

#include "bench/probe.h"
#include "bench/serve.h"
#include "core/json.h"
#include "models/lm/architecture/config.h"
#include "models/lm/architecture/model_files.h"
#include "models/lm/text/decode.h"
#include "models/quantizable.h"
#include "models/registry.h"
#include "quant/awq.h"
#include "tensor/build.h"
#include "tensor/device.h"

namespace tessera::bench {
namespace {

using Clock = std::chrono::steady_clock;
double since(Clock::time_point began) { return std::chrono::duration<double>(Clock::now() - began).count(); }

void make(const std::vector<std::string>& words) {
  lm::LmConfig config = lm::preset(words[1]);
  if (words.size() > 3) config.depth = std::stoll(words[3]);
  lm::DecoderLm model(config);
  lm::initialise(model, 1);
  lm::save_lm(words[2], model);
}

void pack(const Path& directory, const Path& out) {
  const at::NoGradGuard no_grad;
  const auto model = load_quantizable(directory, at::kCPU);
  const auto inputs = model->language_inputs();
  quant::awq(inputs, std::vector<quant::InputStatistics>(inputs.size()), {.scale = false, .clip = false});
  model->save(out, {.group = 128});
}

class Work {
 public:
  Work(const std::string& directory, const std::string& dtype, at::Device device)
      : device_(device), model_(lm::load_lm(directory, {.device = device, .dtype = dtype, .check_numbers = false})) {}

  /// Sizes that shares of the machine are computed from: bytes that a token reads, and weights that every position
  /// goes through.
  Json about() {
    int64_t bytes = 0, block_weights = 0;
    for_each_tensor(model_, [&](const std::string& name, Tensor& t) {
      bytes += static_cast<int64_t>(t.nbytes());
      if (name.find("layers") == std::string::npos || name.ends_with(".scales") || name.ends_with(".zeros")) return;
      if (t.dim() == 2) block_weights += t.numel() * (name.ends_with(".packed.integers") ? 2 : 1);  // two to a byte
    });
    const lm::LmConfig& c = model_.config;
    return {{"weight_bytes", bytes},
            {"block_weights", block_weights},
            {"head_weights", c.vocabulary * c.width},
            {"attention_width", c.heads * c.head_dim},
            {"depth", c.depth}};
  }

  /// Sum of magnitudes and index of the largest of the logits after `tokens`.
  Json logits(int64_t tokens) {
    const c10::InferenceMode inference;
    lm::LmSteps steps(model_);
    const Tensor logits = read(steps, tokens);
    return {{"magnitude", logits.abs().sum().item<double>()}, {"largest", logits.argmax().item<int64_t>()}};
  }

  Json prefill(int64_t tokens) {
    const auto began = Clock::now();
    lm::LmSteps steps(model_);
    finished(read(steps, tokens).argmax(-1));
    return {{"seconds", since(began)}};
  }

  /// Greedy, after a prompt that is not timed.
  Json decode(int64_t prompt, int64_t tokens) {
    lm::LmSteps steps(model_);
    int32_t next = static_cast<int32_t>(read(steps, prompt).argmax(-1).item<int64_t>());
    const auto began = Clock::now();
    for (int64_t i = 0; i < tokens; ++i)
      next = static_cast<int32_t>(steps.next(std::span(&next, 1)).argmax(-1).item<int64_t>());
    return {{"seconds", since(began)}};
  }

 private:
  /// Reads `count` ids that both sides make alike; logits [1, V].
  Tensor read(lm::LmSteps& steps, int64_t count) const {
    generate::Prompt prompt;
    for (int64_t i = 0; i < count; ++i)
      prompt.ids.push_back(static_cast<int32_t>((i * 7919 + 13) % model_.config.vocabulary));
    const generate::Prompt* const joining[] = {&prompt};
    return steps.join(joining);
  }

  /// Waits for a card, which computes while the program continues.
  static void finished(const Tensor& last) { last.cpu(); }

  at::Device device_;
  lm::DecoderLm model_;
};

Json answer(Work& work, const Json& request) {
  const std::string action = request.at("do");
  const int64_t tokens = request.value("tokens", int64_t{64}), prompt = request.value("prompt", int64_t{64});
  if (action == "about") return work.about();
  if (action == "logits") return work.logits(tokens);
  if (action == "prefill") return work.prefill(tokens);
  if (action == "decode") return work.decode(prompt, tokens);
  throw UserError("[bench] unknown request '{}', want about, logits, prefill or decode", action);
}

int run(const std::vector<std::string>& words) {
  if ((words.size() == 3 || words.size() == 4) && words[0] == "make") return make(words), 0;
  if (words.size() == 3 && words[0] == "pack") return pack(words[1], words[2]), 0;
  if (words.size() == 2 && words[0] == "probe") {
    const int threads = std::stoi(words[1]);
    std::cout
        << Json{{"read_bandwidth", read_bandwidth(threads)}, {"multiply_add_peak", multiply_add_peak(threads)}}.dump()
        << std::endl;
    return 0;
  }
  if (words.size() < 4 || words.size() > 5 || words[0] != "serve")
    throw UserError(
        "[bench] want make PRESET DIR [DEPTH], pack DIR OUT, probe THREADS or serve DIR DTYPE THREADS [DEVICE]");
  at::set_num_threads(std::stoi(words[3]));
  Work work(words[1], words[2], parse_device(words.size() > 4 ? words[4] : "cpu"));
  serve([&work](const Json& request) { return answer(work, request); });
  return 0;
}

}  // namespace
}  // namespace tessera::bench

int main(int count, char** words) { return tessera::bench::guarded(count, words, tessera::bench::run); }
