// Prompts are read row by row, their short ends together. Only positions that are asked for go through the head: for a long prompt
// and a large vocabulary the logits of all would be most of the memory.
#include "models/lm/text/decode.h"

#include <algorithm>
#include <utility>

#include <ATen/ops/cat.h>
#include <ATen/ops/tensor.h>
#include <c10/core/InferenceMode.h>

#include "core/error.h"
#include "nn/kernels/row_linear.h"

namespace tessera::lm {

namespace {
constexpr size_t short_together = 256;  // positions of short pieces that go through the model at once
constexpr int64_t read_chunk = 256;     // of what follows a prompt
constexpr int64_t long_piece = nn::BlockCache::long_piece;
}  // namespace

at::ScalarType cache_format(const DecoderLm& model, const DecodeOptions& options) {
  if (options.cache_int8) return at::kChar;
  const at::ScalarType passed = model.norm.weight.scalar_type();
  if (!options.cache_bf16 || model.layers.empty() || passed != at::kFloat) return passed;
  const nn::Linear& linear = model.layers.front().mlp.gate_proj;
  const bool narrow = linear.packed || linear.weight.element_size() < 4;
  return narrow && linear.device().is_cpu() ? at::kBFloat16 : passed;
}

LmSteps::LmSteps(const DecoderLm& model, const DecodeOptions& options)
    : model_(&model), plain_pass_(PlainPass::of(model)), options_(options),
      cache_({.depth = model.config.depth,
              .block = options.block,
              .stored = cache_format(model, options),
              .capacity = options.capacity / options.block,
              .known = options.capacity > 0 ? options.capacity / options.block : 64,
              .recurrent = model.config.linear.has_value()}) {
  const LmConfig& c = model.config;
  if (options.capacity > 0 && model.embed_tokens.device().is_cpu())
    cache_.take_capacity(model.norm.weight.scalar_type(), c.kv_heads, c.head_dim);
}

Tensor LmSteps::embedded(std::span<const int32_t> ids) const {
  const int64_t rows = model_->config.vocabulary;
  for (const int32_t id : ids) {
    if (id < 0 || id >= rows)
      throw UserError("[lm] token id {} has no row in the embedding, want 0 to {}", id, rows - 1);
  }
  const Tensor wanted = at::tensor(std::vector<int64_t>(ids.begin(), ids.end()), at::kLong);
  return model_->embed(wanted.to(model_->embed_tokens.device()).unsqueeze(0)).squeeze(0);
}

Tensor LmSteps::logits_of(const Tensor& hidden) const {
  const nn::RowByRow guard;
  return model_->logits(hidden);
}

/// One pass: the next `count` positions of a single reading, or (count 0) all that is left of several short ones. Gives the hidden
/// states [n, C] of all.
Tensor LmSteps::pass(const std::vector<Reading*>& pieces, int64_t count, bool logits) {
  const bool revocable = pieces.front()->revocable;
  std::vector<nn::BlockCache::Piece> shape;
  std::vector<Tensor> embeddings;
  std::vector<int64_t> indexes;
  int64_t end = 1;
  for (const Reading* piece : pieces) {
    const int64_t n = count > 0 ? count : piece->rest.size(0), begin = cache_.length(piece->row);
    shape.push_back({piece->row, n});
    embeddings.push_back(piece->rest.narrow(0, 0, n));
    for (int64_t i = 0; i < n; ++i) indexes.push_back(begin + i);
    end = std::max(end, begin + n);
  }
  const Tensor all = embeddings.size() == 1 ? embeddings.front() : at::cat(embeddings);
  const nn::RowByRow guard(count == 0);
  cache_.begin(shape, revocable);
  Tensor hidden;  // or logits
  if (count == 0 && plain_pass_) {
    const PlainPass::Result result = plain_pass_->run(all, indexes, cache_, logits);
    hidden = logits ? model_->capped(result.logits) : result.hidden;
  } else if (!logits && plain_pass_ && plain_pass_->takes_long()) {
    hidden = plain_pass_->run_long(all, indexes, cache_);
  } else {
    const Tensor where = at::tensor(indexes, at::kLong).to(all.device());
    hidden = model_->forward(all.unsqueeze(0), cached_positions(*model_, where, end), &cache_).squeeze(0);
    // in one format whichever way a row has gone, so that the head multiplies it alike beside any other
    if (plain_pass_) hidden = hidden.to(at::kFloat);
    if (logits) hidden = logits_of(hidden);
  }
  cache_.end();
  positions_ += all.size(0);
  return hidden;
}

/// Pieces that end at multiples of `chunk`; a short one at the end is left, to be read beside others.
void LmSteps::read_but_short_end(Reading& reading, int64_t chunk) {
  for (int64_t left = reading.rest.size(0); left > 0; left = reading.rest.size(0)) {
    const int64_t count = std::min(left, chunk - cache_.length(reading.row) % chunk);
    if (count == left && count < long_piece) return;
    if (count < long_piece) {  // up to a cut; row by row, as it would be beside others
      Reading piece{.row = reading.row, .rest = reading.rest.narrow(0, 0, count), .revocable = reading.revocable};
      reading.hidden.push_back(pass({&piece}, 0));
    } else {
      reading.hidden.push_back(pass({&reading}, count));
    }
    reading.rest = reading.rest.narrow(0, count, left - count);
    if (cache_.length(reading.row) % chunk == 0) cache_.keep_states(reading.row);
  }
}

void LmSteps::read_short_ends(std::vector<Reading>& readings) {
  std::vector<Reading*> together;
  int64_t positions = 0;
  const auto read_them = [&] {
    if (together.empty()) return;
    const Tensor hidden = pass(together, 0);
    int64_t from = 0;
    for (Reading* reading : together) {
      const int64_t count = reading->rest.size(0);
      reading->hidden.push_back(hidden.narrow(0, from, count));
      reading->rest = reading->rest.narrow(0, 0, 0);
      from += count;
    }
    together.clear();
    positions = 0;
  };
  for (Reading& reading : readings) {
    if (reading.rest.size(0) == 0) continue;
    if (positions + reading.rest.size(0) > static_cast<int64_t>(short_together)) read_them();
    together.push_back(&reading);
    positions += reading.rest.size(0);
  }
  read_them();
}

/// A row that holds what is known of the prompt's beginning.
LmSteps::Row LmSteps::begun(const generate::Prompt& prompt) {
  Row row;
  if (!present(prompt.embeddings)) row.ids = prompt.ids;
  if (last_ && !row.ids.empty()) {
    const auto [end, unused] = std::ranges::mismatch(last_->ids, row.ids);
    const int64_t shared =
        std::min<int64_t>({end - last_->ids.begin(), std::ssize(row.ids) - 1, cache_.length(last_->handle)});
    if (shared > 0) {
      row.handle = last_->handle;
      last_.reset();
      const int64_t known = cache_.rewind(row.handle, shared);
      recalled_ += known;
      if (known > 0) return row;
      cache_.release(row.handle);
    }
  }
  row.handle = cache_.add();
  if (!row.ids.empty()) recalled_ += cache_.recall(row.handle, row.ids, options_.chunk);
  return row;
}

/// The row of a prompt that was read ahead, or a new one.
LmSteps::Row LmSteps::taken(const generate::Prompt& prompt) {
  const auto found = ahead_.find(&prompt);
  if (found == ahead_.end()) return begun(prompt);
  Row row = std::move(found->second.row);
  ahead_.erase(found);
  return row;
}

/// Takes over what other prompts have had read in the meantime.
void LmSteps::catch_up(AheadRow& ahead) {
  Row& row = ahead.row;
  const int64_t at = cache_.length(row.handle);
  if (row.ids.empty() || cache_.known(row.ids, options_.chunk) <= at) return;
  cache_.release(row.handle);
  row.handle = cache_.add();
  const int64_t known = cache_.recall(row.handle, row.ids, options_.chunk);
  ahead.known += known - at;
  recalled_ += known - at;
}

LmSteps::Ahead LmSteps::read_ahead(const generate::Prompt& prompt, int64_t most) {
  const c10::InferenceMode inference;
  auto found = ahead_.find(&prompt);
  if (found == ahead_.end()) {
    Row row = begun(prompt);
    const int64_t known = cache_.length(row.handle);
    found = ahead_.emplace(&prompt, AheadRow{std::move(row), known}).first;
  }
  const int64_t all = prompt.length(), chunk = options_.chunk;
  AheadRow& ahead = found->second;
  for (int64_t read = 0; read < most;) {
    catch_up(ahead);
    const auto handle = ahead.row.handle;
    const int64_t at = cache_.length(handle), count = chunk - at % chunk;
    if (all - at <= count) break;  // the last piece is read when it joins
    Reading piece{
        .row = handle,
        .rest = present(prompt.embeddings)
                    ? prompt.embeddings.narrow(0, at, count)
                    : embedded(std::span(ahead.row.ids).subspan(static_cast<size_t>(at), static_cast<size_t>(count)))};
    pass({&piece}, count < long_piece ? 0 : count);
    cache_.keep_states(handle);
    if (!ahead.row.ids.empty()) cache_.remember(handle, ahead.row.ids);
    read += count;
  }
  return {.left = all - cache_.length(ahead.row.handle), .known = ahead.known};
}

void LmSteps::forget(const generate::Prompt& prompt) {
  const auto found = ahead_.find(&prompt);
  if (found == ahead_.end()) return;
  cache_.release(found->second.row.handle);
  ahead_.erase(found);
}

Tensor LmSteps::join(std::span<const generate::Prompt* const> prompts) {
  const c10::InferenceMode inference;
  std::vector<Reading> readings;
  for (const generate::Prompt* prompt : prompts) {
    TORCH_INTERNAL_ASSERT(prompt->length() > 0, "a prompt of at least one position");
    rows_.push_back(taken(*prompt));
    const Row& row = rows_.back();
    const int64_t known = cache_.length(row.handle);
    const Tensor rest = present(prompt->embeddings) ? prompt->embeddings.narrow(0, known, prompt->length() - known)
                                                    : embedded(std::span(row.ids).subspan(static_cast<size_t>(known)));
    readings.push_back({.row = row.handle, .rest = rest});
    read_but_short_end(readings.back(), options_.chunk);
    if (!row.ids.empty()) cache_.remember(row.handle, row.ids);  // the next prompt may begin alike
  }
  read_short_ends(readings);
  for (const Reading& reading : readings) cache_.keep_states(reading.row);
  std::vector<Tensor> last;
  for (const Reading& reading : readings)
    last.push_back(reading.hidden.back().narrow(0, reading.hidden.back().size(0) - 1, 1));
  return logits_of(at::cat(last));
}

std::vector<Tensor> LmSteps::read(const std::vector<std::vector<int32_t>>& ids) {
  const c10::InferenceMode inference;
  TORCH_INTERNAL_ASSERT(ids.size() == rows_.size(), "ids for every row");
  std::vector<Reading> readings;
  for (size_t r = 0; r < ids.size(); ++r) {
    readings.push_back({.row = rows_[r].handle, .rest = embedded(ids[r]), .revocable = true});
    if (!rows_[r].ids.empty()) rows_[r].ids.insert(rows_[r].ids.end(), ids[r].begin(), ids[r].end());
    read_but_short_end(readings.back(), read_chunk);
  }
  read_short_ends(readings);
  std::vector<Tensor> hidden;
  for (Reading& reading : readings) hidden.push_back(reading.hidden.empty() ? reading.rest : at::cat(reading.hidden));
  return hidden;
}

Tensor LmSteps::verify(const std::vector<std::vector<int32_t>>& ids) {
  const c10::InferenceMode inference;
  return logits_of(at::cat(read(ids)));
}

Tensor LmSteps::next(std::span<const int32_t> ids) {
  const c10::InferenceMode inference;
  TORCH_INTERNAL_ASSERT(ids.size() == rows_.size(), "an id for every row");
  std::vector<Reading> readings;
  std::vector<Reading*> together;
  std::vector<Tensor> logits;
  const Tensor embeddings = embedded(ids);
  for (size_t r = 0; r < ids.size(); ++r) {
    readings.push_back({.row = rows_[r].handle, .rest = embeddings.narrow(0, static_cast<int64_t>(r), 1)});
    if (!rows_[r].ids.empty()) rows_[r].ids.push_back(ids[r]);
  }
  for (size_t begin = 0; begin < readings.size(); begin += short_together) {
    together.clear();
    for (size_t r = begin; r < std::min(readings.size(), begin + short_together); ++r) together.push_back(&readings[r]);
    logits.push_back(pass(together, 0, /*logits=*/true));
  }
  return logits.size() == 1 ? logits.front() : at::cat(logits);
}

void LmSteps::rewind(size_t row, int64_t length) {
  const int64_t wanted = std::clamp<int64_t>(length, 0, this->length(row));
  cache_.rewind(rows_[row].handle, wanted);
  read_again(row, wanted);
  if (!rows_[row].ids.empty()) rows_[row].ids.resize(static_cast<size_t>(wanted));
}

/// Reads a row's ids up to `length` where the cache had to go back further.
void LmSteps::read_again(size_t row, int64_t length) {
  const c10::InferenceMode inference;
  const int64_t from = this->length(row);
  if (from == length) return;
  TORCH_INTERNAL_ASSERT(!rows_[row].ids.empty(), "embeddings are not kept, so they cannot be read again");
  const auto ids = std::span(rows_[row].ids).subspan(static_cast<size_t>(from), static_cast<size_t>(length - from));
  std::vector<Reading> again;
  again.push_back({.row = rows_[row].handle, .rest = embedded(ids)});
  read_but_short_end(again.front(), options_.chunk);
  read_short_ends(again);
}

void LmSteps::keep(std::span<const size_t> rows) {
  std::vector<bool> stays(rows_.size(), false);
  std::vector<Row> kept;
  for (const size_t row : rows) stays[row] = true, kept.push_back(rows_[row]);
  for (size_t row = 0; row < rows_.size(); ++row) {
    if (stays[row]) continue;
    if (options_.keep_last && !rows_[row].ids.empty()) {
      if (last_) cache_.release(last_->handle);
      last_ = std::move(rows_[row]);
    } else {
      cache_.release(rows_[row].handle);
    }
  }
  rows_ = std::move(kept);
}

void LmSteps::fork(size_t row, int64_t length) {
  Row copy{.handle = cache_.fork(rows_[row].handle, length), .ids = rows_[row].ids};
  rows_.push_back(std::move(copy));
  read_again(rows_.size() - 1, length);
  if (!rows_.back().ids.empty()) rows_.back().ids.resize(static_cast<size_t>(length));
}

}  // namespace tessera::lm
