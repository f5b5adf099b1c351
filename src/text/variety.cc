// Types are counted with a set; a window keeps the count of what is inside it.
#include "text/variety.h"

#include <set>
#include <unordered_map>
#include <unordered_set>
#include <vector>

namespace tessera::text {

double type_token_ratio(std::span<const int32_t> tokens) {
  const std::unordered_set<int32_t> types(tokens.begin(), tokens.end());
  return tokens.empty() ? 0 : static_cast<double>(types.size()) / static_cast<double>(tokens.size());
}

double moving_type_token_ratio(std::span<const int32_t> tokens, int64_t window) {
  const auto width = static_cast<size_t>(window);
  if (tokens.size() <= width) return type_token_ratio(tokens);
  std::unordered_map<int32_t, int64_t> inside;
  double sum = 0;
  for (size_t i = 0; i < tokens.size(); ++i) {
    ++inside[tokens[i]];
    if (i >= width && --inside[tokens[i - width]] == 0) inside.erase(tokens[i - width]);
    if (i + 1 >= width) sum += static_cast<double>(inside.size());
  }
  return sum / static_cast<double>(width) / static_cast<double>(tokens.size() - width + 1);
}

double repeated_share(std::span<const int32_t> tokens, size_t n) {
  if (tokens.size() < n) return 0;
  std::set<std::vector<int32_t>> grams;
  for (size_t i = 0; i + n <= tokens.size(); ++i) grams.emplace(tokens.begin() + i, tokens.begin() + i + n);
  return 1 - static_cast<double>(grams.size()) / static_cast<double>(tokens.size() - n + 1);
}

}  // namespace tessera::text
