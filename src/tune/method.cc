// One line per method.
#include "tune/method.h"

#include <map>

#include "core/error.h"
#include "tune/hyperfit.h"

namespace tessera::tune {

namespace {
struct Method {
  void (*apply)(train::Recipe&);
  void (*check)(const train::Recipe&, const SampleSource&);
  std::string (*verdict)(const train::Recipe&, const Path&);
};

const std::map<std::string, Method>& methods() {
  static const std::map<std::string, Method> table = {
      {"hyperfit", {apply_hyperfit, check_hyperfit, hyperfit_verdict}},
  };
  return table;
}

const Method* method_of(const train::Recipe& recipe) {
  if (recipe.method.empty()) return nullptr;
  const auto found = methods().find(recipe.method);
  if (found == methods().end())
    throw UserError("[recipe] unknown method '{}'; did you mean '{}'?", recipe.method,
                    nearest_word(recipe.method, method_names()));
  return &found->second;
}
}  // namespace

void apply_method(train::Recipe& recipe) {
  if (recipe.method.empty() && !recipe.tune.empty())
    throw UserError("[recipe] [tune] belongs to a method, and none is named; want method = \"hyperfit\"");
  if (const Method* method = method_of(recipe)) method->apply(recipe);
}

void check_method(const train::Recipe& recipe, const SampleSource& source) {
  if (const Method* method = method_of(recipe)) method->check(recipe, source);
}

std::string verdict_of(const train::Recipe& recipe, const Path& run_directory) {
  const Method* method = method_of(recipe);
  return method == nullptr ? "" : method->verdict(recipe, run_directory);
}

std::vector<std::string> method_names() {
  std::vector<std::string> names;
  for (const auto& [name, method] : methods()) names.push_back(name);
  return names;
}

}  // namespace tessera::tune
