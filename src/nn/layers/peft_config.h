// What adapter_config.json says of the numbers of a PEFT adapter. What must stay true: a setting that would change the numbers is
// understood or refused by its name.
#pragma once

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "core/files.h"

namespace tessera::nn {

struct PeftConfig {
  double alpha = 8;
  int64_t rank = 8;
  bool root = false;                                         // rsLoRA: alpha / sqrt(rank)
  bool dora = false;                                         // layers have magnitudes
  std::vector<std::pair<std::string, double>> alphas;        // pattern of names: alpha, the first that matches counts
  std::vector<std::pair<std::string, int64_t>> ranks;        // the same of ranks
  std::map<std::string, std::vector<int64_t>> trained_rows;  // trainable_token_indices by the end of a module's name
  Path file;

  /// What the product of a layer's pair is multiplied by. Throws UserError when `rank`, that of its tensors, is not the config's.
  double scale(const std::string& layer, int64_t rank) const;
};

/// Throws UserError for a file that is no such config and for settings that are not supported.
PeftConfig read_peft_config(const Path& file);

}  // namespace tessera::nn
