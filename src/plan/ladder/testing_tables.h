// For tests: ladder tables as text, and the messages about them.
#pragma once

#include <string>
#include <vector>

#include "core/error.h"
#include "plan/csv.h"
#include "plan/ladder/ladder_table.h"

namespace tessera::plan::testing {

/// The published runs, as they ship.
inline const LadderTable& shipped_table() {
  static const LadderTable table =
      read_ladder_table(Path(TESSERA_SOURCE_DIR) / "examples/ladder/ladder_checkpoints.csv");
  return table;
}

/// The message of the UserError that `act` throws; "nothing was refused" otherwise.
template <class Act> std::string refusal(const Act& act) {
  try {
    act();
  } catch (const UserError& error) {
    return error.what();
  }
  return "nothing was refused";
}

/// Any text as one cell.
inline std::string quoted(const std::string& text) {
  std::string cell = "\"";
  for (const char c : text) cell += c == '"' ? std::string("\"\"") : std::string(1, c);
  return cell + "\"";
}

/// The rows of a table, header first, without line ends.
inline std::vector<std::string> csv_rows(const LadderTable& table) {
  std::string header = "run,role,n_params,tokens,flops_per_token";
  if (table.has_loss) header += ",c4_loss";
  for (const std::string& task : table.tasks) {
    for (const char* kind : {"_bpb", "_acc", "_ce"}) header += "," + quoted(task + kind);
  }
  std::vector<std::string> rows = {header};
  const auto add = [&](const LadderRun& run, const std::string& role) {
    for (size_t i = 0; i < run.tokens.size(); ++i) {
      std::string& row = rows.emplace_back(quoted(run.name) + "," + role);
      const auto cell = [&row](double value) { row += "," + csv_number(value); };
      cell(run.params);
      cell(run.tokens[i]);
      cell(run.flops_per_token);
      if (table.has_loss) cell(run.loss[i]);
      for (const TaskSeries& task : run.tasks) {
        cell(task.bpb[i]);
        cell(task.acc[i]);
        cell(task.ce[i]);
      }
    }
  };
  for (const LadderRun& run : table.runs) add(run, "train");
  for (const LadderRun& run : table.targets) add(run, "target");
  return rows;
}

inline std::string joined(const std::vector<std::string>& rows) {
  std::string text;
  for (const std::string& row : rows) text += row + "\n";
  return text;
}

inline std::string csv_text(const LadderTable& table) { return joined(csv_rows(table)); }

}  // namespace tessera::plan::testing
