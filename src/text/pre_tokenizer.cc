// See pre_tokenizer.h. Each step does what the reference tokenizers' step of that name does.
#include "text/pre_tokenizer.h"

#include <algorithm>
#include <optional>

#include "core/error.h"
#include "text/loose_json.h"
#include "text/regex.h"
#include "text/unicode.h"

namespace tessera::text {

namespace {
constexpr const char* supported = "Split, Digits, ByteLevel (last), and Sequence of these";
constexpr const char* gpt2_pattern = R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";

/// A stretch of a word, and whether it is a delimiter.
struct Stretch {
  Range range;
  bool delimiter = false;
};

/// `matches` and the stretches between them; `invert` makes those the delimiters.
std::vector<Stretch> stretches(const std::vector<Range>& matches, size_t size, bool invert) {
  std::vector<Stretch> all;
  size_t at = 0;
  for (const Range& match : matches) {
    if (at < match.begin) all.push_back({{at, match.begin}, invert});
    all.push_back({match, !invert});
    at = match.end;
  }
  if (at < size) all.push_back({{at, size}, invert});
  return all;
}

enum class Behavior { removed, isolated, merged_with_previous, merged_with_next, contiguous };

/// Applies the behaviour for delimiters (removed, isolated, merged).
std::vector<Range> pieces_of(std::vector<Stretch> all, Behavior behavior) {
  const bool backwards = behavior == Behavior::merged_with_next;
  if (backwards) std::reverse(all.begin(), all.end());
  std::vector<Range> pieces;
  bool last_was_delimiter = false;
  for (const Stretch& s : all) {
    const bool first = pieces.empty();
    if (behavior == Behavior::removed) {
      if (!s.delimiter) pieces.push_back(s.range);
    } else if (!first && ((behavior == Behavior::contiguous && s.delimiter == last_was_delimiter) ||
                          (behavior == Behavior::merged_with_previous && s.delimiter && !last_was_delimiter))) {
      pieces.back().end = s.range.end;
    } else if (!first && backwards && s.delimiter && !last_was_delimiter) {
      pieces.back().begin = s.range.begin;
    } else {
      pieces.push_back(s.range);
    }
    last_was_delimiter = s.delimiter;
  }
  if (backwards) std::reverse(pieces.begin(), pieces.end());
  return pieces;
}

/// Cuts every word by `cut`, a function from a word to its pieces.
template <class Cut> void cut_words(Words& words, Cut cut) {
  std::vector<std::string_view> views;
  for (const std::string_view word : words.views) {
    for (const Range& piece : cut(word)) views.push_back(word.substr(piece.begin, piece.end - piece.begin));
  }
  words.views = std::move(views);
}

class Split final : public PreTokenizer {
 public:
  Split(const LooseJson& tree, const std::string& source) : invert_(flag(tree, "invert", false, source)) {
    const LooseJson& pattern = member(tree, "pattern");
    if (member(pattern, "String").is_string()) literal_ = pattern["String"].get<std::string>();
    else if (member(pattern, "Regex").is_string()) regex_.emplace(pattern["Regex"].get<std::string>(), source);
    else throw UserError("[text] {}: pattern of Split is {}, want a String or a Regex", source, shown(pattern));
    static const std::vector<std::pair<std::string, Behavior>> names = {
        {"Removed", Behavior::removed},
        {"Isolated", Behavior::isolated},
        {"MergedWithPrevious", Behavior::merged_with_previous},
        {"MergedWithNext", Behavior::merged_with_next},
        {"Contiguous", Behavior::contiguous}};
    const std::string name = words(tree, "behavior", "", source);
    const auto found = std::find_if(names.begin(), names.end(), [&](const auto& n) { return n.first == name; });
    if (found == names.end())
      throw UserError(
          "[text] {}: behavior of Split is {}, want Removed, Isolated, MergedWithPrevious, MergedWithNext or "
          "Contiguous",
          source, shown(member(tree, "behavior")));
    behavior_ = found->second;
  }

