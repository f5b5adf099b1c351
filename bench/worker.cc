// The engine's side of bench/run: reads one JSON request per line, answers with one JSON object per line.
//   tessera_bench make DIR                       a model with random weights
//   tessera_bench batch MODEL COUNT FILE         a training batch that suits it
//   tessera_bench serve MODEL THREADS FILE       {"do": "draw" | "next_scale" | "raster" | "loss" | "train", ...} -> {"seconds", ...}
#include <sys/resource.h>

#include <chrono>
#include <iostream>

#include <ATen/Parallel.h>

#include "bench/serve.h"
#include "bench/workload.h"
#include "core/json.h"

namespace tessera::bench {
namespace {

int64_t peak_rss() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return usage.ru_maxrss * 1024;
}

Json answer(Workload& work, const Json& request) {
  const std::string action = request.at("do"), prompt = request.value("prompt", "red apple");
  Json reply;
  const auto begin = std::chrono::steady_clock::now();
  if (action == "draw")
    work.draw(prompt, request.value("count", 1), request.value("cached", true), request.value("exact", true));
  else if (action == "next_scale") work.next_scale(prompt);
  else if (action == "raster") work.raster(prompt, request.value("tokens", 64));
  else if (action == "loss") reply["value"] = work.loss(/*step=*/false);
  else if (action == "train") work.loss(/*step=*/true);
  else throw UserError("[bench] unknown request '{}', want draw, next_scale, raster, loss or train", action);
  reply["seconds"] = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  reply["peak_rss"] = peak_rss();
  return reply;
}

int run(const std::vector<std::string>& words) {
  if (words.size() == 2 && words[0] == "make") return make_model(words[1]), 0;
  if (words.size() == 4 && words[0] == "batch") return make_batch(words[1], std::stoll(words[2]), words[3]), 0;
  if (words.size() != 4 || words[0] != "serve")
    throw UserError("[bench] want make DIR, batch MODEL COUNT FILE or serve MODEL THREADS FILE");
  at::set_num_threads(std::stoi(words[2]));
  Workload work(words[1], words[3]);
  serve([&work](const Json& request) { return answer(work, request); });
  return 0;
}

}  // namespace
}  // namespace tessera::bench

int main(int count, char** words) { return tessera::bench::guarded(count, words, tessera::bench::run); }
