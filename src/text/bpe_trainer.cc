// Counting words and merging pairs; bpe_trainer_save.cc writes the files. Pair counts are kept up to date word by
// word, so a merge costs what it changes.
#include "text/bpe_trainer.h"

#include <algorithm>
#include <queue>

#include "core/error.h"
#include "text/byte_alphabet.h"
#include "text/unicode.h"

namespace tessera::text {

namespace {
constexpr size_t bytes_in_all = 256;

uint64_t pair_of(int32_t left, int32_t right) {
  return static_cast<uint64_t>(static_cast<uint32_t>(left)) << 32 | static_cast<uint32_t>(right);
}
int32_t left_of(uint64_t pair) { return static_cast<int32_t>(pair >> 32); }
int32_t right_of(uint64_t pair) { return static_cast<int32_t>(pair & 0xFFFFFFFF); }

struct Word {
  std::vector<int32_t> symbols;
  int64_t count = 0;
};

/// The words with the merges so far, how often each pair occurs in them, and in which words it may occur.
class Merger {
 public:
  Merger(std::vector<Word> words, int64_t least) : words_(std::move(words)), least_(least) {
    for (size_t w = 0; w < words_.size(); ++w) {
      const auto& symbols = words_[w].symbols;
      for (size_t i = 0; i + 1 < symbols.size(); ++i) change(pair_of(symbols[i], symbols[i + 1]), w, words_[w].count);
    }
    for (const auto& [pair, unused] : pairs_) touch(pair);
  }

  /// The most frequent pair (of equals the one with the lowest ids); false when none is frequent enough.
  bool best(uint64_t& pair) {
    while (!queue_.empty()) {
      const Candidate top = queue_.top();
      queue_.pop();
      const auto found = pairs_.find(top.pair);
      if (found == pairs_.end() || found->second.count != top.count) continue;  // a newer entry has the current count
      pair = top.pair;
      return true;
    }
    return false;
  }

  void forbid(uint64_t pair) { pairs_.erase(pair); }

  void merge(uint64_t pair, int32_t merged) {
    std::vector<uint32_t> affected = std::move(pairs_[pair].words);
    std::sort(affected.begin(), affected.end());
    affected.erase(std::unique(affected.begin(), affected.end()), affected.end());
    changed_.clear();
    for (const uint32_t w : affected) merge_in(w, left_of(pair), right_of(pair), merged);
    pairs_.erase(pair);
    std::sort(changed_.begin(), changed_.end());
    changed_.erase(std::unique(changed_.begin(), changed_.end()), changed_.end());
    for (const uint64_t p : changed_) touch(p);
  }

 private:
  struct Pair {
    int64_t count = 0;
    std::vector<uint32_t> words;  // with repetitions, and some that have lost the pair
  };
  struct Candidate {
    int64_t count;
    uint64_t pair;
    bool operator<(const Candidate& other) const {
      return count != other.count ? count < other.count : pair > other.pair;
    }
  };

  void change(uint64_t pair, size_t word, int64_t by) {
    Pair& entry = pairs_[pair];
    entry.count += by;
    if (by > 0 && (entry.words.empty() || entry.words.back() != word))
      entry.words.push_back(static_cast<uint32_t>(word));
  }

  void touch(uint64_t pair) {
    const auto found = pairs_.find(pair);
    if (found == pairs_.end()) return;
    if (found->second.count >= least_) queue_.push({found->second.count, pair});
    else if (found->second.count == 0) pairs_.erase(found);
  }

  void merge_in(uint32_t w, int32_t left, int32_t right, int32_t merged) {
    auto& symbols = words_[w].symbols;
    const int64_t count = words_[w].count;
    const auto count_pairs = [&](int64_t by) {
      for (size_t i = 0; i + 1 < symbols.size(); ++i) {
        const uint64_t pair = pair_of(symbols[i], symbols[i + 1]);
        change(pair, w, by);
        changed_.push_back(pair);
      }
    };
    const auto holds = [&] {
      for (size_t i = 0; i + 1 < symbols.size(); ++i) {
        if (symbols[i] == left && symbols[i + 1] == right) return true;
      }
      return false;
    };
    if (!holds()) return;
    count_pairs(-count);
    size_t out = 0;
    for (size_t i = 0; i < symbols.size(); ++i) {
      const bool here = i + 1 < symbols.size() && symbols[i] == left && symbols[i + 1] == right;
      symbols[out++] = here ? merged : symbols[i];
      i += here;
    }
    symbols.resize(out);
    count_pairs(count);
  }

