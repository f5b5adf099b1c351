// Contexts go through the model in batches; what comes out is cut to each length and counted.
#include "eval/diversity.h"

#include <algorithm>
#include <cmath>

#include "core/error.h"
#include "text/variety.h"

namespace tessera::eval {

namespace {
using Tokens = std::vector<int32_t>;

Tokens without_special(const Tokens& tokens, const text::Tokenizer& tokenizer) {
  Tokens kept;
  std::ranges::copy_if(tokens, std::back_inserter(kept), [&](int32_t id) { return !tokenizer.is_special(id); });
  return kept;
}

void check(const DiversityTask& task) {
  if (task.contexts.empty()) throw UserError("[diversity] there is no text to continue");
  if (task.lengths.empty() || task.lengths.front() < 1 || !std::ranges::is_sorted(task.lengths))
    throw UserError("[diversity] lengths want rising numbers of at least 1");
  if (task.window < 1) throw UserError("[diversity] window is {}, want at least 1", task.window);
  if (task.match_entropy < 0) throw UserError("[diversity] match_entropy is {}, want nats", task.match_entropy);
}

/// Every training passage, for BLEU.
Texts passages_of(const data::CitationIndex& read) {
  Texts all;
  for (int64_t p = 0; p < read.passages(); ++p) {
    const auto passage = read.passage(p);
    all.emplace_back(passage.begin(), passage.end());
  }
  return all;
}

Variety variety_of(const Texts& whole, int64_t length, const DiversityTask& task, const Bleu* read) {
  Variety variety{.tokens = length};
  Texts texts;
  for (const Tokens& text : whole)
    texts.emplace_back(text.begin(), text.begin() + std::min<int64_t>(length, std::ssize(text)));
  std::vector<double> counted, ttr, moving, longest;
  const Bleu bleu(texts);
  for (size_t i = 0; i < texts.size(); ++i) {
    counted.push_back(static_cast<double>(texts[i].size()));
    ttr.push_back(text::type_token_ratio(texts[i]));
    moving.push_back(text::moving_type_token_ratio(texts[i], task.window));
    for (const size_t n : {2, 3, 4}) variety.repeated[static_cast<int64_t>(n)] += text::repeated_share(texts[i], n);
    variety.self_bleu += bleu.of_reference(i);
    if (read != nullptr) variety.read_bleu += read->of(texts[i]);
    if (task.read != nullptr) longest.push_back(static_cast<double>(task.read->longest_match(texts[i])));
  }
  const auto count = static_cast<double>(texts.size());
  for (auto& [n, share] : variety.repeated) share /= count;
  variety.self_bleu /= count;
  variety.read_bleu /= count;
  variety.counted = mean_of(counted);
  variety.ttr = mean_of(ttr);
  variety.ttr_window = mean_of(moving);
  if (longest.empty()) return variety;
  variety.longest_read = mean_of(longest);
  variety.longest_read_at_most = static_cast<int64_t>(std::ranges::max(longest));
  variety.over_ten = static_cast<double>(std::ranges::count_if(longest, [](double n) { return n > 10; })) / count;
  return variety;
}

/// Of the contexts' own continuations, token after token.
std::vector<ScoredToken> predictions(const Writes& model, const std::vector<Context>& contexts, double temperature,
                                     int64_t batch) {
  std::vector<ScoredToken> all;
  for (size_t begin = 0; begin < contexts.size(); begin += static_cast<size_t>(batch)) {
    std::vector<Writes::ScoreRequest> requests;
    for (size_t i = begin; i < std::min(begin + static_cast<size_t>(batch), contexts.size()); ++i)
      requests.push_back(
          {.prompt = contexts[i].prompt_ids, .continuation = contexts[i].reference, .temperature = temperature});
    for (const auto& scored : model.score(requests)) all.insert(all.end(), scored.begin(), scored.end());
  }
  return all;
}

/// Bisection: entropy rises with temperature.
double temperature_of_entropy(const Writes& model, const DiversityTask& task) {
  double low = 0.02, high = 4;
  for (int i = 0; i < 12; ++i) {
    const double middle = std::sqrt(low * high);
    const double entropy = measure_certainty(model, task.contexts, middle, task.batch).entropy;
    (entropy < task.match_entropy ? low : high) = middle;
  }
  return std::sqrt(low * high);
}

std::vector<Written> written(const Writes& model, const DiversityTask& task, const generate::TextOptions& options) {
  std::vector<Written> all;
  for (size_t begin = 0; begin < task.contexts.size(); begin = all.size()) {
    const size_t end = std::min(begin + static_cast<size_t>(task.batch), task.contexts.size());
    std::vector<std::string> prompts;
    generate::TextOptions own = options;
    for (size_t i = begin; i < end; ++i) {
      prompts.push_back(task.contexts[i].prompt);
      own.rows.push_back(i);
    }
    std::ranges::move(model.write(prompts, own), std::back_inserter(all));
    if (task.on_progress) task.on_progress(std::ssize(all));
  }
  return all;
}
}  // namespace

std::vector<Context> contexts_of(const std::vector<std::string>& texts, const text::Tokenizer& tokenizer, int64_t count,
                                 int64_t prompt_tokens, int64_t reference_tokens) {
  if (count < 1 || prompt_tokens < 1 || reference_tokens < 1)
    throw UserError("[diversity] contexts, prompt and new tokens want at least 1");
  const int64_t both = prompt_tokens + reference_tokens;
  std::vector<Tokens> ids;
  int64_t starts = 0;  // where a context may begin, over all texts
  for (const std::string& text : texts) {
    ids.push_back(tokenizer.encode(text, {.add_special = false, .parse_special = false}));
    starts += std::max<int64_t>(0, std::ssize(ids.back()) - both + 1);
  }
  if (starts < count)
    throw UserError("[diversity] the texts have room for {} contexts of {} tokens, want {}", starts, both, count);
  std::vector<Context> contexts;
  for (int64_t i = 0; i < count; ++i) {
    int64_t start = (2 * i + 1) * starts / (2 * count);
    size_t text = 0;
    for (;; ++text) {
      const int64_t own = std::max<int64_t>(0, std::ssize(ids[text]) - both + 1);
      if (start < own) break;
      start -= own;
    }
    const auto from = ids[text].begin() + start;
    Context context{.prompt_ids = {from, from + prompt_tokens}, .reference = {from + prompt_tokens, from + both}};
    context.prompt = tokenizer.decode(context.prompt_ids);
    contexts.push_back(std::move(context));
  }
  return contexts;
}

Certainty measure_certainty(const Writes& model, const std::vector<Context>& contexts, double temperature,
                            int64_t batch) {
  Certainty sum;
  double nats = 0, tokens = 0;
  for (const ScoredToken& token : predictions(model, contexts, temperature, batch)) {
    nats -= token.log_probability;
    sum.entropy += token.entropy;
    sum.top1 += token.top_probability;
    ++tokens;
  }
  return {.perplexity = std::exp(nats / tokens), .entropy = sum.entropy / tokens, .top1 = sum.top1 / tokens};
}

double changed_top1(const Writes& model, const Writes& other, const std::vector<Context>& contexts, int64_t batch) {
  if (text::fingerprint(model.tokenizer()) != text::fingerprint(other.tokenizer()))
    throw UserError("[diversity] the models to compare have different tokenizers");
  const auto ours = predictions(model, contexts, 1, batch), theirs = predictions(other, contexts, 1, batch);
  double changed = 0;
  for (size_t i = 0; i < ours.size(); ++i) changed += ours[i].most_likely != theirs[i].most_likely;
  return changed / static_cast<double>(ours.size());
}

DiversityResult measure_diversity(const Writes& model, const DiversityTask& task) {
  check(task);
  DiversityResult result{.certainty = measure_certainty(model, task.contexts, 1, task.batch)};
  generate::TextOptions options = task.options;
  options.max_new_tokens = task.lengths.back();
  if (task.match_entropy > 0) options.sampling.temperature = temperature_of_entropy(model, task);
  result.temperature = options.sampling.temperature;
  result.texts = written(model, task, options);
  Texts said, references;
  for (const Written& text : result.texts) said.push_back(without_special(text.continuation.tokens, model.tokenizer()));
  for (const Context& context : task.contexts)
    references.push_back(without_special(context.reference, model.tokenizer()));
  const Texts passages = task.read == nullptr ? Texts() : passages_of(*task.read);
  const Bleu read(passages);
  const Bleu* const against = task.read == nullptr ? nullptr : &read;
  for (const int64_t length : task.lengths) {
    result.written.push_back(variety_of(said, length, task, against));
    result.reference.push_back(variety_of(references, length, task, against));
  }
  return result;
}

}  // namespace tessera::eval
