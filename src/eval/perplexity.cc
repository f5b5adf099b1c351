// Windows of all documents are requests like any other; the model batches them by length.
#include "eval/perplexity.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "core/error.h"
#include "eval/choice.h"

namespace tessera::eval {

namespace {
constexpr size_t kWindowsAtOnce = 16;

struct Document {
  std::vector<int32_t> tokens;
  size_t unscored = 0;  // tokens that only stand before
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

/// The windows of a document: each new token is scored once, after as many tokens as the window holds.
void add_windows(const Document& document, int64_t window, int64_t stride, std::vector<Writes::ScoreRequest>& to) {
  const auto length = std::ssize(document.tokens);
  const auto from = document.tokens.begin();
  for (int64_t scored = static_cast<int64_t>(document.unscored); scored < length;) {
    const bool first = scored == static_cast<int64_t>(document.unscored);
    const int64_t end = std::min(length, first ? window + 1 : scored + stride);
    const int64_t begin = std::max<int64_t>(0, end - window - 1);  // the last token is only predicted
    to.push_back({.prompt = {from + begin, from + scored}, .continuation = {from + scored, from + end}});
    scored = end;
  }
}
}  // namespace

PerplexityResult measure_perplexity(const Writes& model, const PerplexityTask& task) {
  const int64_t window = task.window == 0 ? model.context() : task.window;
  const int64_t stride = task.stride == 0 ? std::max<int64_t>(1, window / 2) : task.stride;
  if (window < 1 || window > model.context())
    throw UserError("[eval] window is {}, want 1 to {}, the model's context", window, model.context());
  if (stride < 1 || stride > window) throw UserError("[eval] stride is {}, want 1 to {}, the window", stride, window);
  PerplexityResult result{.documents = std::ssize(task.documents)};
  std::vector<double> nats, tokens;  // of each window
  std::vector<Writes::ScoreRequest> waiting;
  const auto score = [&] {
    for (const auto& scored : model.score(waiting)) {
      double sum = 0;
      for (const ScoredToken& token : scored) sum -= token.log_probability;
      nats.push_back(sum), tokens.push_back(static_cast<double>(scored.size()));
    }
    waiting.clear();
  };
  for (size_t d = 0; d < task.documents.size(); ++d) {
    const Document document = tokens_of(model.tokenizer(), task.documents[d]);
    const int64_t scored = std::ssize(document.tokens) - static_cast<int64_t>(document.unscored);
    if (scored > 0) {
      result.tokens += scored, result.bytes += document.bytes;
      add_windows(document, window, stride, waiting);
    }
    if (waiting.size() >= kWindowsAtOnce || (d + 1 == task.documents.size() && !waiting.empty())) score();
    if (task.on_progress) task.on_progress(static_cast<int64_t>(d + 1));
  }
  if (result.tokens == 0) throw UserError("[eval] there is no token to score in {} documents", result.documents);
  const Mean mean = ratio_of(nats, tokens);
  result.nats_per_token = mean.mean, result.nats_interval = mean.interval;
  result.perplexity = std::exp(mean.mean);
  const double total = mean.mean * static_cast<double>(result.tokens);
  result.bits_per_byte = result.bytes > 0 ? total / std::numbers::ln2 / static_cast<double>(result.bytes) : 0;
  return result;
}

std::vector<std::string> read_documents(const Path& path) {
  if (!std::filesystem::is_directory(path)) return {read_file(path)};
  std::vector<Path> files;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(path)) {
    const std::string kind = entry.path().extension().string();
    if (entry.is_regular_file() && (kind == ".txt" || kind == ".md")) files.push_back(entry.path());
  }
  if (files.empty()) throw UserError("[eval] {} holds no .txt or .md file", path.string());
  std::sort(files.begin(), files.end());
  std::vector<std::string> documents;
  for (const Path& file : files) documents.push_back(read_file(file));
  return documents;
}

}  // namespace tessera::eval
