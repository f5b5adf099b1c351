// Files to tokens, tokens to windows. A window is a pure function of (seed, index).
#include "data/text_folder.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <set>

#include "core/counted.h"
#include "core/error.h"
#include "core/log.h"
#include "core/progress.h"
#include "core/rng.h"
#include "core/text_file.h"
#include "data/permutation.h"
#include "data/text_files.h"
#include "text/tokenizer.h"

namespace tessera::data {

namespace {
constexpr const char* edition_of_format = "tokens 1";

Path cache_folder(const std::string& wanted) {
  if (!wanted.empty()) return wanted;
  if (const char* xdg = std::getenv("XDG_CACHE_HOME"); xdg != nullptr && *xdg != '\0') return Path(xdg) / "tessera";
  if (const char* home = std::getenv("HOME"); home != nullptr && *home != '\0') return Path(home) / ".cache/tessera";
  return std::filesystem::temp_directory_path() / "tessera-cache";
}

uint64_t tokenizer_digest(const Path& directory) {
  uint64_t digest = 0;
  for (const char* name : {"tokenizer.json", "tokenizer.model", "spiece.model", "tokenizer_config.json",
                           "added_tokens.json", "special_tokens_map.json"}) {
    if (std::filesystem::is_regular_file(directory / name))
      digest = mix64(digest ^ hash_text(name) ^ hash_text(read_file(directory / name)));
  }
  return digest;
}

void check(const TextFolderOptions& o) {
  if (o.path.empty()) throw UserError("[text] data.text.path is missing; give the folder of your .txt files");
  if (o.tokenizer.empty())
    throw UserError(
        "[text] data.text.tokenizer is missing; give a tokenizer directory (tessera data tokenizer makes one)");
  if (!std::filesystem::exists(o.tokenizer)) {
    throw UserError(
        "[text] data.text.tokenizer is {}, which is not there; `tessera data tokenizer --text {} --out {}` trains one",
        o.tokenizer, o.path, o.tokenizer);
  }
  if (o.length < 1 || o.length > 1'000'000) throw UserError("[text] length is {}, want 1 to 1000000", o.length);
  if (!(o.heldout_share >= 0 && o.heldout_share < 1))
    throw UserError("[text] heldout_share is {}, want a number from 0 to below 1", o.heldout_share);
  if (o.samples < 0 || o.max_tokens < 0) throw UserError("[text] samples and max_tokens want 0 or more");
}
}  // namespace

TextFolder::TextFolder(TextFolderOptions options) : options_(std::move(options)), tokens_({}, {}) {
  check(options_);
  const std::vector<TextFile> files = find_text_files(options_.path);
  std::vector<uint64_t> digests;  // of each file's words: a copy with other line ends is a copy
  for (const TextFile& file : files) {
    const MappedFile bytes(file.path);
    digests.push_back(hash_text(decode_text(bytes.bytes(), file.path.string(), "text").words));
  }
  tokens_ = tokenised(files, digests);
  divide(files, digests);
  log_info("[text] {}, {} tokens train and {} are held out", counted(std::ssize(files), "file"), training_tokens(),
           heldout_tokens());
}

TokenArray TextFolder::tokenised(const std::vector<TextFile>& files, const std::vector<uint64_t>& digests) {
  const auto tokenizer = text::load_tokenizer(options_.tokenizer);
  const auto end = tokenizer->end_token();
  if (!end) {
    throw UserError(
        "[text] the tokenizer in {} has no end token, which stands between documents; name one as "
        "\"eos_token\" in its tokenizer_config.json",
        options_.tokenizer);
  }
  if (const std::vector<int32_t> nothing = tokenizer->encode(""); !nothing.empty() && nothing.front() != *end)
    begin_ = nothing.front();
  uint64_t digest = mix64(hash_text(edition_of_format) ^ tokenizer_digest(options_.tokenizer));
  for (size_t i = 0; i < files.size(); ++i) digest = mix64(mix64(digest ^ hash_text(files[i].name)) ^ digests[i]);
  key_ = fmt::format("{:016x}", digest);

  const Path kept = cache_folder(options_.cache) / ("tokens-" + key_ + ".safetensors");
  const bool may_keep = options_.cache != "off";
  if (may_keep) {
    if (auto known = TokenArray::open(kept, key_)) return std::move(*known);
  }
  std::vector<int32_t> tokens;
  std::vector<int64_t> ends;
  Progress progress("tokenise", std::ssize(files), "files");
  for (const TextFile& file : files) {
    const std::string words = read_text(file.path, "text");
    const std::vector<int32_t> ids = tokenizer->encode(words, {.add_special = false, .parse_special = false});
    tokens.insert(tokens.end(), ids.begin(), ids.end());
    tokens.push_back(*end);
    ends.push_back(std::ssize(tokens));
    progress.update(std::ssize(ends));
  }
  progress.finish();
  TokenArray array(std::move(tokens), std::move(ends));
  if (may_keep) {
    try {
      array.save(kept, key_);
    } catch (const Error& error) {
      log_warning("[text] the tokens cannot be kept for the next run: {}", error.what());
    }
  }
  return array;
}

/// Files that are held out by name, and copies of them under other names.
std::vector<bool> TextFolder::chosen_files(const std::vector<TextFile>& files,
                                           const std::vector<uint64_t>& digests) const {
  std::vector<bool> chosen(files.size());
  std::vector<std::string> names;
  for (const TextFile& file : files) names.push_back(file.name);
  for (const std::string& pattern : options_.heldout) {
    bool found = false;
    for (size_t i = 0; i < files.size(); ++i) {
      const std::string stem = Path(files[i].name).replace_extension().generic_string();
      const std::string name = Path(files[i].name).filename().string();
      if (!matches(files[i].name, pattern) && !matches(stem, pattern) && !matches(name, pattern)) continue;
      chosen[i] = found = true;
    }
    if (!found)
      throw UserError(
          "[text] data.text.heldout names '{}', which is no file in {}; the nearest is '{}'. An empty list, "
          "data.text.heldout=[], "
          "holds out the end of every file instead (data.text.heldout_share, here {})",
          pattern, options_.path, nearest_word(pattern, names), options_.heldout_share);
  }
  std::set<uint64_t> held;
  for (size_t i = 0; i < files.size(); ++i) {
    if (chosen[i]) held.insert(digests[i]);
  }
  for (size_t i = 0; i < files.size(); ++i) chosen[i] = held.contains(digests[i]);
  return chosen;
}

void TextFolder::divide(const std::vector<TextFile>& files, const std::vector<uint64_t>& digests) {
  const std::vector<bool> whole = chosen_files(files, digests);
  int64_t begin = 0;
  for (size_t i = 0; i < files.size(); ++i) {
    const int64_t end = tokens_.ends()[i];
    const auto last = static_cast<int64_t>(std::ceil(static_cast<double>(end - begin) * options_.heldout_share));
    const int64_t cut = whole[i] ? begin : end - last;
    if (cut > begin) {
      training_.push_back({begin, cut, stream_});
      stream_ += cut - begin;
    }
    if (end - cut > 1) heldout_.push_back({cut, end, 0, whole[i] ? "texts" : "ends"});
    begin = end;
  }
  if (stream_ <= options_.length) {
    throw UserError("[text] {} holds {} tokens to train on, want more than the length of a window, {}", options_.path,
                    stream_, options_.length);
  }
  all_ = windows_ = static_cast<uint64_t>(stream_ / options_.length);
  if (options_.samples > 0) windows_ = std::min<uint64_t>(windows_, static_cast<uint64_t>(options_.samples));
  if (options_.max_tokens > 0) {
    const auto windows = std::max<int64_t>(1, options_.max_tokens / options_.length);
    windows_ = std::min<uint64_t>(windows_, static_cast<uint64_t>(windows));
  }
}

int64_t TextFolder::heldout_tokens() const {
  int64_t total = 0;
  for (const Span& span : heldout_) total += span.end - span.begin;
  return total;
}

/// The stream of training spans is a ring: a pass begins anywhere on it, so every token is as likely to begin a window.
std::vector<int32_t> TextFolder::window(uint64_t begin) const {
  const auto count = static_cast<size_t>(options_.length + !begin_);
  int64_t place = static_cast<int64_t>(begin % static_cast<uint64_t>(stream_));
  auto span = std::prev(std::ranges::upper_bound(training_, place, {}, &Span::first));
  std::vector<int32_t> ids;
  ids.reserve(count);
  for (int64_t at = span->begin + place - span->first; ids.size() < count;) {
    const int64_t take = std::min<int64_t>(span->end - at, static_cast<int64_t>(count - ids.size()));
    const auto from = tokens_.tokens().subspan(static_cast<size_t>(at), static_cast<size_t>(take));
    ids.insert(ids.end(), from.begin(), from.end());
    if (++span == training_.end()) span = training_.begin();
    at = span->begin;
  }
  return ids;
}

/// A window's tokens after the begin token, where there is one.
std::vector<int32_t> TextFolder::begun(std::span<const int32_t> tokens) const {
  std::vector<int32_t> ids;
  if (begin_) ids.push_back(*begin_);
  ids.insert(ids.end(), tokens.begin(), tokens.end());
  return ids;
}

Sample TextFolder::at(uint64_t index) const {
  const uint64_t seed = mix64(static_cast<uint64_t>(options_.seed));
  const uint64_t pass = index / windows_;
  const uint64_t order = options_.order == 0 ? seed : mix64(seed ^ mix64(static_cast<uint64_t>(options_.order)));
  uint64_t place = permuted(index % windows_, windows_, order + pass), phase_of = pass;
  if (windows_ < all_) {  // the same subset in every pass
    place = permuted(place, all_, mix64(seed));
    phase_of = 0;
  }
  const uint64_t phase = Rng(seed, phase_of).below(static_cast<uint64_t>(stream_));
  return {.tokens = begun(window(phase + place * static_cast<uint64_t>(options_.length)))};
}

std::string TextFolder::edition() const {
  return fmt::format("text {}, {} tokens of {} files", key_, tokens_.tokens().size(), tokens_.ends().size());
}

std::vector<Sample> TextFolder::heldout(uint64_t most) const {
  std::vector<std::pair<const Span*, int64_t>> windows;
  for (const Span& span : heldout_) {
    for (int64_t at = span.begin; at + !begin_ < span.end; at += options_.length) windows.emplace_back(&span, at);
  }
  const uint64_t count = std::min<uint64_t>(most, windows.size());
  std::vector<Sample> samples;
  for (uint64_t i = 0; i < count; ++i) {
    const auto& [span, at] = windows[i * windows.size() / count];
    const int64_t take = std::min(options_.length + !begin_, span->end - at);
    const auto from = tokens_.tokens().subspan(static_cast<size_t>(at), static_cast<size_t>(take));
    samples.push_back({.tokens = begun(from), .part = span->part});
  }
  return samples;
}

}  // namespace tessera::data
