// The engine's side of bench/align: the sampler of alignment runs, and what their pools of prompts cost.
//   tessera_align_bench sample DIR THREADS                      {"do": "write", "at_once", "count", "tokens"} a line
//   tessera_align_bench clusters ROWS WIDTH CLUSTERS PASSES FOLDER THREADS    k-means over a mapped file of features
//   tessera_align_bench near PROMPTS                            near-duplicates among short prompts
#include <sys/resource.h>

#include <chrono>
#include <fstream>
#include <iostream>

#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>

#include "align/clusters.h"
#include "align/near_duplicates.h"
#include "align/writer.h"
#include "bench/serve.h"
#include "core/json.h"
#include "core/rng.h"
#include "models/registry.h"

namespace tessera::bench {
namespace {

using Clock = std::chrono::steady_clock;
double since(Clock::time_point began) { return std::chrono::duration<double>(Clock::now() - began).count(); }

double peak_megabytes() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  return static_cast<double>(usage.ru_maxrss) / 1024;
}

/// `count` answers to one prompt of some words, `at_once` side by side; tokens a second are those of the answers.
Json write(const Writes& model, const Json& request) {
  std::vector<align::WritingJob> jobs;
  const std::vector<int32_t> prompt = text::encode_prompt(model.tokenizer(), request["prompt"].get<std::string>());
  for (int64_t i = 0; i < request["count"].get<int64_t>(); ++i)
    jobs.push_back({.prompt = prompt, .seed = static_cast<uint64_t>(i + 1), .key = static_cast<size_t>(i)});
  int64_t tokens = 0;
  const auto began = Clock::now();
  align::write_all(model, jobs,
                   {.max_tokens = request["tokens"].get<int64_t>(), .at_once = request["at_once"].get<int64_t>()},
                   [&](const align::WrittenText& text) {
                     tokens += text.tokens;
                     return true;
                   });
  return {{"seconds", since(began)}, {"tokens", tokens}};
}

/// A normal number by the sum of uniform ones: near enough for points around centres.
float around(Rng& rng) {
  double sum = -2;
  for (int i = 0; i < 4; ++i) sum += rng.uniform();
  return static_cast<float>(sum);
}

/// Rows around `centres` points of a cube, as prompts lie around what they ask for.
void write_features(const Path& file, int64_t rows, int64_t width, int64_t centres) {
  align::FeatureWriter writer(file, width);
  constexpr int64_t at_once = 8192;
  for (int64_t first = 0; first < rows; first += at_once) {
    const int64_t count = std::min(at_once, rows - first);
    Tensor part = at::empty({count, width}, at::kFloat);
    float* to = part.mutable_data_ptr<float>();
    for (int64_t i = 0; i < count; ++i) {
      Rng own = Rng(1).split(static_cast<uint64_t>(first + i));
      Rng centre = Rng(2).split(own.below(static_cast<uint64_t>(centres)));
      for (int64_t k = 0; k < width; ++k) *to++ = 2 * around(centre) + around(own);
    }
    writer.add(part);
  }
  writer.finish();
}

int clusters(const std::vector<std::string>& words) {
  const int64_t rows = std::stoll(words[1]), width = std::stoll(words[2]), count = std::stoll(words[3]);
  at::set_num_threads(std::stoi(words[6]));
  const Path file = Path(words[5]) / fmt::format("features-{}-{}", rows, width);
  if (!std::filesystem::exists(file)) write_features(file, rows, width, count);
  const align::FeatureFile features(file);
  const double before = peak_megabytes();
  auto began = Clock::now();
  const align::Clusters found = align::k_means(
      features,
      {.clusters = count, .iterations = std::stoll(words[4]), .on_iteration = [&](int64_t pass, double distance) {
         std::cout << Json{{"pass", pass},
                           {"seconds", since(began)},
                           {"gflops", 2e-9 * static_cast<double>(rows * count * width) / since(began)},
                           {"distance", distance}}
                          .dump()
                   << std::endl;
         began = Clock::now();
       }});
  std::cout << Json{{"passes", found.iterations}, {"peak_mb", peak_megabytes()}, {"before_mb", before}}.dump()
            << std::endl;
  return 0;
}

/// Prompts of 5 to 20 words of a few thousand, of which a fifth repeat an earlier one with a word changed.
std::string prompt_of(uint64_t number) {
  Rng rng = Rng(3).split(number);
  const bool again = number > 10 && rng.uniform() < 0.2;
  Rng words = Rng(4).split(again ? rng.below(number) : number);
  const uint64_t count = 5 + words.below(16), changed = again ? rng.below(count) : count;
  std::string text;
  for (uint64_t i = 0; i < count; ++i) {
    // Frequent words are more frequent, as in people's prompts.
    const double u = words.uniform();
    text += "w" + std::to_string(i == changed ? 9999 : static_cast<int64_t>(5000 * u * u)) + " ";
  }
  return text;
}

int near(const std::vector<std::string>& words) {
  const auto count = static_cast<uint64_t>(std::stoll(words[1]));
  align::NearDuplicates near(0.7);
  auto began = Clock::now();
  int64_t known = 0;
  for (uint64_t i = 0; i < count; ++i) {
    known += near.known_or_add(prompt_of(i)) ? 1 : 0;
    if ((i + 1) % (count / 10) == 0)
      std::cout
          << Json{{"prompts", i + 1}, {"seconds", since(began)}, {"near", known}, {"peak_mb", peak_megabytes()}}.dump()
          << std::endl;
  }
  return 0;
}

int run(const std::vector<std::string>& words) {
  if (words.size() == 3 && words[0] == "sample") {
    at::set_num_threads(std::stoi(words[2]));
    const auto model = load_model(words[1], at::kCPU);
    serve([&](const Json& request) { return write(*model->writes(), request); });
    return 0;
  }
  if (words.size() == 7 && words[0] == "clusters") return clusters(words);
  if (words.size() == 2 && words[0] == "near") return near(words);
  std::cerr << "usage: tessera_align_bench sample DIR THREADS | clusters ROWS WIDTH CLUSTERS PASSES FOLDER THREADS | "
               "near PROMPTS\n";
  return 2;
}

}  // namespace
}  // namespace tessera::bench

int main(int count, char** words) { return tessera::bench::guarded(count, words, tessera::bench::run); }
