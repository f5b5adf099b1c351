// What the planning verbs share: how their words are read and how they show that they are at work.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "core/progress.h"
#include "plan/ladder/ladder.h"

namespace tessera::apps {

/// "a, b,c" as names; throws UserError for an empty one.
std::vector<std::string> split_names(const std::string& text);

/// "a, b:2" as names and weights, 1 where none is given; throws UserError for a weight that is not a number above 0.
struct WeightedNames {
  std::vector<std::string> names;
  std::vector<double> weights;
};
WeightedNames split_weights(const std::string& text);

/// "a=.25,b=0" as fractions by name; throws UserError naming `option`.
std::map<std::string, double> split_fractions(const std::string& text, std::string_view option);

/// "best" or "paper"; throws UserError for another word.
plan::LadderMethod parse_method(const std::string& word);

/// --threads, when it is 0 (one per core) to 1024; throws UserError for another number.
int checked_threads(int threads);

/// A progress bar that appears with the first step.
class ForecastBar {
 public:
  plan::LadderProgress steps() {
    return [this](size_t done, size_t total) {
      if (!bar_) bar_.emplace("forecast", static_cast<int64_t>(total), "resamples");
      bar_->update(static_cast<int64_t>(done));
    };
  }

 private:
  std::optional<Progress> bar_;
};

/// A fraction in percent with one decimal; nothing for none.
std::string points(const std::optional<double>& fraction);

/// "80% interval": every interval in print says its level.
std::string interval_header(double coverage);

enum class LastColumn { numbers, text };

/// Columns as wide as their cells, the first to the left, the rest to the right; empty ones are left out. A last column
/// of text stands to the left and may be long.
std::string columns(const std::vector<std::string>& header, const std::vector<std::vector<std::string>>& rows,
                    LastColumn last = LastColumn::numbers);

/// Warnings, a line each, on standard error.
void print_warnings(const std::vector<std::string>& warnings);

}  // namespace tessera::apps
