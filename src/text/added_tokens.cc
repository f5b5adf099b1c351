// See added_tokens.h. The rules for white space and words beside a token are those of the reference tokenizers.
#include "text/added_tokens.h"

#include <algorithm>

#include "text/unicode.h"

namespace tessera::text {

namespace {
size_t space_begins(std::string_view text, size_t end) {
  while (end > 0) {
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
  return std::any_of(ranges.begin(), ranges.end(),
                     [&](const Range& r) { return r.begin <= range.begin && range.end <= r.end; });
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
  uint32_t node = 0;
  for (const char c : content) {
    const uint64_t key = static_cast<uint64_t>(node) << 8 | static_cast<unsigned char>(c);
    const auto [found, is_new] = children_.try_emplace(key, static_cast<uint32_t>(nodes_.size()));
    if (is_new) nodes_.emplace_back();
    node = found->second;
  }
  begins_[static_cast<unsigned char>(content.front())] = true;
  nodes_[node].token = static_cast<int32_t>(tokens_.size());
  tokens_.push_back(token);
}

AddedTokenFinder::Match AddedTokenFinder::longest_at(std::string_view text, size_t at) const {
  Match longest;
  uint32_t node = 0;
  for (size_t i = at; i < text.size(); ++i) {
    const auto found = children_.find(static_cast<uint64_t>(node) << 8 | static_cast<unsigned char>(text[i]));
    if (found == children_.end()) break;
    node = found->second;
    if (nodes_[node].token >= 0) longest = {i + 1, &tokens_[static_cast<size_t>(nodes_[node].token)]};
  }
  return longest;
}

std::vector<Section> AddedTokenFinder::split(std::string_view text, const std::vector<Range>& control) const {
  std::vector<Section> sections;
  size_t done = 0;  // where the last section ends
  for (size_t at = 0; at < text.size();) {
    const Match match = begins_[static_cast<unsigned char>(text[at])] ? longest_at(text, at) : Match{};
    if (match.token == nullptr) {
      ++at;
      continue;
    }
    size_t begin = at, end = match.end;
    at = match.end;
    if (match.token->special && !inside({begin, end}, control)) continue;
    if (match.token->single_word && !stands_alone(text, begin, end)) continue;
    if (match.token->lstrip) begin = std::max(space_begins(text, begin), done);
    if (match.token->rstrip) end = space_ends(text, end);
    if (done < begin) sections.push_back({{done, begin}, std::nullopt});
    sections.push_back({{begin, end}, match.token->id});
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
