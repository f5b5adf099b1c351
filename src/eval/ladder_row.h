// Measurements as rows of a ladder's table, the CSV that `tessera plan` reads (docs/planning.md).
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "core/files.h"

namespace tessera::eval {

/// What was measured of one checkpoint.
struct LadderRow {
  std::string run;                      // rows of one run are its checkpoints
  std::string role = "train";           // a rung; or "target"
  double params = 0;                    // N, non-embedding
  double tokens = 0;                    // D so far
  std::map<std::string, double> cells;  // "mmlu_bpb", "mmlu_acc", "c4_loss", ...
};

/// The table with the row in it: a row of the same run and tokens takes the cells over, else one is added; columns
/// that are new are added at the end. Everything else stays. Throws UserError for a malformed table and for N or D that
/// are not above 0.
std::string with_ladder_row(std::string_view csv, const std::string& source, const LadderRow& row);
/// The same for a file, which need not be there yet; written whole or not at all.
void append_ladder_row(const Path& file, const LadderRow& row, FileSystem& files = disk());

/// Scalars of a model directory but for embeddings and the head, from the files' headers; nothing for packed weights,
/// whose headers do not give it.
std::optional<int64_t> non_embedding_parameters(const Path& directory);

}  // namespace tessera::eval
