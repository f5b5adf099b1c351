// Some samples of a source: those whose numbers a file lists, as `tessera data prune` writes it.
#pragma once

#include <memory>
#include <string_view>
#include <vector>

#include "core/files.h"
#include "data/sample.h"

namespace tessera::data {

/// Whole numbers, one a line; empty lines count for nothing. `source` names the text in errors. Throws UserError for a line that is
/// no number, and for a text without any.
std::vector<uint64_t> parse_sample_numbers(std::string_view text, std::string_view source);

/// Every pass visits each listed sample once, in an order of its own.
class Selected final : public SampleSource {
 public:
  Selected(std::unique_ptr<SampleSource> all, const Path& file);
  Sample at(uint64_t index) const override;
  std::string edition() const override;
  std::optional<uint64_t> pass_length() const override { return numbers_.size(); }
  std::vector<Sample> heldout(uint64_t most) const override { return all_->heldout(most); }
  size_t longest_caption() const override { return all_->longest_caption(); }

 private:
  std::unique_ptr<SampleSource> all_;
  std::vector<uint64_t> numbers_;
};

/// So many samples of a source, chosen by a seed: of one pass, or of an endless source its first ones. Every pass visits each once, in
/// an order of its own.
class Subset final : public SampleSource {
 public:
  Subset(std::unique_ptr<SampleSource> all, int64_t samples, uint64_t seed);
  Sample at(uint64_t index) const override;
  std::string edition() const override { return all_->edition(); }
  std::optional<uint64_t> pass_length() const override { return samples_; }
  std::vector<Sample> heldout(uint64_t most) const override { return all_->heldout(most); }
  size_t longest_caption() const override { return all_->longest_caption(); }

 private:
  std::unique_ptr<SampleSource> all_;
  uint64_t samples_, seed_;
};

}  // namespace tessera::data
