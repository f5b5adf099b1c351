// Sorted once, searched by bisection. An index file is a safetensors file of tokens, passage ends and the suffix array.
#include "data/citation_index.h"

#include <algorithm>
#include <limits>
#include <numeric>

#include "core/error.h"
#include "core/rng.h"
#include "data/numbers_file.h"

namespace tessera::data {

namespace {
using Run = std::span<const int32_t>;

/// Of two runs, how many tokens at their beginnings agree.
int64_t common(Run a, Run b) {
  const auto [stop, unused] = std::ranges::mismatch(a, b);
  return stop - a.begin();
}

bool before(Run a, Run b) { return std::ranges::lexicographical_compare(a, b); }

/// The passage's beginning, cut to the length of `run`: equal to it exactly when the run is there.
Run cut(Run passage, Run run) { return passage.first(std::min(passage.size(), run.size())); }
}  // namespace

CitationIndex CitationIndex::of(std::vector<int32_t> tokens, std::vector<int64_t> ends) {
  if (tokens.empty()) throw UserError("[citations] the corpus is empty");
  if (std::ssize(tokens) > std::numeric_limits<int32_t>::max())
    throw UserError("[citations] {} tokens, want at most {}", tokens.size(), std::numeric_limits<int32_t>::max());
  CitationIndex index;
  index.own_tokens_ = std::move(tokens);
  index.own_ends_ = std::move(ends);
  index.tokens_ = index.own_tokens_;
  index.ends_ = index.own_ends_;
  index.sort();
  return index;
}

CitationIndex CitationIndex::of_samples(const SampleSource& source) {
  std::vector<int32_t> tokens;
  std::vector<int64_t> ends;
  for (uint64_t i = 0; i < source.pass_length().value(); ++i) {
    const Sample sample = source.at(i);
    tokens.insert(tokens.end(), sample.tokens.begin(), sample.tokens.end());
    ends.push_back(std::ssize(tokens));
  }
  return of(std::move(tokens), std::move(ends));
}

Run CitationIndex::passage_from(int64_t at) const {
  const int64_t end = *std::ranges::upper_bound(ends_, at);
  return tokens_.subspan(static_cast<size_t>(at), static_cast<size_t>(std::min(longest, end - at)));
}

Run CitationIndex::passage(int64_t p) const {
  const auto place = static_cast<size_t>(p);
  const auto begin = place == 0 ? 0 : static_cast<size_t>(ends_[place - 1]);
  return tokens_.subspan(begin, static_cast<size_t>(ends_[place]) - begin);
}

void CitationIndex::sort() {
  std::vector<Run> runs(tokens_.size());  // each position's passage, looked up once
  for (size_t p = 0, at = 0; p < ends_.size(); ++p) {
    for (const auto end = static_cast<size_t>(ends_[p]); at < end; ++at)
      runs[at] = tokens_.subspan(at, std::min(static_cast<size_t>(longest), end - at));
  }
  own_suffixes_.resize(tokens_.size());
  std::iota(own_suffixes_.begin(), own_suffixes_.end(), 0);
  std::ranges::stable_sort(own_suffixes_, before, [&](int32_t at) { return runs[static_cast<size_t>(at)]; });
  suffixes_ = own_suffixes_;
}

std::vector<int32_t> CitationIndex::continuations(Run run) const {
  std::vector<int32_t> next;
  if (run.empty() || std::ssize(run) >= longest) return next;
  const auto [first, last] =
      std::ranges::equal_range(suffixes_, run, before, [&](int32_t at) { return cut(passage_from(at), run); });
  for (const int32_t at : std::span(first, last)) {
    const Run passage = passage_from(at);
    if (passage.size() > run.size() && (next.empty() || next.back() != passage[run.size()]))
      next.push_back(passage[run.size()]);  // sorted by what follows, so equal ids are neighbours
  }
  return next;
}

CitationIndex::Occurrences CitationIndex::occurrences(Run run, size_t most) const {
  Occurrences found;
  if (run.empty() || std::ssize(run) > longest) return found;
  const auto [first, last] =
      std::ranges::equal_range(suffixes_, run, before, [&](int32_t at) { return cut(passage_from(at), run); });
  found.count = last - first;
  for (const int32_t at : std::span(first, last).first(std::min(most, static_cast<size_t>(found.count)))) {
    const auto passage = std::ranges::upper_bound(ends_, at) - ends_.begin();
    found.first.push_back({passage, at - (passage == 0 ? 0 : ends_[static_cast<size_t>(passage) - 1])});
  }
  std::ranges::sort(found.first, {}, [](const Occurrence& one) { return std::pair(one.passage, one.at); });
  return found;
}

int64_t CitationIndex::match(Run text) const {
  text = text.first(std::min(text.size(), static_cast<size_t>(longest)));
  const auto place = std::ranges::lower_bound(suffixes_, text, before, [&](int32_t at) { return passage_from(at); });
  int64_t most = 0;  // the longest agreement is with a neighbour of the text's position in the order
  if (place != suffixes_.end()) most = common(text, passage_from(*place));
  if (place != suffixes_.begin()) most = std::max(most, common(text, passage_from(*(place - 1))));
  return most;
}

int64_t CitationIndex::longest_match(Run text) const {
  int64_t most = 0;
  for (size_t at = 0; at < text.size(); ++at) most = std::max(most, match(text.subspan(at)));
  return most;
}

bool CitationIndex::sound() const {
  int64_t last = 0;
  for (const int64_t end : ends_) {
    if (end < last) return false;
    last = end;
  }
  const auto inside = [&](int32_t at) { return at >= 0 && at < std::ssize(tokens_); };
  return last == std::ssize(tokens_) && !tokens_.empty() && suffixes_.size() == tokens_.size() &&
         std::ranges::all_of(suffixes_, inside);
}

std::string CitationIndex::digest() const {
  const uint64_t all =
      quick_hash(bytes_of(tokens_)) + 3 * quick_hash(bytes_of(ends_)) + 5 * quick_hash(bytes_of(suffixes_));
  return fmt::format("{:016x}", mix64(all));
}

void CitationIndex::require(const SafetensorsFile& file) {
  if (value_of(file, "citations") != "1")
    throw UserError("[citations] {} is no index of citations; `tessera data citations` makes one",
                    file.path().string());
}

CitationIndex CitationIndex::open(const Path& file, const std::string& key) {
  CitationIndex index;
  index.file_ = std::make_unique<SafetensorsFile>(file);
  require(*index.file_);
  index.tokens_ = numbers_in<int32_t>(*index.file_, "tokens", Dtype::i32);
  index.suffixes_ = numbers_in<int32_t>(*index.file_, "suffixes", Dtype::i32);
  index.ends_ = numbers_in<int64_t>(*index.file_, "ends", Dtype::i64);
  if (!index.sound() || value_of(*index.file_, "digest") != index.digest())
    throw UserError("[citations] {} is damaged; make it again", file.string());
  if (const std::string made = value_of(*index.file_, "tokenizer"); made != key)
    throw UserError("[citations] {} was made with another tokenizer ({}) than the model's ({})", file.string(), made,
                    key);
  return index;
}

void CitationIndex::save(const Path& file, const std::string& key, FileSystem& files) const {
  SafetensorsWriter writer;
  writer.add("ends", Dtype::i64, {std::ssize(ends_)}, bytes_of(ends_));
  writer.add("tokens", Dtype::i32, {std::ssize(tokens_)}, bytes_of(tokens_));
  writer.add("suffixes", Dtype::i32, {std::ssize(suffixes_)}, bytes_of(suffixes_));
  writer.set_metadata({{"citations", "1"}, {"tokenizer", key}, {"digest", digest()}});
  write_file_atomically(
      file, [&](WritableFile& out) { writer.write(out); }, files);
}

}  // namespace tessera::data
