// Numbers from a file, and the samples that they name.
#include "data/selected.h"

#include <charconv>

#include "core/error.h"
#include "core/rng.h"
#include "data/permutation.h"

namespace tessera::data {

std::vector<uint64_t> parse_sample_numbers(std::string_view text, std::string_view source) {
  std::vector<uint64_t> numbers;
  int64_t line = 0;
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = std::min(text.find('\n', begin), text.size());
    std::string_view word = text.substr(begin, end - begin);
    ++line;
    begin = end + 1;
    if (word.ends_with('\r')) word.remove_suffix(1);
    if (word.empty()) continue;
    uint64_t number = 0;
    const auto [stop, fault] = std::from_chars(word.data(), word.data() + word.size(), number);
    if (fault != std::errc() || stop != word.data() + word.size())
      throw UserError("[data] {} line {}: want the number of a sample", source, line);
    numbers.push_back(number);
  }
  if (numbers.empty()) throw UserError("[data] {} lists no samples", source);
  return numbers;
}

Selected::Selected(std::unique_ptr<SampleSource> all, const Path& file)
    : all_(std::move(all)), numbers_(parse_sample_numbers(read_file(file), file.string())) {}

Sample Selected::at(uint64_t index) const {
  const uint64_t size = numbers_.size(), pass = index / size;
  return all_->at(numbers_[permuted(index % size, size, mix64(pass))]);
}

Subset::Subset(std::unique_ptr<SampleSource> all, int64_t samples, uint64_t seed)
    : all_(std::move(all)), samples_(static_cast<uint64_t>(samples)), seed_(mix64(seed)) {
  samples_ = std::min(samples_, all_->pass_length().value_or(samples_));
}

Sample Subset::at(uint64_t index) const {
  const uint64_t pass = index / samples_, place = permuted(index % samples_, samples_, seed_ + pass);
  return all_->at(permuted(place, all_->pass_length().value_or(samples_), seed_));
}

std::string Selected::edition() const {
  uint64_t hash = 0;
  for (const uint64_t number : numbers_) hash = mix64(hash ^ number);
  return fmt::format("{}, {} of its samples ({:016x})", all_->edition(), numbers_.size(), hash);
}

}  // namespace tessera::data
