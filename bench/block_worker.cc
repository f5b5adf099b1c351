// How quickly products with weights in GGUF's blocks read their weights, beside how quickly the same threads read memory at all.
// The machine may be busy: a time is the processor time of the slowest thread, the least of many short repeats.
#include <algorithm>
#include <barrier>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "core/rng.h"
#include "nn/kernels/blocks/block_product.h"

namespace tessera::bench {

namespace {

using namespace nn::blocks;

constexpr int64_t far_more_than_caches = int64_t{256} << 20;
constexpr int64_t many = 512;  // rows

struct Setting {
  int threads;
  Path path;
};

double processor_seconds() {
  timespec time{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

/// Seconds of the fastest repeat of work(thread, repeat) on all threads at once.
double fastest(int threads, int repeats, const std::function<void(int, int)>& work) {
  std::vector<double> seconds(static_cast<size_t>(threads * repeats));
  std::barrier together(threads);
  const auto run = [&](int thread) {
    for (int repeat = 0; repeat < repeats; ++repeat) {
      together.arrive_and_wait();
      const double begin = processor_seconds();
      work(thread, repeat);
      seconds[static_cast<size_t>(repeat * threads + thread)] = processor_seconds() - begin;
    }
  };
  std::vector<std::thread> others;
  for (int t = 1; t < threads; ++t) others.emplace_back(run, t);
  run(0);
  for (auto& other : others) other.join();
  double best = 1e30;
  for (auto at = seconds.begin(); at != seconds.end(); at += threads)
    best = std::min(best, *std::max_element(at, at + threads));
  return best;
}

/// Bytes a second that the threads read together.
double read_speed(int threads, const std::vector<uint8_t>& memory) {
  const int64_t piece = int64_t{8} << 20, pieces = static_cast<int64_t>(memory.size()) / piece;
  static volatile uint64_t used;
  const double seconds = fastest(threads, 60, [&](int thread, int repeat) {
    const uint8_t* from = memory.data() + (repeat * threads + thread) % pieces * piece;
    uint64_t sums[8] = {};
    for (int64_t i = 0; i < piece; i += 64) {
      __builtin_prefetch(from + i + 4096);
      uint64_t words[8];
      std::memcpy(words, from + i, 64);
      for (int l = 0; l < 8; ++l) sums[l] ^= words[l];
    }
    for (const uint64_t sum : sums) used = used ^ sum;
  });
  return static_cast<double>(piece * threads) / seconds;
}

struct Shape {
  int64_t out, in;
};

std::vector<float> numbers(int64_t count) {
  Rng rng(1);
  std::vector<float> all(static_cast<size_t>(count));
  for (float& x : all) x = static_cast<float>(rng.uniform(-1, 1));
  return all;
}

/// Sixteen rows of random weights, repeated: copies of a matrix as products read it.
std::vector<uint8_t> copies_of_weight(BlockType type, const Shape& shape) {
  const int64_t group = tile_rows * bytes_of(type, shape.in);
  const std::vector<float> weights = numbers(tile_rows * shape.in);
  std::vector<uint8_t> file(static_cast<size_t>(group)), tiles(file.size());
  pack(type, weights.data(), tile_rows * shape.in, file.data());
  arrange(type, file.data(), tile_rows, shape.in, 0, 1, tiles.data());
  const int64_t matrix = group * shape.out / tile_rows, copies = std::max<int64_t>(1, far_more_than_caches / matrix);
  std::vector<uint8_t> all;
  all.reserve(static_cast<size_t>(copies * matrix));
  while (static_cast<int64_t>(all.size()) < copies * matrix) all.insert(all.end(), tiles.begin(), tiles.end());
  return all;
}

/// Seconds of one product; every repeat takes another copy of the weight.
double product_seconds(BlockType type, const Shape& shape, const std::vector<uint8_t>& memory, int64_t rows,
                       Precision precision, const Setting& setting) {
  const std::vector<float> x = numbers(rows * shape.in);
  std::vector<float> y(static_cast<size_t>(rows * shape.out));
  const Activations rounded_x = rounded(type, x.data(), rows, shape.in, setting.path, precision);
  const int64_t bytes = shape.out * bytes_of(type, shape.in), copies = static_cast<int64_t>(memory.size()) / bytes;
  const int repeats =
      static_cast<int>(std::clamp<int64_t>((int64_t{1} << 34) / (rows * shape.out * shape.in), 20, 400));
  return fastest(setting.threads, repeats, [&](int thread, int repeat) {
    const Matrix weight{
        .type = type, .out = shape.out, .in = shape.in, .bytes = memory.data() + repeat % copies * bytes};
    const int64_t groups = weight.groups(), begin = groups * thread / setting.threads,
                  end = groups * (thread + 1) / setting.threads;
    multiply(weight, rounded_x, begin * tile_rows, std::min(end * tile_rows, shape.out), y.data());
  });
}

void measure(BlockType type, const Shape& shape, const Setting& setting) {
  const std::vector<uint8_t> memory = copies_of_weight(type, shape);
  const auto bytes = static_cast<double>(shape.out * bytes_of(type, shape.in));
  const double read = read_speed(setting.threads, memory);
  const auto speed = [&](int64_t rows) {
    return bytes / product_seconds(type, shape, memory, rows, Precision::sixteen_bits, setting);
  };
  const double one = speed(1), eight = speed(8);
  std::printf("%-5s %5lld x %-5lld %7.1f %8.1f %6.0f %% %7.1f", info(type).name.data(),
              static_cast<long long>(shape.out), static_cast<long long>(shape.in), read / 1e9, one / 1e9,
              100 * one / read, eight / 1e9);
  if (shape.out <= 16384) {
    const double operations = 2.0 * many * static_cast<double>(shape.out * shape.in);
    for (const Precision precision : {Precision::sixteen_bits, Precision::eight_bits})
      std::printf(" %8.0f", operations / product_seconds(type, shape, memory, many, precision, setting) / 1e9);
  }
  std::printf("\n");
  std::fflush(stdout);
}

}  // namespace

}  // namespace tessera::bench

int main(int count, char** arguments) {
  using namespace tessera;
  bench::Setting setting = {.threads = static_cast<int>(std::thread::hardware_concurrency()),
                            .path = nn::blocks::best_path()};
  std::vector<nn::blocks::BlockType> types;
  for (const std::string& word : std::vector<std::string>(arguments + 1, arguments + count)) {
    using nn::blocks::Path;
    const auto* type = nn::blocks::block_type_named(word);
    if (type != nullptr && nn::blocks::packs(type->type)) types.push_back(type->type);
    else if (word == "portable") setting.path = Path::portable;
    else if (word == "avx2" && runs(Path::avx2)) setting.path = Path::avx2;
    else if (word == "avx512" && runs(Path::avx512)) setting.path = Path::avx512;
    else if (const int threads = std::atoi(word.c_str()); threads > 0) setting.threads = threads;
    else {
      std::fprintf(stderr, "usage: tessera_block_bench [THREADS] [portable|avx2|avx512] [TYPE ...]; got %s\n",
                   word.c_str());
      return 2;
    }
  }
  using enum nn::blocks::BlockType;
  if (types.empty()) types = {q4_0, q4_1, q8_0, q4_k, q5_k, q6_k};
  const std::string head = std::to_string(bench::many) + " rows, GOP/s";
  std::printf("%d threads, %s; weights in GB/s\n", setting.threads,
              setting.path == nn::blocks::Path::avx512 ? "AVX-512"
              : setting.path == nn::blocks::Path::avx2 ? "AVX2"
                                                       : "portable");
  std::printf("%-19s %7s %8s %8s %7s  %s with 16 and 8 bits\n", "", "read", "1 row", "share", "8 rows", head.c_str());
  for (const auto type : types) {
    for (const bench::Shape& shape : {bench::Shape{768, 768}, {1536, 768}, {768, 1536}, {49152, 768}, {8960, 1536}})
      bench::measure(type, shape, setting);
  }
  return 0;
}
