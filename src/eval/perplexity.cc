// Windows of all documents are requests like any other; the model batches them by length.
#include "eval/perplexity.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "core/error.h"
#include "core/text_file.h"
#include "eval/choice.h"

namespace tessera::eval {

namespace {
constexpr size_t kWindowsAtOnce = 16;

struct Document {
  std::vector<int32_t> tokens;
  size_t unscored = 0;  // tokens that are context only
  int64_t bytes = 0;    // of the scored ones
};

Document tokens_of(const text::Tokenizer& tokenizer, const std::string& text) {
  const Writes::ScoreRequest all = score_request(tokenizer, "", text);  // prompt: the begin token, where there is one
  Document document{.tokens = all.prompt, .unscored = all.prompt.size(), .bytes = std::ssize(text)};
  document.tokens.insert(document.tokens.end(), all.continuation.begin(), all.continuation.end());
  if (document.unscored == 0 && !document.tokens.empty()) {
    document.unscored = 1;
    document.bytes -= std::ssize(tokenizer.decode({document.tokens.front()}, false));
  }
  return document;
}

/// Tokens [scored, end) of a document, after those from `begin` on.
struct Window {
  size_t document = 0;
  int64_t begin = 0, scored = 0, end = 0;
};

/// The windows of a document: each new token is scored once, after as many tokens as the window holds.
void add_windows(const Document& document, size_t index, int64_t window, int64_t stride, std::vector<Window>& to) {
  const auto length = std::ssize(document.tokens), first = static_cast<int64_t>(document.unscored);
  for (int64_t scored = first; scored < length;) {
    const int64_t end = std::min(length, scored == first ? window + 1 : scored + stride);
    to.push_back({index, std::max<int64_t>(0, end - window - 1), scored, end});  // the last token is only predicted
    scored = end;
  }
}

Writes::ScoreRequest request_of(const Document& document, const Window& window) {
  const auto from = document.tokens.begin();
  return {.prompt = {from + window.begin, from + window.scored},
          .continuation = {from + window.scored, from + window.end}};
}

void check(int64_t window, int64_t stride, int64_t context) {
  if (window < 1 || window > context)
    throw UserError("[eval] window is {}, want 1 to {}, the model's context", window, context);
  if (stride < 1 || stride > window) throw UserError("[eval] stride is {}, want 1 to {}, the window", stride, window);
}
}  // namespace

PerplexityResult measure_perplexity(const Writes& model, const PerplexityTask& task) {
  const int64_t window = task.window == 0 ? model.context() : task.window;
  const int64_t stride = task.stride == 0 ? std::max<int64_t>(1, window / 2) : task.stride;
  check(window, stride, model.context());
  PerplexityResult result{.documents = std::ssize(task.documents)};
  std::vector<Document> documents;
  std::vector<Window> windows;
  for (const std::string& text : task.documents) {
    const Document& document = documents.emplace_back(tokens_of(model.tokenizer(), text));
    const int64_t scored = std::ssize(document.tokens) - static_cast<int64_t>(document.unscored);
    if (scored <= 0) continue;
    result.tokens += scored;
    result.bytes += document.bytes;
    add_windows(document, documents.size() - 1, window, stride, windows);
  }
  if (windows.empty()) throw UserError("[eval] there is no token to score in {} documents", result.documents);
  std::vector<double> nats, tokens;  // of each window
  for (size_t first = 0; first < windows.size(); first += kWindowsAtOnce) {
    const size_t end = std::min(first + kWindowsAtOnce, windows.size());
    std::vector<Writes::ScoreRequest> requests;
    for (size_t i = first; i < end; ++i) requests.push_back(request_of(documents[windows[i].document], windows[i]));
    for (const auto& scored : model.score(requests)) {
      double sum = 0;
      for (const ScoredToken& token : scored) sum -= token.log_probability;
      nats.push_back(sum);
      tokens.push_back(static_cast<double>(scored.size()));
    }
    if (task.on_progress) task.on_progress(static_cast<int64_t>(end), std::ssize(windows));
  }
  const Mean mean = ratio_of(nats, tokens);
  result.nats_per_token = mean.mean;
  result.nats_interval = mean.interval;
  result.perplexity = std::exp(mean.mean);
  const double total = mean.mean * static_cast<double>(result.tokens);
  result.bits_per_byte = result.bytes > 0 ? total / std::numbers::ln2 / static_cast<double>(result.bytes) : 0;
  return result;
}

std::vector<std::string> read_documents(const Path& path) {
  std::vector<std::string> documents;
  for (const Path& file : find_files(path, {".txt", ".md"}, "eval")) documents.push_back(read_text(file, "eval"));
  return documents;
}

}  // namespace tessera::eval
