// See mutate.h.
#include "tests/fuzz/mutate.h"

namespace tessera::testing {

namespace {
void change(std::string& text, const std::vector<std::string>& corpus, const std::vector<std::string>& words,
            Rng& rng) {
  const size_t at = rng.below(text.size() + 1);
  const size_t length = rng.below(rng.chance(0.5) ? 4 : text.size() + 1);
  const std::string& other = corpus[rng.below(corpus.size())];
  switch (rng.below(7)) {
    case 0:
      if (at < text.size()) text[at] ^= static_cast<char>(1 << rng.below(8));
      break;
    case 1:
      if (at < text.size()) text[at] = static_cast<char>(rng.below(256));
      break;
    case 2:
      text.erase(at, length);
      break;
    case 3:
      text.insert(at, text.substr(at, length));
      break;
    case 4:
      text = text.substr(0, at) + other.substr(rng.below(other.size() + 1));
      break;
    case 5:
      text.insert(at, words[rng.below(words.size())]);
      break;
    default: {
      const std::string& word = words[rng.below(words.size())];
      text.replace(at, std::min(word.size(), text.size() - at), word);
    }
  }
}
}  // namespace

std::string mutate(const std::vector<std::string>& corpus, const std::vector<std::string>& words, Rng& rng) {
  std::string text = corpus[rng.below(corpus.size())];
  for (uint64_t changes = 1 + rng.below(4); changes > 0; --changes) change(text, corpus, words, rng);
  return text;
}

}  // namespace tessera::testing
