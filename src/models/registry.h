// What each model folder registers, and how the rest of the program asks for it: by the `model_type` of a directory or by
// the `objective` of a recipe. Nobody outside a model's folder knows the model's name.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <c10/core/Device.h>

#include "core/files.h"
#include "core/json.h"
#include "models/capabilities.h"
#include "tensor/model_dir.h"

namespace tessera {

class Quantizable;  // models/quantizable.h
class SampleSource;
namespace train {
class Objective;
struct Recipe;
}  // namespace train

/// How a model is held in memory.
struct LoadOptions {
  std::string dtype =
      "auto";  // of the weights: "auto" (as stored; fp16 is multiplied in fp32 on the CPU), "fp32" or "bf16"
  bool cache_int8 = false;  // keys and values of text models in 8 bits
  /// Activations beside weights in GGUF's blocks are rounded to 16 bits, and 16-bit weights multiply in fp32 (prompts of bf16 models do not);
  /// false: to 8, as in llama.cpp, and in bf16 where the processor does it; and keys and values are kept in bf16.
  bool exact = true;
  std::vector<Path> adapters = {};  // PEFT directories that are added to the weights
  std::string chat_template =
      {};  // by name, or a file, in place of the one that is stored with the model; "": that one
};

/// How a converted model is stored.
struct ConvertOptions {
  /// Of the weights: f32, f16, bf16, or in a GGUF file a type that rounds to nearest: q8_0, q5_1, q5_0, q4_1, q4_0, q6_K, q5_K, q4_K; models that draw also int8 and int4.
  std::string format = "bf16";
  std::function<void(int64_t done, int64_t of)> on_progress;  // tensors
  std::vector<Path> adapters = {};                            // PEFT directories that are merged into the weights
};

/// What a recipe's `objective` may name.
struct ObjectiveRegistration {
  std::string name;
  /// Reads the recipe's `[model]` and `[loss]` tables and writes them back in full. Throws UserError for an unknown key.
  std::unique_ptr<train::Objective> (*make)(train::Recipe& recipe, const SampleSource& source, at::Device device);
  /// Completes `[data]` for what the objective measures, before the source is made; null where nothing is missing.
  void (*complete_data)(train::Recipe& recipe) = nullptr;
  /// Reads a recipe's `[model]` and `[loss]` tables and loads nothing; `source` names the recipe. Throws UserError for an unknown key. Null
  /// where only `make` can say.
  void (*check_tables)(const Json& model, const Json& loss, std::string_view source) = nullptr;
  /// Settings of `[loss]` under which no part of a sample is left out at random, for methods that teach samples by heart.
  Json whole_samples = Json::object();
};

/// What one model folder can do; functions that it does not have are null. `registration()` of the folder returns it,
/// models/registry.cc collects them. A directory is read once, by the caller.
struct ModelRegistration {
  std::vector<std::string> model_types;  // of the directories that it loads
  std::unique_ptr<LoadedModel> (*load)(const ModelDirectory& directory, at::Device device,
                                       const LoadOptions& options) = nullptr;
  /// Loads a model to be packed. Throws UserError for one that is packed already.
  std::unique_ptr<Quantizable> (*load_quantizable)(const ModelDirectory& directory, at::Device device) = nullptr;
  /// Writes the model in another kind of file. Throws UserError for what that kind cannot hold.
  void (*convert)(const ModelDirectory& directory, const Path& out, const ConvertOptions& options) = nullptr;
  /// A folder in the layout of whoever released the model, without a config.json of a known type; nothing where it is no such folder. Throws
  /// UserError for one that is incomplete.
  std::optional<ModelDirectory> (*released)(const Path& folder) = nullptr;
  std::vector<ObjectiveRegistration> objectives;  // of a new recipe for its directories: the first
  bool adapters = false;                          // whether PEFT adapters can be added when it is loaded
};

/// Every registration.
const std::vector<ModelRegistration>& registered_models();

/// Loads by the `model_type` in config.json. Throws UserError for a directory that is no model, an unknown type (naming
/// the known ones), and for everything that the model's own loader refuses.
std::unique_ptr<LoadedModel> load_model(const Path& directory, at::Device device, const LoadOptions& options = {});
/// The same for packing. Throws UserError also for a type that cannot be packed (naming those that can), and for a model
/// that is packed already.
std::unique_ptr<Quantizable> load_quantizable(const Path& directory, at::Device device,
                                              const std::vector<Path>& adapters = {});

/// Writes the model of `directory` as `out`: a GGUF file where its name ends with .gguf, else a directory. Throws UserError also for a
/// type that cannot be converted (naming those that can).
void convert_model(const Path& directory, const Path& out, const ConvertOptions& options);

namespace models {

/// The objective of a name. Throws UserError for an unknown one (naming the nearest).
const ObjectiveRegistration& objective(std::string_view name);
/// The name of the objective that models of this directory's type are trained by. Throws UserError where there is none.
std::string objective_of(const ModelDirectory& directory);

/// What the objective of that name says of a recipe's `[model]` and `[loss]` tables before anything is loaded. Throws UserError for an
/// unknown name, and for keys and numbers that they cannot have.
void check_tables(std::string_view name, const Json& model, const Json& loss, std::string_view source);

/// Completes the recipe's `[data]` for what its objective measures, before the source is made. Throws UserError for an
/// unknown name.
void complete_data(train::Recipe& recipe);

/// The objective that teaches conversations to the model of a directory. Throws UserError when its kind is not trained.
std::string conversation_objective(const Path& directory);

/// Builds the objective that `recipe` names, with weights initialised from recipe.train.seed, and writes its full
/// `model` and `loss` tables back into the recipe. Throws UserError for an unknown name (naming the nearest) or key.
std::unique_ptr<train::Objective> make_objective(train::Recipe& recipe, const SampleSource& source, at::Device device);

}  // namespace models

}  // namespace tessera
