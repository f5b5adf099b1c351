// One choice of a request: ids become whole characters and, where they are wanted, notes.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "generate/text_sequence.h"
#include "serve/task.h"

namespace tessera::serve {

/// The note of `id` given the logits [V] fp32 (CPU) that it was drawn from; V is what the tokenizer has.
TokenNote note_of(const Tensor& logits, int32_t id, int64_t top);

class ServedSequence final : public generate::Sequence {
 public:
  /// Throws UserError as Sequence does.
  ServedSequence(generate::Prompt prompt, const text::Tokenizer& tokenizer, const TextTask& task, size_t choice);
  bool watches() const override { return notes_ >= 0; }
  void see(const Tensor& logits) override { logits_ = logits.clone(); }

 protected:
  void on_id(int32_t id) override;
  generate::StopReason on_finish(generate::StopReason reason) override;

 private:
  void show(const std::string& text);
  size_t choice_;
  int64_t notes_;
  std::shared_ptr<Listener> listener_;
  text::StreamDecoder decoder_;
  generate::StopText stop_;
  Tensor logits_;                   // that the next id is drawn from
  std::vector<TokenNote> waiting_;  // of ids whose text is held back
};

}  // namespace tessera::serve
