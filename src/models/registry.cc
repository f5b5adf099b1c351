// The list of models: the one place beside a model's own folder that knows its name.
#include "models/registry.h"

#include <algorithm>
#include <iterator>

#include <fmt/ranges.h>

#include "codec/objective.h"
#include "codec/vq/objective.h"
#include "core/error.h"
#include "models/quantizable.h"
#include "train/objective.h"
#include "train/recipe.h"

namespace tessera {

namespace infinity {
ModelRegistration registration();
}
namespace liquid {
ModelRegistration registration();
}
namespace lm {
ModelRegistration registration();
}
namespace nvila {
ModelRegistration registration();
}

const std::vector<ModelRegistration>& registered_models() {
  static const std::vector<ModelRegistration> all = {
      infinity::registration(),
      liquid::registration(),
      lm::registration(),
      nvila::registration(),
      {.objectives = {{.name = "codec", .make = codec::make_codec_objective},
                      {.name = "vq-codec", .make = vq::make_vq_objective}}},  // trained like them, loaded within them
  };
  return all;
}

namespace {

/// The registration whose model types include that of `directory`, among those that have what `wanted` asks for.
template <class Wanted>
const ModelRegistration& registration_of(const ModelDirectory& directory, Wanted wanted, std::string_view want) {
  std::vector<std::string> known;
  for (const ModelRegistration& model : registered_models()) {
    if (!wanted(model)) continue;
    const auto& types = model.model_types;
    if (std::find(types.begin(), types.end(), directory.model_type) != types.end()) return model;
    std::ranges::copy_if(types, std::back_inserter(known), [&](const std::string& type) {
      return type.starts_with(gguf_prefix) ==
             directory.is_gguf();  // a file's architectures, or the types of directories
    });
  }
  std::sort(known.begin(), known.end());
  throw UserError("[model] {} has model_type '{}', want one {}: {}", directory.path.string(), directory.model_type,
                  want, fmt::join(known, ", "));
}

/// The directory, or what a model's folder makes of it.
ModelDirectory found_at(const Path& directory) {
  for (const ModelRegistration& model : registered_models()) {
    if (model.released == nullptr || !std::filesystem::is_directory(directory)) continue;
    if (const auto found = model.released(directory)) return *found;
  }
  return read_model_directory(directory);
}

void take_adapters(ModelDirectory& directory, const ModelRegistration& model, const std::vector<Path>& adapters) {
  if (!adapters.empty() && !model.adapters)
    throw UserError("[model] {} has model_type '{}', to which no adapters can be added", directory.path.string(),
                    directory.model_type);
  directory.adapters = adapters;
}

}  // namespace

std::unique_ptr<LoadedModel> load_model(const Path& directory, at::Device device, const LoadOptions& options) {
  ModelDirectory found = found_at(directory);
  const auto loads = [](const ModelRegistration& model) { return model.load != nullptr; };
  const ModelRegistration& model = registration_of(found, loads, "of");
  take_adapters(found, model, options.adapters);
  return model.load(found, device, options);
}

std::unique_ptr<Quantizable> load_quantizable(const Path& directory, at::Device device,
                                              const std::vector<Path>& adapters) {
  ModelDirectory found = found_at(directory);
  const auto packs = [](const ModelRegistration& model) { return model.load_quantizable != nullptr; };
  const ModelRegistration& model = registration_of(found, packs, "that can be packed");
  take_adapters(found, model, adapters);
  return model.load_quantizable(found, device);
}

void convert_model(const Path& directory, const Path& out, const ConvertOptions& options) {
  ModelDirectory found = found_at(directory);
  const auto converts = [](const ModelRegistration& model) { return model.convert != nullptr; };
  const ModelRegistration& model = registration_of(found, converts, "that can be converted");
  take_adapters(found, model, options.adapters);
  model.convert(found, out, options);
}

namespace models {

const ObjectiveRegistration& objective(std::string_view name) {
  std::vector<std::string> known;
  for (const ModelRegistration& model : registered_models()) {
    for (const ObjectiveRegistration& each : model.objectives) {
      if (each.name == name) return each;
      known.push_back(each.name);
    }
  }
  throw UserError("[recipe] unknown objective '{}'; did you mean '{}'?", name, nearest_word(name, known));
}

std::string objective_of(const ModelDirectory& directory) {
  const auto trains = [](const ModelRegistration& model) { return !model.objectives.empty(); };
  return registration_of(directory, trains, "that can be trained").objectives.front().name;
}

void complete_data(train::Recipe& recipe) {
  if (const auto complete = objective(recipe.objective).complete_data) complete(recipe);
}

void check_tables(std::string_view name, const Json& model, const Json& loss, std::string_view source) {
  if (const auto check = objective(name).check_tables) check(model, loss, source);
}

std::string conversation_objective(const Path& directory) {
  const ModelRegistration& model = registration_of(
      read_model_directory(directory), [](const ModelRegistration& each) { return !each.objectives.empty(); },
      "that is trained");
  return model.objectives.front().name;
}

std::unique_ptr<train::Objective> make_objective(train::Recipe& recipe, const SampleSource& source, at::Device device) {
  return objective(recipe.objective).make(recipe, source, device);
}

}  // namespace models

}  // namespace tessera
