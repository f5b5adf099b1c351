// The same loop that writes everything else, over the weights as they stand.
#include "models/lm/training/rollouts.h"

#include <algorithm>

#include "core/error.h"
#include "models/lm/text/decode.h"
#include "tensor/device.h"
#include "train/grading.h"

namespace tessera::lm {

namespace {
std::string text_of(const text::Tokenizer& tokenizer, const std::vector<int32_t>& ids) {
  text::StreamDecoder decoder(tokenizer);
  std::string text;
  for (const int32_t id : ids) text += decoder.push(id);
  return text + decoder.finish();
}
}  // namespace

RolloutPrompt rollout_prompt(const Sample& sample, const text::Tokenizer& tokenizer,
                             const std::optional<text::ChatTemplate>& chat) {
  const std::string where = sample.where.empty() ? "a sample" : sample.where;
  if (!sample.media.empty()) throw UserError("[lm] {} has pictures, which this model does not see", where);
  if (sample.messages.empty()) throw UserError("[lm] {} has no turns; want data.kind = \"chat\"", where);
  if (!chat)
    throw UserError("[lm] the tokenizer has no chat template; name one as model.chat_template, for example chatml");
  std::vector<text::Message> turns = sample.messages;
  while (!turns.empty() && turns.back().role != "assistant") turns.pop_back();
  if (turns.size() < 2) throw UserError("[lm] {} has no question before its answer", where);
  const text::ChatIds whole = text::encode_chat(tokenizer, chat->pieces(turns, false, {.tools = sample.tools}));
  RolloutPrompt prompt{.reference = turns.back().content, .where = where};
  const auto last = std::ranges::find(whole.answer.rbegin(), whole.answer.rend(), 1);
  if (last != whole.answer.rend()) {
    const int32_t id = whole.ids[static_cast<size_t>(whole.answer.rend() - last - 1)];
    if (tokenizer.is_special(id)) prompt.end = id;
  }
  if (prompt.end < 0) prompt.end = tokenizer.end_token().value_or(-1);
  turns.pop_back();
  prompt.ids = text::encode_chat(tokenizer, chat->pieces(turns, true, {.tools = sample.tools})).ids;
  const auto user = std::ranges::find(turns.rbegin(), turns.rend(), "user", &text::Message::role);
  if (user != turns.rend()) prompt.question = user->content;
  return prompt;
}

std::vector<Rollout> sample_rollouts(const DecoderLm& model, const text::Tokenizer& tokenizer,
                                     const std::vector<const RolloutPrompt*>& prompts, const RolloutOptions& options) {
  const at::NoGradGuard no_grad;
  const NoAutocast plain(model.norm.weight.device());  // writing is no part of the step's products
  std::vector<std::unique_ptr<generate::Sequence>> sequences;
  for (size_t p = 0; p < prompts.size(); ++p) {
    for (int64_t i = 0; i < options.group; ++i) {
      generate::SequenceOptions how{.sampling = options.sampling,
                                    .stream = sequences.size(),
                                    .max_new_tokens = options.max_new_tokens,
                                    .context = model.config.context,
                                    .end_tokens = {},
                                    .vocabulary = tokenizer.vocabulary()};
      if (prompts[p]->end >= 0) how.end_tokens.push_back(prompts[p]->end);
      sequences.push_back(std::make_unique<generate::Sequence>(generate::Prompt{.ids = prompts[p]->ids}, how));
    }
  }
  const auto at_once = static_cast<size_t>(options.at_once);
  for (size_t begin = 0; begin < sequences.size(); begin += at_once) {
    std::vector<generate::Sequence*> batch;
    for (size_t i = begin; i < std::min(begin + at_once, sequences.size()); ++i) batch.push_back(sequences[i].get());
    LmSteps steps(model);
    generate::run(steps, batch);
  }
  std::vector<Rollout> rollouts;
  for (size_t i = 0; i < sequences.size(); ++i) {
    const generate::Sequence& done = *sequences[i];
    rollouts.push_back({.prompt = i / static_cast<size_t>(options.group),
                        .ids = done.new_ids(),
                        .ended = done.reason() == generate::StopReason::end_token,
                        .text = text_of(tokenizer, done.new_ids())});
  }
  return rollouts;
}

train::Sequence sequence_of(const RolloutPrompt& prompt, const Rollout& rollout) {
  std::vector<int32_t> ids = prompt.ids;
  ids.insert(ids.end(), rollout.ids.begin(), rollout.ids.end());
  if (rollout.ended) ids.push_back(prompt.end);
  std::vector<uint8_t> answer(ids.size(), 0);
  std::fill(answer.begin() + std::ssize(prompt.ids), answer.end(), uint8_t{1});
  return train::graded_sequence(ids, answer, std::ssize(ids));
}

}  // namespace tessera::lm
