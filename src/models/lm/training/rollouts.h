// Answers that a model in training writes itself, and the sequences that are learned from them. What must stay true: an answer is a function of
// the weights and the seed alone, so that a resumed run writes the same ones.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "data/sample.h"
#include "generate/token_sampling.h"
#include "models/lm/architecture/module.h"
#include "text/chat_template.h"
#include "train/packing.h"

namespace tessera::lm {

/// What is answered: a conversation up to its last answer, which is the reference.
struct RolloutPrompt {
  std::vector<int32_t> ids;
  int32_t end = -1;       // the token that ends an answer; -1: none is known
  std::string question;   // the last user's turn
  std::string reference;  // the answer of the data
  std::string where;      // for messages
};

/// Throws UserError for a sample without turns, one with pictures, and where there is no chat template.
RolloutPrompt rollout_prompt(const Sample& sample, const text::Tokenizer& tokenizer,
                             const std::optional<text::ChatTemplate>& chat);

/// One answer.
struct Rollout {
  size_t prompt = 0;         // index of its prompt
  std::vector<int32_t> ids;  // without the token that ended it
  bool ended = false;        // by that token, not by the limit
  std::string text;
};

struct RolloutOptions {
  int64_t group = 1;  // answers to each prompt
  int64_t max_new_tokens = 256;
  generate::TokenSampling sampling;
  int64_t at_once = 32;  // answers written side by side
};

/// `group` answers to each prompt, those of one prompt beside each other. Without a tape and outside of autocast. Throws UserError for a
/// prompt that leaves no room in the model's context.
std::vector<Rollout> sample_rollouts(const DecoderLm& model, const text::Tokenizer& tokenizer,
                                     const std::vector<const RolloutPrompt*>& prompts, const RolloutOptions& options);

/// Prompt and answer, of which the answer and the token that ended it are graded.
train::Sequence sequence_of(const RolloutPrompt& prompt, const Rollout& rollout);

}  // namespace tessera::lm
