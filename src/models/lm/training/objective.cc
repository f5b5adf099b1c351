// Batches to rows, rows to a loss; and what is measured, shown and saved on the way.
#include "models/lm/training/objective.h"

#include <ATen/ops/embedding.h>
#include <ATen/ops/tensor.h>

#include <cmath>
#include <numbers>

#include "core/error.h"
#include "core/json.h"
#include "core/log.h"
#include "models/lm/architecture/model_files.h"
#include "models/lm/architecture/token_rows.h"
#include "models/lm/text/decode.h"
#include "models/lm/training/repetition_metrics.h"
#include "models/lm/training/training_files.h"
#include "nn/layers/token_loss.h"
#include "train/grading.h"

namespace tessera::lm {

namespace {
constexpr int64_t rows_measured_at_once = 16;

void check(const LmTraining& t, const LmConfig& config) {
  if (t.length < 0 || t.length > config.context)
    throw UserError("[lm] loss.length is {}, want 0 to the model's context, {}", t.length, config.context);
  if (t.heldout < 0 || t.prompt_tokens < 1)
    throw UserError("[lm] heldout wants 0 or more, prompt_tokens at least 1; got {} and {}", t.heldout,
                    t.prompt_tokens);
  if (t.continued < 0 || t.continued_tokens < 1)
    throw UserError("[lm] continued wants 0 or more, continued_tokens at least 1; got {} and {}", t.continued,
                    t.continued_tokens);
  if (t.continued > 0 && repetition_prompt + t.continued_tokens > config.context)
    throw UserError("[lm] loss.continued_tokens is {}, with {} tokens before them more than the model's context, {}",
                    t.continued_tokens, repetition_prompt, config.context);
}
}  // namespace

train::Sequence sequence_of(const Sample& sample, const text::Tokenizer& tokenizer,
                            const std::optional<text::ChatTemplate>& chat, int64_t room) {
  if (!sample.media.empty()) throw UserError("[lm] a sample has pictures, which this model does not see");
  if (sample.messages.empty())
    return train::graded_sequence(sample.tokens, std::vector<uint8_t>(sample.tokens.size(), 1), room);
  if (!chat)
    throw UserError("[lm] the tokenizer has no chat template; name one as model.chat_template, for example chatml");
  return train::graded_conversation(sample.messages, tokenizer, *chat, room, {.tools = sample.tools});
}

LmObjective::LmObjective(Parts parts, uint64_t seed, at::Device device)
    : parts_(std::move(parts)), seed_(seed), device_(device) {
  check(parts_.training, parts_.model.config);
  train::validate(parts_.tune);
  stored_as(parts_.training.stored);
  require_rows_for(parts_.model.config, *parts_.tokenizer, parts_.tokenizer_directory);
}

int64_t LmObjective::room() const {
  return parts_.training.length > 0 ? parts_.training.length : parts_.model.config.context;
}

std::vector<train::Parameter> LmObjective::parameters() {
  return train::tuned_parameters(parts_.model, parts_.tune, seed_);
}

std::unique_ptr<train::Prepared> LmObjective::prepare(Sample sample) const {
  auto row = std::make_unique<Row>();
  row->sequence = sequence_of(sample, *parts_.tokenizer, parts_.chat, room());
  require_rows(parts_.model.config, *parts_.tokenizer, row->sequence.ids, "a sample");
  row->conversation = !sample.messages.empty();
  return row;
}

LmObjective::Graded LmObjective::grade(const std::vector<const Row*>& batch, bool recompute) const {
  std::vector<train::Sequence> sequences;
  bool plain = true;  // windows of one length fill their rows: no padding, no segments
  for (const Row* row : batch) {
    sequences.push_back(row->sequence);
    plain = plain && !row->conversation && row->sequence.ids.size() == sequences.front().ids.size();
  }
  Graded graded;
  graded.rows =
      train::packed_rows(sequences, plain ? std::ssize(sequences.front().ids) : room(), parts_.training.pack && !plain);
  const train::PackedRows& rows = graded.rows;
  graded.learned = (rows.targets >= 0).sum().item<int64_t>();
  Positions positions = plain ? positions_of(parts_.model, rows.ids.size(1), {}, device_)
                              : packed_positions(parts_.model, rows.segments.to(device_));
  positions.recompute = recompute;
  const Tensor hidden = parts_.model.forward(parts_.model.embed(rows.ids.to(device_)), positions);
  graded.nats = summed_nats(hidden, rows);
  return graded;
}

/// Only positions where something is learned go through the head.
Tensor LmObjective::summed_nats(const Tensor& hidden, const train::PackedRows& rows) const {
  const Tensor targets = rows.targets.flatten().to(device_);
  Tensor states = hidden.flatten(0, 1), wanted = targets;
  if ((targets < 0).any().item<bool>()) {
    const Tensor positions = (targets >= 0).nonzero().squeeze(1);
    states = states.index_select(0, positions), wanted = targets.index_select(0, positions);
  }
  return nn::token_loss(states, parts_.model.head(), wanted, parts_.model.config.logit_cap);
}

train::Loss LmObjective::prepared_loss(const train::PreparedBatch& batch, const train::StepContext&) {
  const auto rows = train::prepared_as<Row>(batch);
  const Graded graded = grade(rows, parts_.training.recompute);
  const auto learned = static_cast<double>(graded.learned);
  train::Loss result{.value = graded.nats / std::max(1.0, learned), .weight = learned};
  result.metrics["learned_tokens"] = learned;
  if (rows.front()->conversation) {
    result.metrics["padding"] = graded.rows.padding;
    result.metrics["padding_unpacked"] = graded.rows.padding_unpacked;
  }
  return result;
}

std::map<std::string, double> LmObjective::evaluate() {
  const at::NoGradGuard no_grad;
  struct Sum {
    double nats = 0, tokens = 0, bytes = 0;
  };
  std::map<std::string, Sum> sums;  // by part; "" is all
  const std::vector<Sample>& samples = parts_.heldout;
  for (size_t begin = 0; begin < samples.size();) {
    size_t end = begin;  // samples of one part and one length, which fill their rows
    const auto alike = [&](const Sample& s) {
      return s.part == samples[begin].part && s.tokens.size() == samples[begin].tokens.size();
    };
    while (end < samples.size() && end - begin < rows_measured_at_once && alike(samples[end])) ++end;
    train::PreparedBatch batch;
    for (size_t i = begin; i < end; ++i) batch.push_back(prepare(samples[i]));
    const Graded graded = grade(train::prepared_as<Row>(batch), false);
    std::vector<int32_t> words;
    const Tensor learned = graded.rows.targets.masked_select(graded.rows.targets >= 0).to(at::kInt).contiguous();
    words.assign(learned.const_data_ptr<int32_t>(), learned.const_data_ptr<int32_t>() + learned.numel());
    const auto bytes = static_cast<double>(parts_.tokenizer->decode(words).size());
    for (const std::string& part : {std::string(), samples[begin].part}) {
      Sum& sum = sums[part];
      sum.nats += graded.nats.item<double>(), sum.tokens += static_cast<double>(graded.learned), sum.bytes += bytes;
      if (samples[begin].part.empty()) break;
    }
    begin = end;
  }
  std::map<std::string, double> metrics;
  for (const auto& [part, sum] : sums) {
    if (sum.tokens == 0 || sum.bytes == 0) continue;
    const double loss = sum.nats / sum.tokens, bits = sum.nats / std::numbers::ln2 / sum.bytes;
    const std::string suffix = part.empty() ? "" : "_" + part;
    metrics["heldout_loss" + suffix] = loss;
    metrics["heldout_bits_per_byte" + suffix] = bits;
    if (part.empty()) metrics["heldout_perplexity"] = std::exp(loss);
  }
  if (parts_.training.continued > 0) add_repetition_metrics(metrics);
  return metrics;
}

void LmObjective::add_repetition_metrics(std::map<std::string, double>& metrics) const {
  std::vector<std::vector<int32_t>> windows;  // evenly from all that are held out
  const auto all = std::ssize(parts_.heldout), count = std::min<int64_t>(parts_.training.continued, all);
  for (int64_t i = 0; i < count; ++i) windows.push_back(parts_.heldout[static_cast<size_t>(i * all / count)].tokens);
  const RepetitionMetrics found =
      measure_repetition(parts_.model, *parts_.tokenizer, windows, parts_.training.continued_tokens, device_);
  metrics["heldout_ttr"] = found.ttr, metrics["heldout_repeated"] = found.repeated;
  metrics["heldout_entropy"] = found.entropy, metrics["heldout_top1"] = found.top1;
}

std::vector<int32_t> continue_greedily(const DecoderLm& model, std::vector<int32_t> prompt, int64_t most,
                                       std::optional<int32_t> end) {
  LmSteps steps(model);
  generate::SequenceOptions options{.max_new_tokens = most, .context = model.config.context, .end_tokens = {}};
  if (end) options.end_tokens.push_back(*end);
  return generate::continue_greedily(steps, {std::move(prompt)}, options).front();
}

void LmObjective::save_samples(const Path& directory, const std::string& stem) {
  std::string page;
  for (const std::string& prompt : parts_.training.prompts) {
    const std::vector<int32_t> ids = text::encode_prompt(*parts_.tokenizer, prompt);
    if (ids.empty() || std::ssize(ids) >= parts_.model.config.context) continue;
    const std::vector<int32_t> written =
        continue_greedily(parts_.model, ids, parts_.training.prompt_tokens, parts_.tokenizer->end_token());
    page += fmt::format("{}|{}\n\n", prompt, parts_.tokenizer->decode(written));
  }
  if (!page.empty()) write_file_atomically(directory / (stem + ".txt"), page);
}

void LmObjective::save_model(const Path& directory, FileSystem& files) {
  save_trained(parts_.model, *parts_.tokenizer,
               {.tokenizer = parts_.tokenizer_directory,
                .base = parts_.base,
                .chat_template = parts_.given_chat ? parts_.chat->source() : "",
                .stored = stored_as(parts_.training.stored)},
               directory, files);
}

void check_lm_tables(const Json& model, const Json& loss, std::string_view source) {
  tables_of<LmTraining>(model, loss, source);
}

std::unique_ptr<train::Objective> make_lm_objective(train::Recipe& recipe, const SampleSource& source,
                                                    at::Device device) {
  LmTraining training;
  from_json(recipe.loss, training, "recipe", "loss");
  LmObjective::Parts parts = parts_of(recipe, source, training, device);
  recipe.loss = to_json(training);
  if (parts.chat && recipe.data.kind != "text")
    require_learnable(source, *parts.tokenizer, parts.chat,
                      training.length > 0 ? training.length : parts.model.config.context);
  return std::make_unique<LmObjective>(std::move(parts), static_cast<uint64_t>(recipe.train.seed), device);
}

LmObjective::Parts parts_of(train::Recipe& recipe, const SampleSource& source, const LmTraining& training,
                            at::Device device) {
  LmModelTable table;
  from_json(recipe.model, table, "recipe", "model");
  if (table.tokenizer.empty()) table.tokenizer = table.from.empty() ? recipe.data.text.tokenizer : table.from;
  if (table.tokenizer.empty()) throw UserError("[recipe] model.tokenizer is missing; want a tokenizer directory");

  LmObjective::Parts parts;
  parts.tokenizer = text::load_tokenizer(table.tokenizer);
  parts.tokenizer_directory = table.tokenizer;
  parts.base = table.from;
  parts.given_chat = !table.chat_template.empty();
  if (parts.given_chat)
    parts.chat = text::ChatTemplate::given(table.chat_template, text::special_tokens_of(*parts.tokenizer));
  else if (recipe.data.kind == "chat") parts.chat = text::ChatTemplate::of(table.tokenizer);
  if (const std::string end = parts.chat ? text::spelled_end(*parts.chat, *parts.tokenizer) : ""; !end.empty())
    log_warning(
        "[lm] the tokenizer has no token for {}, with which the chat template ends an answer: answers may not "
        "end; take a template whose marks it has",
        Json(end).dump());
  const auto seed = static_cast<uint64_t>(recipe.train.seed);
  parts.model =
      table.from.empty() ? new_model(table, parts.tokenizer->vocabulary(), seed, device) : start_of(table, device);
  recipe.model = to_json(table);
  if (recipe.data.kind == "text" && recipe.data.text.length > parts.model.config.context)
    throw UserError("[recipe] data.text.length is {}, more than the model's context, {}", recipe.data.text.length,
                    parts.model.config.context);
  parts.tune = table.tune;
  parts.training = training;
  parts.heldout = source.heldout(static_cast<uint64_t>(std::max<int64_t>(0, training.heldout)));
  return parts;
}

}  // namespace tessera::lm
