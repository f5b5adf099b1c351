// Teaching a decoder language model: the next token of people's texts, or an assistant's turns in conversations.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "models/lm/architecture/module.h"
#include "text/chat_template.h"
#include "text/tokenizer.h"
#include "train/objective.h"
#include "train/packing.h"
#include "train/recipe.h"
#include "train/tune.h"

namespace tessera::lm {

/// A recipe's `[model]` table: a checkpoint to start from, or the shape of a new model.
struct LmModelTable {
  std::string from;                   // model directory; the shape below is then not asked
  std::string tokenizer;              // directory; empty: that of `from`, or the one that the data were made with
  std::string chat_template;          // by name, or a file; empty: the tokenizer's own
  std::vector<std::string> adapters;  // PEFT directories that are merged into `from` before anything is trained
  std::string family = "llama";
  int64_t width = 256, depth = 6, heads = 4, kv_heads = 4;
  int64_t hidden = 0;     // 0: 8/3 of the width, in steps of 32
  int64_t context = 512;  // longest sequence
  double norm_eps = 1e-5, rope_theta = 10'000;
  bool tied = true;
  train::TuneConfig tune;
  bool operator==(const LmModelTable&) const = default;
};
template <class V> void fields(V& v, LmModelTable& m) {
  v("from", m.from, "model directory to start from; the shape is then its own");
  v("tokenizer", m.tokenizer, "tokenizer directory (empty: of `from`, or of the data)");
  v("chat_template", m.chat_template, "chat template by name, or a file (empty: the tokenizer's own)");
  v("adapters", m.adapters, "PEFT adapter directories that are merged into `from` before training");
  v("family", m.family, "model_type of a new model: llama, qwen2, gemma, gemma2 or olmo2");
  v("width", m.width, "model width"), v("depth", m.depth, "blocks"), v("heads", m.heads, "attention heads");
  v("kv_heads", m.kv_heads, "heads of keys and values, a divisor of heads");
  v("hidden", m.hidden, "width inside the feed-forward layer (0: 8/3 of the width)");
  v("context", m.context, "longest sequence, tokens"), v("norm_eps", m.norm_eps, "added to the mean square in norms");
  v("rope_theta", m.rope_theta, "rotary base"), v("tied", m.tied, "the head is the embedding");
  v("tune", m.tune, "what is trained");
}

/// A recipe's `[loss]` table.
struct LmTraining {
  int64_t length = 0;                // conversations: longest row; longer ones are cut. 0: the model's context
  bool pack = true;                  // several conversations in a row where they fit
  bool recompute = false;            // gradient checkpointing
  int64_t heldout = 256;             // held-out samples that are measured
  int64_t continued = 0;             // of them: how many are continued, for the repetition metrics of greedy text
  int64_t continued_tokens = 96;     // new tokens of a continuation
  std::vector<std::string> prompts;  // continued into samples/
  int64_t prompt_tokens = 48;        // how far
  std::string stored = "f16";        // format of saved weights: f16, bf16 or f32
  bool operator==(const LmTraining&) const = default;
};
template <class V> void fields(V& v, LmTraining& t) {
  v("length", t.length, "conversations: longest row in tokens; longer ones are cut (0: the model's context)");
  v("pack", t.pack, "several conversations in a row where they fit");
  v("recompute", t.recompute, "compute blocks again in the backward pass instead of keeping them");
  v("heldout", t.heldout, "held-out samples that are measured");
  v("continued", t.continued, "held-out samples that are continued greedily, to measure how alive the text is"),
      v("continued_tokens", t.continued_tokens, "new tokens of a continuation");
  v("prompts", t.prompts, "beginnings that are continued into samples/");
  v("prompt_tokens", t.prompt_tokens, "tokens of a continuation");
  v("stored", t.stored, "format of saved weights: f16, bf16 or f32");
}

/// A sample as ids and what comes next at each place: `tokens` in full, of `messages` the assistant's turns. At most `room` long.
train::Sequence sequence_of(const Sample& sample, const text::Tokenizer& tokenizer,
                            const std::optional<text::ChatTemplate>& chat, int64_t room);

/// Looks at every row of a conversation source once, before anything is trained: counts and names those of which the cut at `room` leaves
/// no token to learn. Throws UserError when that is so of all of them.
void require_learnable(const SampleSource& source, const text::Tokenizer& tokenizer,
                       const std::optional<text::ChatTemplate>& chat, int64_t room);

class LmObjective final : public train::Objective {
 public:
  struct Parts {
    DecoderLm model;
    std::shared_ptr<const text::Tokenizer> tokenizer;
    std::optional<text::ChatTemplate> chat;  // conversations need one
    Path tokenizer_directory;
    std::string base;         // what the model started from; empty: a new one
    bool given_chat = false;  // `chat` is not the tokenizer's own and is stored with the model
    train::TuneConfig tune;
    LmTraining training;
    std::vector<Sample> heldout;
  };
  /// Throws UserError for settings out of range and a tokenizer that has more tokens than the model.
  LmObjective(Parts parts, uint64_t seed, at::Device device);

