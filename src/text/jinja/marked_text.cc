// See marked_text.h. Positions are bytes; a cut never falls inside of a character.
#include "text/jinja/marked_text.h"

#include <algorithm>

#include "text/unicode.h"

namespace tessera::text::jinja {

MarkedText::MarkedText(std::string bytes, Origin origin) : bytes_(std::move(bytes)) {
  if (!bytes_.empty()) runs_.push_back({bytes_.size(), origin});
}

MarkedText MarkedText::anchored(std::string bytes, Origin origin) {
  MarkedText text(std::move(bytes), origin);
  text.runs_.insert(text.runs_.begin(), {0, origin});
  return text;
}

void MarkedText::add_run(size_t end, Origin origin) {
  const size_t begin = runs_.empty() ? 0 : runs_.back().end;
  if (end == begin) {
    if (runs_.empty() || !(runs_.back().origin == origin)) runs_.push_back({end, origin});
    return;
  }
  const bool anchor = !runs_.empty() && begin == (runs_.size() > 1 ? runs_[runs_.size() - 2].end : 0);
  if (!runs_.empty() && !anchor && runs_.back().origin == origin) runs_.back().end = end;
  else runs_.push_back({end, origin});
}

void MarkedText::append(const MarkedText& other) {
  if (&other == this) return append(MarkedText(other));
  const size_t before = bytes_.size();
  bytes_ += other.bytes_;
  for (const Run& run : other.runs_) add_run(before + run.end, run.origin);
}

void MarkedText::append(std::string_view bytes, Origin origin) {
  if (bytes.empty()) return;
  bytes_ += bytes;
  add_run(bytes_.size(), origin);
}

void MarkedText::append_part(const MarkedText& other, size_t begin, size_t end) {
  const size_t before = bytes_.size();
  bytes_.append(other.bytes_, begin, end - begin);
  size_t from = 0;
  for (const Run& run : other.runs_) {
    const bool anchor = run.end == from;
    if (from > end) break;
    if (anchor ? from >= begin : run.end > begin && from < end)
      add_run(before + std::min(run.end, end) - begin, run.origin);
    from = run.end;
  }
}

MarkedText MarkedText::part(size_t begin, size_t end) const {
  MarkedText cut;
  cut.append_part(*this, begin, end);
  return cut;
}

MarkedText MarkedText::stripped_to(size_t begin, size_t end) const {
  MarkedText cut;
  size_t from = 0;
  for (const Run& run : runs_) {
    if (run.end == from && from < begin) cut.add_run(0, run.origin);
    from = run.end;
  }
  cut.append_part(*this, begin, end);
  from = 0;
  for (const Run& run : runs_) {
    if (run.end == from && from > end) cut.add_run(cut.size(), run.origin);
    from = run.end;
  }
  return cut;
}

Origin MarkedText::typed_origin() const {
  for (const Run& run : runs_) {
    if (run.origin.source != Origin::from_template) return run.origin;
  }
  return {};
}

void MarkedText::mark_generated() {
  for (Run& run : runs_) run.origin.generated = true;
}

std::vector<size_t> character_offsets(std::string_view text) {
  std::vector<size_t> offsets;
  offsets.reserve(text.size() + 1);
  for (size_t at = 0; at < text.size(); at += character_at(text, at).length) offsets.push_back(at);
  offsets.push_back(text.size());
  return offsets;
}

size_t count_characters(std::string_view text) {
  return static_cast<size_t>(
      std::ranges::count_if(text, [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; }));
}

bool is_python_space(char32_t code) { return is_space(code) || (code >= 0x1C && code <= 0x1F); }

MarkedText strip(const MarkedText& text, const std::string* characters, bool left, bool right) {
  const std::string_view bytes = text.bytes();
  const auto goes = [&](Character c, size_t at) {
    return characters == nullptr ? is_python_space(c.code)
                                 : characters->find(bytes.substr(at, c.length)) != std::string::npos;
  };
  size_t begin = 0, end = bytes.size();
  while (left && begin < end) {
    const Character c = character_at(bytes, begin);
    if (!goes(c, begin)) break;
    begin += c.length;
  }
  while (right && end > begin) {
    const Character c = character_before(bytes, end);
    if (!goes(c, end - c.length)) break;
    end -= c.length;
  }
  return text.stripped_to(begin, end);
}

MarkedText replace_all(const MarkedText& text, std::string_view old, const MarkedText& with, int64_t count) {
  MarkedText made;
  const std::string& bytes = text.bytes();
  size_t from = 0;
  if (old.empty()) {  // between all characters, as in Python
    const std::vector<size_t> offsets = character_offsets(bytes);
    for (const size_t at : offsets) {
      if (at > from || at == bytes.size()) made.append_part(text, from, at);
      from = at;
      if (count-- == 0) break;
      made.append(with);
    }
    made.append_part(text, from, bytes.size());
    return made;
  }
  while (count != 0) {
    const size_t at = bytes.find(old, from);
    if (at == std::string::npos) break;
    made.append_part(text, from, at);
    made.append(with);
    from = at + old.size();
    --count;
  }
  made.append_part(text, from, bytes.size());
  return made;
}

std::vector<MarkedText> split_at(const MarkedText& text, std::string_view separator, int64_t count, bool from_right) {
  std::vector<MarkedText> parts;
  const std::string& bytes = text.bytes();
  if (!from_right) {
    size_t from = 0;
    for (; count != 0; --count) {
      const size_t at = bytes.find(separator, from);
      if (at == std::string::npos) break;
      parts.push_back(text.part(from, at));
      from = at + separator.size();
    }
    parts.push_back(text.part(from, bytes.size()));
    return parts;
  }
  size_t end = bytes.size();
  for (; count != 0; --count) {
    const size_t at = end < separator.size() ? std::string::npos : bytes.rfind(separator, end - separator.size());
    if (at == std::string::npos) break;
    parts.push_back(text.part(at + separator.size(), end));
    end = at;
  }
  parts.push_back(text.part(0, end));
  std::ranges::reverse(parts);
  return parts;
}

std::vector<MarkedText> split_words(const MarkedText& text, int64_t count, bool from_right) {
  struct Word {
    size_t begin = 0, end = 0;
  };
  std::vector<Word> words;
  const std::string& bytes = text.bytes();
  bool inside = false;
  for (size_t at = 0; at < bytes.size();) {
    const Character c = character_at(bytes, at);
    const bool blank = is_python_space(c.code);
    if (!blank && !inside) words.push_back({at, at});
    at += c.length;
    if (!blank) words.back().end = at;
    inside = !blank;
  }
  const auto rest = [&](size_t word) { return words.size() - word; };
  if (count >= 0 && !words.empty() && rest(0) > static_cast<size_t>(count) + 1) {
    const auto cuts = static_cast<size_t>(count);
    if (from_right) {  // the first words stay one, with the white space in front of them gone at their end only
      const size_t joined = rest(0) - cuts;
      words.erase(words.begin(), words.begin() + static_cast<std::ptrdiff_t>(joined) - 1);
      words.front().begin = 0;
    } else {
      words.resize(cuts + 1);
      words.back().end = bytes.size();
    }
  }
  std::vector<MarkedText> parts;
  for (const Word& word : words) parts.push_back(text.part(word.begin, word.end));
  return parts;
}

std::vector<MarkedText> split_lines(const MarkedText& text, bool keep_ends) {
  std::vector<MarkedText> lines;
  const std::string& bytes = text.bytes();
  size_t from = 0;
  for (size_t at = 0; at < bytes.size();) {
    const Character c = character_at(bytes, at);
    const bool breaks = (c.code >= 0x0A && c.code <= 0x0D) || (c.code >= 0x1C && c.code <= 0x1E) || c.code == 0x85 ||
                        c.code == 0x2028 || c.code == 0x2029;
    size_t next = at + c.length;
    if (breaks) {
      if (c.code == '\r' && next < bytes.size() && bytes[next] == '\n') ++next;
      lines.push_back(text.part(from, keep_ends ? next : at));
      from = next;
    }
    at = next;
  }
  if (from < bytes.size()) lines.push_back(text.part(from, bytes.size()));
  return lines;
}

MarkedText change_case(const MarkedText& text, Case to) {
  MarkedText made;
  size_t from = 0;
  bool starts = true;  // the next letter begins a word, or the text
  const auto upper_next = [&](char32_t code) {
    switch (to) {
      case Case::upper:
        return true;
      case Case::lower:
        return false;
      case Case::swap:
        return !is_upper(code);
      default:
        return starts;
    }
  };
  const std::string& bytes = text.bytes();
  for (const Run& run : text.runs()) {
    std::string changed;
    for (size_t at = from; at < run.end;) {
      const Character c = character_at(bytes, at);
      changed += upper_next(c.code)
                     ? (to == Case::title || to == Case::capitalize ? to_title(c.code) : to_upper(c.code))
                     : to_lower(c.code);
      at += c.length;
      const bool opens = c.code == '-' || c.code == '(' || c.code == '{' || c.code == '[' || c.code == '<';
      if (to == Case::jinja_title) starts = opens || is_python_space(c.code);
      else starts = to == Case::title && !is_cased(c.code);
    }
    if (from == run.end) made.append(MarkedText::anchored("", run.origin));
    else made.append(changed, run.origin);
    from = run.end;
  }
  return made;
}

}  // namespace tessera::text::jinja
