// Rows of guided pictures, and the loop over them.
#include "models/liquid/draw.h"

#include <ATen/ops/cat.h>
#include <ATen/ops/stack.h>

#include <algorithm>
#include <map>

#include "core/error.h"

namespace tessera::liquid {

PictureSteps::PictureSteps(const lm::DecoderLm& model, std::vector<int32_t> unconditional, double cfg,
                           const lm::DecodeOptions& options)
    : unconditional_(std::move(unconditional)), cfg_(cfg), steps_(model, options) {}

Tensor PictureSteps::guided(const Tensor& conditional, const Tensor& unconditional) const {
  const Tensor c = conditional.to(at::kFloat), u = unconditional.to(at::kFloat);
  return u + cfg_ * (c - u);
}

Tensor PictureSteps::join(std::span<const generate::Prompt* const> prompts) {
  // given codes stand behind the prompt, and so behind the unconditional one too
  std::map<std::vector<int32_t>, size_t> places;  // of prompts that differ, among `read`
  std::vector<generate::Prompt> read;
  const auto place_of = [&](const std::vector<int32_t>& ids) {
    const auto [at, fresh] = places.try_emplace(ids, read.size());
    if (fresh) read.push_back({.ids = ids});
    return at->second;
  };
  std::vector<std::pair<size_t, size_t>> wanted;
  for (const generate::Prompt* prompt : prompts) {
    const size_t conditional = place_of(prompt->ids);
    if (!guides()) {
      wanted.emplace_back(conditional, conditional);
      continue;
    }
    const auto begin = std::ranges::find(prompt->ids, unconditional_.back());
    std::vector<int32_t> other = unconditional_;
    if (begin != prompt->ids.end()) other.insert(other.end(), begin + 1, prompt->ids.end());
    wanted.emplace_back(conditional, place_of(other));
  }
  const size_t base = steps_.rows();
  std::vector<const generate::Prompt*> pointers;
  for (const generate::Prompt& each : read) pointers.push_back(&each);
  const Tensor logits = steps_.join(pointers);
  std::vector<bool> taken(read.size(), false);
  const auto row_of = [&](size_t place) {
    if (!taken[place]) {
      taken[place] = true;
      return base + place;
    }
    steps_.fork(base + place, steps_.length(base + place));
    return steps_.rows() - 1;
  };
  std::vector<Tensor> mixed;
  for (const auto& [conditional, unconditional] : wanted) {
    Pair pair{.conditional = row_of(conditional)};
    const Tensor c = logits[static_cast<int64_t>(conditional)];
    if (guides()) {
      pair.unconditional = row_of(unconditional);
      pair.shift = steps_.length(pair.conditional) - steps_.length(pair.unconditional);
    }
    mixed.push_back(guides() ? guided(c, logits[static_cast<int64_t>(unconditional)]) : c);
    rows_.push_back(pair);
  }
  return at::stack(mixed);
}

Tensor PictureSteps::next(std::span<const int32_t> ids) {
  std::vector<int32_t> all(steps_.rows());
  std::vector<int64_t> conditional, unconditional;
  for (size_t r = 0; r < rows_.size(); ++r) {
    all[rows_[r].conditional] = ids[r];
    conditional.push_back(static_cast<int64_t>(rows_[r].conditional));
    if (!guides()) continue;
    all[rows_[r].unconditional] = ids[r];
    unconditional.push_back(static_cast<int64_t>(rows_[r].unconditional));
  }
  const Tensor logits = steps_.next(all);
  const auto chosen = [&](const std::vector<int64_t>& rows) {
    std::vector<Tensor> each;
    for (const int64_t row : rows) each.push_back(logits[row]);
    return at::stack(each);
  };
  return guides() ? guided(chosen(conditional), chosen(unconditional)) : chosen(conditional);
}

Tensor PictureSteps::verify(const std::vector<std::vector<int32_t>>& ids) {
  std::vector<std::vector<int32_t>> all(steps_.rows());
  for (size_t r = 0; r < rows_.size(); ++r) {
    all[rows_[r].conditional] = ids[r];
    if (guides()) all[rows_[r].unconditional] = ids[r];
  }
  const Tensor logits = steps_.verify(all);
  std::vector<int64_t> begins;
  int64_t from = 0;
  for (const auto& each : all) {
    begins.push_back(from);
    from += std::ssize(each);
  }
  std::vector<Tensor> mixed;
  for (size_t r = 0; r < rows_.size(); ++r) {
    const Tensor c = logits.narrow(0, begins[rows_[r].conditional], std::ssize(ids[r]));
    mixed.push_back(guides() ? guided(c, logits.narrow(0, begins[rows_[r].unconditional], std::ssize(ids[r]))) : c);
  }
  return at::cat(mixed);
}

void PictureSteps::rewind(size_t row, int64_t length) {
  steps_.rewind(rows_[row].conditional, length);
  if (guides()) steps_.rewind(rows_[row].unconditional, length - rows_[row].shift);
}

void PictureSteps::keep(std::span<const size_t> rows) {
  std::vector<size_t> kept;
  std::vector<Pair> pairs;
  for (const size_t row : rows) {
    Pair pair = rows_[row];
    kept.push_back(pair.conditional);
    pair.conditional = kept.size() - 1;
    if (guides()) {
      kept.push_back(pair.unconditional);
      pair.unconditional = kept.size() - 1;
    }
    pairs.push_back(pair);
  }
  steps_.keep(kept);
  rows_ = std::move(pairs);
}

lm::DecoderLm with_code_head(const lm::DecoderLm& model, const PictureTokens& pictures) {
  nn::Linear head = model.head();
  if (head.packed || head.lora || !present(head.weight)) return model;
  head.weight = head.weight.narrow(0, pictures.first, pictures.codes);
  if (present(head.bias)) head.bias = head.bias.narrow(0, pictures.first, pictures.codes);
  lm::DecoderLm drawing = model;  // tensors are handles: copying shares them
  drawing.lm_head = head;
  drawing.config.tied = false;
  return drawing;
}

namespace {

/// Guesses from the plan's drafts, as ids.
generate::Recall recall_of(const CodePlan& plan, const PictureTokens& pictures) {
  if (plan.drafts == nullptr) return {};
  return [&plan, first = static_cast<int32_t>(pictures.first)](const generate::Sequence& sequence, int64_t most) {
    std::vector<int64_t> codes = plan.given;
    std::ranges::copy(static_cast<const CodeSequence&>(sequence).codes(), std::back_inserter(codes));
    std::vector<int32_t> ids = plan.drafts->after(codes, most);
    for (int32_t& id : ids) id += first;
    return ids;
  };
}

}  // namespace

DrawnCodes draw_codes(const lm::DecoderLm& model, const Prompter& prompter,
                      const std::vector<std::vector<int32_t>>& prompts, const CodePlan& plan,
                      std::vector<std::vector<int64_t>>* so_far) {
  const at::NoGradGuard no_grad;
  const PictureTokens& pictures = prompter.pictures();
  const int64_t all = plan.count > 0 ? plan.count : pictures.count(), given = std::ssize(plan.given);
  DrawnCodes drawn;
  if (given >= all) {
    drawn.codes.assign(prompts.size(), {plan.given.begin(), plan.given.begin() + all});
    return drawn;
  }
  const std::vector<int32_t> given_ids = prompter.ids_of(plan.given);
  std::vector<std::unique_ptr<CodeSequence>> sequences;
  std::vector<generate::Sequence*> rows;
  for (size_t i = 0; i < prompts.size(); ++i) {
    generate::Prompt prompt{.ids = prompts[i]};
    prompt.ids.insert(prompt.ids.end(), given_ids.begin(), given_ids.end());
    const int64_t needed = prompt.length() + all - given;
    if (needed > model.config.context)
      throw UserError("[liquid] prompt {} has {} tokens, a picture {}; the context is {} positions, {} too few", i + 1,
                      prompts[i].size(), all, model.config.context, needed - model.config.context);
    sequences.push_back(std::make_unique<CodeSequence>(
        std::move(prompt), generate::SequenceOptions{.stream = plan.first_stream + i, .max_new_tokens = all - given},
        pictures, plan.sampling));
    rows.push_back(sequences.back().get());
  }
  const auto collect = [&](std::vector<std::vector<int64_t>>& into) {
    into.assign(sequences.size(), plan.given);
    for (size_t i = 0; i < sequences.size(); ++i) std::ranges::copy(sequences[i]->codes(), std::back_inserter(into[i]));
  };
  int64_t known = given;
  const auto on_step = [&](int64_t) {
    int64_t least = all;
    for (const auto& sequence : sequences) least = std::min(least, given + std::ssize(sequence->new_ids()));
    if (!plan.on_codes || least == known) return true;
    known = least;
    if (so_far != nullptr) collect(*so_far);
    return plan.on_codes(least);
  };
  const lm::DecoderLm drawing = with_code_head(model, pictures);
  PictureSteps steps(drawing, plan.unconditional.empty() ? prompter.unconditional() : plan.unconditional, plan.cfg,
                     plan.decode);
  if (plan.jacobi.window > 1) {
    drawn.counts = generate::run_jacobi(steps, rows, plan.jacobi, on_step, recall_of(plan, pictures));
  } else {
    ++drawn.counts.passes;
    generate::IdLoop loop(steps);
    loop.join(rows);
    while (!loop.running().empty()) {
      if (!on_step(loop.drawn())) {
        for (generate::Sequence* row : loop.running()) row->finish(generate::StopReason::caller);
      }
      if (!loop.step()) break;
      ++drawn.counts.passes;
    }
    drawn.counts.ids = loop.drawn();
    for (const generate::Sequence* row : rows) row->require_sound();
  }
  collect(drawn.codes);
  return drawn;
}

}  // namespace tessera::liquid