  std::vector<train::Parameter> parameters() override;
  /// The sample's ids and targets. Throws UserError for samples without words, or with pictures.
  std::unique_ptr<train::Prepared> prepare(Sample sample) const override;
  /// Mean loss in nats over the learned tokens of the batch, which are its weight among micro-batches.
  train::Loss prepared_loss(const train::PreparedBatch& batch, const train::StepContext& context) override;
  /// config.json, generation_config.json, model.safetensors and the tokenizer's files; of a tuned model also its adapters.
  void save_model(const Path& directory, FileSystem& files) override;
  /// STEM.txt: the prompts with their greedy continuations.
  void save_samples(const Path& directory, const std::string& stem) override;
  /// heldout_loss (nats a token), heldout_perplexity, heldout_bits_per_byte; where the data name parts, bits per byte of each. When
  /// held-out samples are continued, also heldout_ttr, heldout_repeated, heldout_entropy and heldout_top1 (see RepetitionMetrics).
  std::map<std::string, double> evaluate() override;

  const DecoderLm& model() const { return parts_.model; }
  const Parts& parts() const { return parts_; }
  /// Longest row in tokens.
  int64_t room() const;

 private:
  struct Graded {
    Tensor nats;          // [], summed over learned tokens
    int64_t learned = 0;  // how many
    train::PackedRows rows;
  };
  struct Row final : train::Prepared {
    train::Sequence sequence;
    bool conversation = false;
  };
  Graded grade(const std::vector<const Row*>& batch, bool recompute) const;
  Tensor summed_nats(const Tensor& hidden, const train::PackedRows& rows) const;
  void add_repetition_metrics(std::map<std::string, double>& metrics) const;

  Parts parts_;
  uint64_t seed_;
  at::Device device_;
};

/// Ids of the most likely continuation of each of `prompt`'s tokens, up to the end token or `most`.
std::vector<int32_t> continue_greedily(const DecoderLm& model, std::vector<int32_t> prompt, int64_t most,
                                       std::optional<int32_t> end);

/// What a recipe's `[model]` and `[data]` tables make of a language model that is to be trained; completes `[model]`. Throws UserError.
LmObjective::Parts parts_of(train::Recipe& recipe, const SampleSource& source, const LmTraining& training,
                            at::Device device);

/// `loss`, after `model` was read as well. Throws UserError for keys that the two tables cannot have.
template <class Training> Training tables_of(const Json& model, const Json& loss, std::string_view source) {
  LmModelTable table;
  from_json(model, table, source, "model");
  Training training;
  from_json(loss, training, source, "loss");
  return training;
}

/// Throws UserError for keys that the recipe's tables cannot have; loads nothing.
void check_lm_tables(const Json& model, const Json& loss, std::string_view source);

/// The objective "lm" of a recipe; completes the recipe's `[model]` and `[loss]` tables. Throws UserError.
std::unique_ptr<train::Objective> make_lm_objective(train::Recipe& recipe, const SampleSource& source,
                                                    at::Device device);

}  // namespace tessera::lm
