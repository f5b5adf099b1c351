// `tessera eval --task diversity`: how alive a model's continuations of unseen texts are.
#include "apps/eval_tasks.h"
#include "apps/text_request.h"
#include "core/error.h"
#include "core/files.h"
#include "core/json_rows.h"
#include "core/progress.h"
#include "eval/diversity.h"
#include "eval/perplexity.h"
#include "generate/citations.h"
#include "tensor/device.h"

namespace tessera::apps {

namespace {
using Index = std::shared_ptr<const data::CitationIndex>;

Index open_index(const Path& file, const text::Tokenizer& tokenizer) {
  if (file.empty()) return nullptr;
  return std::make_shared<const data::CitationIndex>(data::CitationIndex::open(file, text::fingerprint(tokenizer)));
}

generate::TextOptions drawing_of(const EvalOptions& options, const text::Tokenizer& tokenizer) {
  const EvalDiversityOptions& own = options.diversity;
  SamplingOptions flags{.temperature = own.temperature,
                        .top_k = own.top_k,
                        .top_p = options.top_p,
                        .repetition_penalty = own.repetition_penalty};
  if (!own.temperature && !own.top_k && !options.top_p) flags.temperature = 0;
  generate::TextOptions drawing = text_options(flags, {}, options.compute.seed);
  if (const Index blocked = open_index(own.block_citations, tokenizer))
    drawing.constraints.push_back(generate::block_citations(blocked, tokenizer));
  return drawing;
}

Json to_json(const eval::Variety& v, bool against_read) {
  Json line = {{"tokens", v.tokens},
               {"counted", v.counted.mean},
               {"ttr", v.ttr.mean},
               {"ttr_interval", {v.ttr.interval.low, v.ttr.interval.high}},
               {"ttr_window", v.ttr_window.mean},
               {"self_bleu4", v.self_bleu}};
  for (const auto& [n, share] : v.repeated) line[fmt::format("repeated_{}grams", n)] = share;
  if (against_read) {
    line["longest_read"] = v.longest_read.mean, line["longest_read_at_most"] = v.longest_read_at_most;
    line["over_ten"] = v.over_ten, line["read_bleu4"] = v.read_bleu;
  }
  return line;
}

void print_variety(const char* whose, const eval::Variety& v, bool against_read) {
  fmt::print("{:<10} {:>5}   {:.3f} [{:.3f}, {:.3f}]   {:.3f}   {:.3f} {:.3f} {:.3f}   {:.3f}", whose, v.tokens,
             v.ttr.mean, v.ttr.interval.low, v.ttr.interval.high, v.ttr_window.mean, v.repeated.at(2), v.repeated.at(3),
             v.repeated.at(4), v.self_bleu);
  if (against_read)
    fmt::print("   {:.1f} (at most {}; {:.1f}% over ten)   {:.3f}", v.longest_read.mean, v.longest_read_at_most,
               100 * v.over_ten, v.read_bleu);
  fmt::print("\n");
}

void print_result(const eval::DiversityResult& result, int64_t window, bool against_read) {
  fmt::print("{:<10} {:>5}   {:<20}   {:<5}   {:<17}   {:<5}{}\n", "", "new", "type-token ratio",
             fmt::format("in {}", window), "repeated 2 3 4", "self-BLEU",
             against_read ? "   longest read   BLEU to read" : "");
  for (size_t i = 0; i < result.written.size(); ++i) {
    print_variety("model", result.written[i], against_read);
    print_variety("the text", result.reference[i], against_read);
  }
  fmt::print(
      "predictions of the text: perplexity {:.2f}, entropy {:.3f} nats, top-1 probability {:.3f}; drawn at temperature "
      "{:.3g}\n",
      result.certainty.perplexity, result.certainty.entropy, result.certainty.top1, result.temperature);
}

std::string texts_of(const eval::DiversityTask& task, const eval::DiversityResult& result) {
  std::string lines;
  for (size_t i = 0; i < result.texts.size(); ++i) {
    const Json line = {{"prompt", task.contexts[i].prompt},
                       {"text", result.texts[i].continuation.text},
                       {"ended", generate::name_of(result.texts[i].continuation.reason)}};
    lines += json_row(line);
  }
  return lines;
}
}  // namespace

Json measure_diversity(const EvalOptions& options) {
  const Path& data = data_of(options, "texts that were not trained on");
  const EvalDiversityOptions& own = options.diversity;
  if (own.new_tokens.empty()) throw UserError("[eval] --new-tokens is empty, want lengths such as 96,224");
  if (!options.world.answers.empty()) require_writable(options.world.answers, "eval");
  const std::vector<std::string> texts = eval::read_documents(data);
  const auto model =
      load_model(options.model, parse_device(options.compute.device), {.adapters = adapter_paths(options.adapter)});
  const Writes& writes = require_writes(*model, options.model, "eval");
  const Index read = open_index(own.citations, writes.tokenizer());
  eval::DiversityTask task{.contexts = eval::contexts_of(texts, writes.tokenizer(), count_or(options, 100),
                                                         own.prompt_tokens, own.new_tokens.back()),
                           .lengths = own.new_tokens,
                           .window = own.ttr_window,
                           .options = drawing_of(options, writes.tokenizer()),
                           .match_entropy = own.match_entropy,
                           .read = read.get(),
                           .batch = options.batch};
  Progress progress("continue", std::ssize(task.contexts), "texts");
  task.on_progress = [&](int64_t done) { progress.update(done); };
  const eval::DiversityResult result = eval::measure_diversity(writes, task);
  progress.finish();
  std::optional<double> changed;
  if (!own.compare.empty()) {
    const auto other = load_model(own.compare, parse_device(options.compute.device));
    changed = eval::changed_top1(writes, require_writes(*other, own.compare, "eval"), task.contexts, options.batch);
  }
  if (!options.world.answers.empty()) write_file_atomically(options.world.answers, texts_of(task, result));
  print_result(result, task.window, read != nullptr);
  if (changed)
    fmt::print("{:.1f}% of the predictions have another most likely token in {}\n", 100 * *changed,
               own.compare.string());
  Json line = {{"data", data.string()},
               {"contexts", task.contexts.size()},
               {"prompt_tokens", own.prompt_tokens},
               {"temperature", result.temperature},
               {"perplexity", result.certainty.perplexity},
               {"entropy", result.certainty.entropy},
               {"top1_probability", result.certainty.top1}};
  if (changed) line["changed_top1"] = *changed;
  for (const eval::Variety& v : result.written) line["written"].push_back(to_json(v, read != nullptr));
  for (const eval::Variety& v : result.reference) line["reference"].push_back(to_json(v, read != nullptr));
  return line;
}

}  // namespace tessera::apps
