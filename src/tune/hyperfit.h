// Hyperfitting (ICLR 2025): a pretrained model is trained on few samples, over and over, until its training loss is near
// zero. It is the one training loop with these settings: samples chosen by the seed, no weight decay, no dropout, a constant rate, no
// early stop by held-out loss.
#pragma once

#include <string>
#include <vector>

#include "core/fields.h"
#include "data/sample.h"
#include "train/recipe.h"

namespace tessera::tune {

/// A recipe's `[tune]` table under method = "hyperfit".
struct HyperfitConfig {
  int64_t samples = 2000;
  int64_t length = 256;
  double epochs = 20;
  double stop_loss = 0;
  std::vector<std::string> unseen;
  bool operator==(const HyperfitConfig&) const = default;
};
template <class V> void fields(V& v, HyperfitConfig& c) {
  v("samples", c.samples, "how many, chosen by data.text.seed (of other data than text: by data.samples_seed)");
  v("length", c.length, "tokens of a sample of text");
  v("epochs", c.epochs, "times that each sample is seen");
  v("stop_loss", c.stop_loss, "end early when an epoch's mean training loss is below (0: never)");
  v("unseen", c.unseen,
    "texts (files or folders) that the model will be measured on: a run that trains on them is refused");
}

/// Longest run of tokens that a sample may share with a text that is measured on.
inline constexpr int64_t longest_shared = 40;

void apply_hyperfit(train::Recipe& recipe);
void check_hyperfit(const train::Recipe& recipe, const SampleSource& source);
std::string hyperfit_verdict(const train::Recipe& recipe, const Path& run_directory);

}  // namespace tessera::tune