  void split(Words& words) const override {
    cut_words(words, [&](std::string_view word) {
      return pieces_of(stretches(regex_ ? regex_->matches(word) : literals(word), word.size(), invert_), behavior_);
    });
  }

 private:
  std::vector<Range> literals(std::string_view word) const {
    std::vector<Range> found;
    if (literal_.empty()) return found;
    for (size_t at = word.find(literal_); at != std::string_view::npos; at = word.find(literal_, at)) {
      found.push_back({at, at + literal_.size()});
      at += literal_.size();
    }
    return found;
  }

  std::optional<Regex> regex_;
  std::string literal_;
  Behavior behavior_ = Behavior::isolated;
  bool invert_;
};

class Digits final : public PreTokenizer {
 public:
  Digits(const LooseJson& tree, const std::string& source)
      : behavior_(flag(tree, "individual_digits", false, source) ? Behavior::isolated : Behavior::contiguous) {}

  void split(Words& words) const override {
    cut_words(words, [&](std::string_view word) {
      std::vector<Range> digits;
      for (size_t at = 0; at < word.size();) {
        const Character c = character_at(word, at);
        if (is_numeric(c.code)) digits.push_back({at, at + c.length});
        at += c.length;
      }
      return pieces_of(stretches(digits, word.size(), false), behavior_);
    });
  }

 private:
  Behavior behavior_;
};

/// The prefix space and GPT-2's pattern; the bytes themselves are the model's matter.
class ByteLevel final : public PreTokenizer {
 public:
  ByteLevel(const LooseJson& tree, const std::string& source)
      : add_prefix_space_(flag(tree, "add_prefix_space", true, source)) {
    if (flag(tree, "use_regex", true, source)) regex_.emplace(gpt2_pattern, source);
  }

  void split(Words& words) const override {
    if (add_prefix_space_) {
      for (std::string_view& word : words.views) {
        if (!word.starts_with(' ')) word = words.made.emplace_back(std::string(1, ' ').append(word));
      }
    }
    if (!regex_) return;
    cut_words(words, [&](std::string_view word) {
      return pieces_of(stretches(regex_->matches(word), word.size(), false), Behavior::isolated);
    });
  }

 private:
  bool add_prefix_space_;
  std::optional<Regex> regex_;
};

void read_step(const LooseJson& tree, const std::string& source, std::vector<std::unique_ptr<PreTokenizer>>& steps,
               bool& byte_level, int depth) {
  const std::string type = words(tree, "type", "", source);
  if (byte_level)
    throw UserError("[text] {}: pre_tokenizer {} comes after ByteLevel, which must be last", source, shown(type));
  if (type == "Sequence" && depth < 4) {
    for (const LooseJson& step : member(tree, "pretokenizers")) read_step(step, source, steps, byte_level, depth + 1);
  } else if (type == "Split") {
    steps.push_back(std::make_unique<Split>(tree, source));
  } else if (type == "Digits") {
    steps.push_back(std::make_unique<Digits>(tree, source));
  } else if (type == "ByteLevel") {
    steps.push_back(std::make_unique<ByteLevel>(tree, source));
    byte_level = true;
  } else {
    throw UserError("[text] {}: pre_tokenizer {} is not supported; supported: {}", source, shown(type), supported);
  }
}
}  // namespace

std::vector<std::unique_ptr<PreTokenizer>> read_pre_tokenizer(const LooseJson& tree, bool on_bytes,
                                                              const std::string& source) {
  std::vector<std::unique_ptr<PreTokenizer>> steps;
  bool byte_level = false;
  if (!tree.is_null()) read_step(tree, source, steps, byte_level, 0);
  if (on_bytes && !byte_level)
    throw UserError("[text] {}: no ByteLevel among the pre_tokenizers, so this is no byte-level BPE; supported: {}",
                    source, supported);
  if (!on_bytes && byte_level)
    throw UserError("[text] {}: pre_tokenizer ByteLevel and a model with byte_fallback do not go together", source);
  return steps;
}

}  // namespace tessera::text