  std::vector<Word> words_;
  int64_t least_;
  std::unordered_map<uint64_t, Pair> pairs_;
  std::priority_queue<Candidate> queue_;
  std::vector<uint64_t> changed_;
};
}  // namespace

BpeTrainer::BpeTrainer(BpeTrainerOptions options) : options_(std::move(options)) {
  const auto& special = options_.special;
  const auto least = static_cast<int64_t>(special.size() + bytes_in_all);
  if (options_.vocabulary < least || options_.vocabulary > (int64_t{1} << 24))
    throw UserError("[text] vocabulary is {}, want from {} (256 bytes and the special tokens) to {}",
                    options_.vocabulary, least, int64_t{1} << 24);
  for (const std::string& name : special) {
    if (name.empty() || to_utf8(name) != name || std::count(special.begin(), special.end(), name) > 1)
      throw UserError("[text] special token {} is empty, no UTF-8 or given twice", shown(LooseJson(name)));
    if (from_alphabet(name).value_or("").size() == 1)
      throw UserError("[text] special token {} is also the name of a byte; give one of at least two characters", name);
  }
  for (const std::string& name : {options_.begin, options_.end, options_.pad}) {
    if (!name.empty() && std::find(special.begin(), special.end(), name) == special.end())
      throw UserError("[text] begin, end or pad token {} is not among the special tokens", shown(LooseJson(name)));
  }
  pre_tokenizers_ = read_pre_tokenizer(pipeline(), true, "the trainer's own pipeline");
}

LooseJson BpeTrainer::pipeline() const {
  // Qwen2's words: letters with the sign or blank before them, digits one by one, runs of signs, blanks by lines
  constexpr const char* pattern =
      R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|)"
      R"(\s*[\r\n]+|\s+(?!\S)|\s+)";
  return {{"type", "Sequence"},
          {"pretokenizers",
           {{{"type", "Split"}, {"pattern", {{"Regex", pattern}}}, {"behavior", "Isolated"}, {"invert", false}},
            {{"type", "ByteLevel"}, {"add_prefix_space", false}, {"trim_offsets", false}, {"use_regex", false}}}}};
}

void BpeTrainer::add(std::string_view bytes) {
  const std::string text = nfc(to_utf8(bytes));
  Words words;
  words.views.push_back(text);
  for (const auto& step : pre_tokenizers_) step->split(words);
  for (const std::string_view word : words.views) ++counts_[std::string(word)];
  bytes_ += static_cast<int64_t>(bytes.size());
}

BpeVocabulary BpeTrainer::train() const {
  BpeVocabulary found;
  found.tokens = options_.special;
  const auto first_byte = static_cast<int32_t>(found.tokens.size());
  for (size_t b = 0; b < bytes_in_all; ++b) found.tokens.push_back(std::string(1, static_cast<char>(b)));
  std::unordered_map<std::string, int32_t> ids;
  for (size_t b = 0; b < bytes_in_all; ++b) ids[found.tokens[first_byte + b]] = first_byte + static_cast<int32_t>(b);

  std::vector<Word> words;
  for (const auto& [text, count] : counts_) {
    if (text.size() < 2) continue;
    Word& word = words.emplace_back();
    for (const char c : text) word.symbols.push_back(first_byte + static_cast<unsigned char>(c));
    word.count = count;
  }
  Merger merger(std::move(words), std::max<int64_t>(options_.least, 1));
  uint64_t pair = 0;
  while (static_cast<int64_t>(found.tokens.size()) < options_.vocabulary && merger.best(pair)) {
    const std::string token = found.tokens[left_of(pair)] + found.tokens[right_of(pair)];
    const auto& special = options_.special;
    if (std::find(special.begin(), special.end(), to_alphabet(token)) != special.end()) {
      merger.forbid(pair);  // what is typed must not become a control token
      continue;
    }
    // two ways to one token share its id, as the file knows tokens by their text
    const auto [known, is_new] = ids.try_emplace(token, static_cast<int32_t>(found.tokens.size()));
    if (is_new) found.tokens.push_back(token);
    found.merges.emplace_back(left_of(pair), right_of(pair));
    merger.merge(pair, known->second);
  }
  return found;
}

}  // namespace tessera::text
