// See chat_pieces.h.
#include "text/chat_pieces.h"

#include <algorithm>
#include <utility>

#include "core/error.h"

namespace tessera::text {

namespace {
using jinja::Origin;

/// A run with where it begins; an anchor begins where it ends.
struct Span {
  size_t begin = 0, end = 0;
  Origin origin;
  bool typed() const { return origin.source != Origin::from_template; }
};
using Range = std::pair<size_t, size_t>;

std::vector<Span> spans_of(const jinja::MarkedText& text) {
  std::vector<Span> spans;
  size_t begin = 0;
  for (const jinja::Run& run : text.runs()) {
    spans.push_back({begin, run.end, run.origin});
    begin = run.end;
  }
  return spans;
}

/// Behind the first thing in `text` that looks like a token that ends a turn; 0 when nothing does.
size_t behind_end_of_turn(std::string_view text, const std::string& end_token) {
  if (!end_token.empty()) {
    if (const size_t at = text.find(end_token); at != std::string_view::npos) return at + end_token.size();
  }
  constexpr std::pair<std::string_view, std::string_view> shapes[] = {{"<|", "|>"},  {"<\xEF\xBD\x9C", "\xEF\xBD\x9C>"},
                                                                      {"</s>", ""},  {"<end_of_turn>", ""},
                                                                      {"<eos>", ""}, {"<turn|>", ""}};
  size_t first = std::string_view::npos, behind = 0;
  for (const auto& [opens, closes] : shapes) {
    const size_t at = text.find(opens);
    if (at == std::string_view::npos || at >= first) continue;
    const size_t close = text.find(closes, at + opens.size());
    if (close == std::string_view::npos) continue;
    first = at;
    behind = close + closes.size();
  }
  return behind;
}

bool is_assistant(const std::vector<Message>& messages, const Span& span) {
  if (span.origin.source < 0) return false;
  const std::string& role = messages[static_cast<size_t>(span.origin.source)].role;
  return role == "assistant" || role == "model";
}

/// What assistants say in `text`, from behind the generation prompt to the end of the turn.
std::vector<Range> said_by_assistants(const std::string& text, const std::vector<Span>& spans,
                                      const std::vector<Message>& messages, const AnswerMarks& marks) {
  std::vector<Range> answers;
  size_t typed_before = 0;  // end of the typed text in front
  for (size_t i = 0; i < spans.size(); ++i) {
    if (!spans[i].typed()) continue;
    if (!is_assistant(messages, spans[i])) {
      typed_before = spans[i].end;
      continue;
    }
    size_t begin = spans[i].begin;
    const std::string_view before = std::string_view(text).substr(typed_before, begin - typed_before);
    const size_t prompt = marks.generation_prompt.empty() ? std::string::npos : before.rfind(marks.generation_prompt);
    if (prompt != std::string::npos) begin = typed_before + prompt + marks.generation_prompt.size();
    size_t last = i, next = i + 1;
    for (; next < spans.size(); ++next) {
      if (!spans[next].typed()) continue;
      if (spans[next].origin.source != spans[i].origin.source) break;
      last = next;
    }
    const size_t limit = next < spans.size() ? spans[next].begin : text.size();
    size_t end = spans[last].end;
    end += behind_end_of_turn(std::string_view(text).substr(end, limit - end), marks.end_token);
    answers.emplace_back(begin, end);
    typed_before = end;
    i = last;
  }
  return answers;
}

std::vector<Range> generated(const std::vector<Span>& spans) {
  std::vector<Range> answers;
  for (const Span& span : spans) {
    if (!span.origin.generated || span.begin == span.end) continue;
    if (!answers.empty() && answers.back().second == span.begin) answers.back().second = span.end;
    else answers.emplace_back(span.begin, span.end);
  }
  return answers;
}

class PieceList {
 public:
  PieceList(const std::string& text, std::vector<Range> answers) : text_(text), answers_(std::move(answers)) {}

  /// Text of one origin, cut where answers begin and end.
  void add(const Span& span) {
    size_t at = span.begin;
    while (at < span.end) {
      while (next_ < answers_.size() && answers_[next_].second <= at) ++next_;
      const bool answer = next_ < answers_.size() && answers_[next_].first <= at;
      size_t end = span.end;
      if (next_ < answers_.size())
        end = std::min(end, answer ? answers_[next_].second : std::max(answers_[next_].first, at));
      piece(span, answer).text.append(text_, at, end - at);
      at = end;
    }
  }
  /// Pictures in front of what follows of the same message.
  void add_media(const Span& span, int64_t media) {
    while (next_ < answers_.size() && answers_[next_].second <= span.begin) ++next_;
    const bool answer = next_ < answers_.size() && answers_[next_].first <= span.begin;
    pieces_.push_back({"", !span.typed(), answer, media});
    source_ = span.origin.source;
  }
  std::vector<ChatPiece> take() { return std::move(pieces_); }

 private:
  ChatPiece& piece(const Span& span, bool answer) {
    const bool control = !span.typed();
    const bool goes_on = !pieces_.empty() && pieces_.back().control == control && pieces_.back().answer == answer &&
                         (control || source_ == span.origin.source);
    source_ = span.origin.source;
    return goes_on ? pieces_.back() : pieces_.emplace_back(ChatPiece{"", control, answer});
  }

  const std::string& text_;
  std::vector<Range> answers_;
  size_t next_ = 0;
  std::vector<ChatPiece> pieces_;
  int32_t source_ = Origin::from_template;
};
}  // namespace

std::vector<ChatPiece> pieces_of(const jinja::MarkedText& rendered, const std::vector<Message>& messages,
                                 const AnswerMarks& marks, const std::string& where) {
  const std::string& text = rendered.bytes();
  const std::vector<Span> spans = spans_of(rendered);
  PieceList pieces(text, marks.generation ? generated(spans) : said_by_assistants(text, spans, messages, marks));
  std::vector<bool> placed(messages.size());
  for (const Span& span : spans) {
    if (span.origin.source >= 0) {
      const auto message = static_cast<size_t>(span.origin.source);
      if (messages[message].media > 0 && !placed[message]) pieces.add_media(span, messages[message].media);
      placed[message] = true;
    }
    pieces.add(span);
  }
  for (size_t i = 0; i < messages.size(); ++i) {
    if (messages[i].media > 0 && !placed[i])
      throw UserError("[text] {} leaves out the words of message {}, which has {} pictures and clips", where, i,
                      messages[i].media);
  }
  return pieces.take();
}

}  // namespace tessera::text
