// See added_tokens.h. The rules for white space and words beside a token are those of the reference tokenizers.
#include "text/added_tokens.h"

#include <algorithm>

#include "text/unicode.h"

namespace tessera::text {

namespace {
size_t space_begins(std::string_view text, size_t end, size_t floor) {
  while (end > floor) {
    const Character c = character_before(text, end);
    if (!is_space(c.code)) break;
    end -= c.length;
  }
  return end;
}

size_t space_ends(std::string_view text, size_t at) {
  while (at < text.size()) {
    const Character c = character_at(text, at);
    if (!is_space(c.code)) break;
    at += c.length;
  }
  return at;
}

bool stands_alone(std::string_view text, size_t begin, size_t end) {
  return (begin == 0 || !is_word(character_before(text, begin).code)) &&
         (end == text.size() || !is_word(character_at(text, end).code));
}
}  // namespace

bool inside(const Range& range, const std::vector<Range>& ranges) {
  const auto after = std::ranges::upper_bound(ranges, range.begin, {}, &Range::begin);
  return after != ranges.begin() && range.end <= std::prev(after)->end;
}

JoinedText join(const std::vector<TextPart>& parts) {
  JoinedText joined;
  for (const TextPart& part : parts) {
    const size_t begin = joined.text.size();
    joined.text += to_utf8(part.text);
    if (!part.control || joined.text.size() == begin) continue;
    if (!joined.control.empty() && joined.control.back().end == begin) joined.control.back().end = joined.text.size();
    else joined.control.push_back({begin, joined.text.size()});
  }
  return joined;
}

void AddedTokenFinder::add(const AddedToken& token, std::string_view content) {
  if (content.empty()) return;
  begins_[static_cast<unsigned char>(content.front())] = true;
  contents_.add(content, static_cast<int32_t>(tokens_.size()));
  tokens_.push_back(token);
}

std::vector<Section> AddedTokenFinder::split(std::string_view text, const std::vector<Range>& control) const {
  std::vector<Section> sections;
  size_t done = 0;  // where the last section ends
  for (size_t at = 0; at < text.size();) {
    const ByteTrie::Match match =
        begins_[static_cast<unsigned char>(text[at])] ? contents_.longest(text, at) : ByteTrie::Match{};
    if (match.length == 0) {
      ++at;
      continue;
    }
    const AddedToken& token = tokens_[static_cast<size_t>(match.value)];
    size_t begin = at, end = at + match.length;
    at = end;
    if (token.special && !inside({begin, end}, control)) continue;
    if (token.single_word && !stands_alone(text, begin, end)) continue;
    if (token.lstrip) begin = space_begins(text, std::max(begin, done), done);
    if (token.rstrip) end = space_ends(text, end);
    if (done < begin) sections.push_back({{done, begin}, std::nullopt});
    sections.push_back({{begin, end}, token.id});
    done = end;
  }
  if (done < text.size()) sections.push_back({{done, text.size()}, std::nullopt});
  return sections;
}

void AddedTokens::add(const AddedToken& token) {
  if (token.content.empty()) return;
  if (const auto same = ids_.find(token.content); same != ids_.end()) by_id_.erase(same->second);
  if (const auto same = by_id_.find(token.id); same != by_id_.end()) ids_.erase(same->second.content);
  by_id_[token.id] = token;
  ids_[token.content] = token.id;
}

const AddedToken* AddedTokens::find(int32_t id) const {
  const auto found = by_id_.find(id);
  return found == by_id_.end() ? nullptr : &found->second;
}

const AddedToken* AddedTokens::find(std::string_view content) const {
  const auto found = ids_.find(std::string(content));
  return found == ids_.end() ? nullptr : find(found->second);
}

}  // namespace tessera::text
