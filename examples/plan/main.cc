// Forecasts a run from a ladder's table: own_plan runs.csv 7B=6.9B:3.9T
#include <cstdio>

#include "tessera/core/error.h"
#include "tessera/plan/ladder/ladder.h"

int main(int count, char** words) {
  if (count != 3) {
    std::fprintf(stderr, "usage: own_plan runs.csv NAME=N:D\n");
    return 2;
  }
  try {
    const tessera::plan::LadderTable table = tessera::plan::read_ladder_table(words[1]);
    const auto forecast =
        tessera::plan::forecast_ladder(table, {.targets = {tessera::plan::parse_target(words[2])}, .resamples = 200});
    for (const auto& each : forecast.predictions) {
      std::printf("%-16s %.3f (%.3f to %.3f)\n", each.task.c_str(), each.predicted, *each.low, *each.high);
    }
    for (const auto& warning : forecast.warnings) std::fprintf(stderr, "%s\n", warning.c_str());
  } catch (const tessera::Error& error) {
    std::fprintf(stderr, "own_plan: %s\n", error.what());
    return error.exit_status();
  }
}
