// Beginnings and ends of a training run.
#include "models/lm/training/training_files.h"

#include <algorithm>

#include "core/error.h"
#include "core/json.h"
#include "models/lm/architecture/config.h"
#include "models/lm/architecture/model_files.h"
#include "nn/layers/adapters.h"
#include "nn/layers/peft.h"
#include "tensor/build.h"

namespace tessera::lm {

namespace {
/// What else a tokenizer directory may hold that belongs to it.
constexpr const char* tokenizer_files[] = {
    "tokenizer.json",    "tokenizer_config.json", "tokenizer.model",    "spiece.model", "special_tokens_map.json",
    "added_tokens.json", "chat_template.jinja",   "chat_template.json", "vocab.json",   "merges.txt"};

/// The model with its adapters added into weights of its own; `model` keeps both.
DecoderLm merged(const DecoderLm& model) {
  DecoderLm copy = model;
  const std::vector<nn::NamedLinear> linears = nn::named_linears(copy);
  for (const nn::NamedLinear& each : linears) {
    if (each.linear->lora && present(each.linear->weight)) each.linear->weight = each.linear->weight.detach().clone();
  }
  nn::merge_adapters(linears);
  return copy;
}

/// The base as a card and an adapter name it: "ORG/NAME" of a model from the hub's cache, else the last folder of its path.
std::string base_name(const std::string& base) {
  if (base.empty()) return "";
  const Path path = Path(base).has_filename() ? Path(base) : Path(base).parent_path();
  for (Path folder = path; folder.has_relative_path(); folder = folder.parent_path()) {
    std::string name = folder.filename().string();
    if (!name.starts_with("models--")) continue;
    name = name.substr(std::string_view("models--").size());
    const size_t dashes = name.find("--");
    return dashes == std::string::npos ? name : name.substr(0, dashes) + "/" + name.substr(dashes + 2);
  }
  return path.lexically_normal().string();
}

std::string card(DecoderLm& model, const TrainedFrom& from) {
  const LmConfig& c = model.config;
  const std::string base = base_name(from.base);
  const std::string head = base.empty() ? "" : "---\nbase_model: " + base + "\n---\n\n";
  return head + fmt::format(
                    "# A language model trained by Tessera\n\n{}"
                    "| | |\n|---|---|\n| parameters | {} |\n| family | {} |\n| shape | width {}, {} blocks, {} heads "
                    "({} of keys and "
                    "values), "
                    "feed-forward {} |\n| vocabulary | {}, tokenizer from {} |\n| longest sequence | {} tokens |\n\n"
                    "How it was made is in recipe.toml; `tessera train recipe.toml` makes it again.\n",
                    base.empty() ? "" : "It was tuned from " + base + ".\n\n", count_parameters(model), c.family,
                    c.width, c.depth, c.heads, c.kv_heads, c.hidden, c.vocabulary, from.tokenizer.filename().string(),
                    c.context);
}

bool has_adapters(DecoderLm& model) {
  return std::ranges::any_of(nn::named_linears(model),
                             [](const nn::NamedLinear& l) { return l.linear->lora.has_value(); });
}
}  // namespace

StoredAs stored_as(std::string_view name) {
  if (name == "f16") return StoredAs::f16;
  if (name == "bf16") return StoredAs::bf16;
  if (name == "f32") return StoredAs::f32;
  throw UserError("[lm] loss.stored is '{}', want f16, bf16 or f32", name);
}

DecoderLm new_model(const LmModelTable& table, int64_t vocabulary, uint64_t seed, at::Device device) {
  if (table.heads < 1 || table.width < 1 || table.width % table.heads != 0)
    throw UserError("[lm] width is {}, want a multiple of heads, {}", table.width, table.heads);
  Json tree = {{"model_type", table.family},
               {"vocab_size", vocabulary},
               {"hidden_size", table.width},
               {"num_hidden_layers", table.depth},
               {"num_attention_heads", table.heads},
               {"num_key_value_heads", table.kv_heads},
               {"head_dim", table.width / table.heads},
               {"intermediate_size", table.hidden > 0 ? table.hidden : (table.width * 8 / 3 + 31) / 32 * 32},
               {"max_position_embeddings", table.context},
               {"rms_norm_eps", table.norm_eps},
               {"rope_theta", table.rope_theta},
               {"tie_word_embeddings", table.tied}};
  const LmConfig config = config_from_json(tree, "the recipe's [model]");
  const BuildDevice on(device);
  DecoderLm model(config);
  initialise(model, seed);
  return model;
}

DecoderLm start_of(const LmModelTable& table, at::Device device) {
  ModelDirectory found = read_model_directory(table.from);
  found.adapters.assign(table.adapters.begin(), table.adapters.end());
  return load_lm(found, {.device = device, .dtype = "fp32", .writable = true});
}

void save_trained(const DecoderLm& model, const text::Tokenizer& tokenizer, const TrainedFrom& from,
                  const Path& directory, FileSystem& files) {
  files.create_directories(directory);
  DecoderLm tuned = model;
  if (has_adapters(tuned))
    nn::save_adapters(nn::named_linears(tuned), directory / "adapter", base_name(from.base), files);
  DecoderLm whole = merged(model);
  SaveLmOptions options{
      .stored_as = from.stored, .begin_token = tokenizer.begin_token(), .pad_token = tokenizer.pad_token()};
  if (const auto end = tokenizer.end_token()) options.end_tokens = {*end};
  save_lm(directory, whole, options, files);
  for (const char* name : tokenizer_files) {
    if (std::filesystem::is_regular_file(from.tokenizer / name))
      write_file_atomically(directory / name, read_file(from.tokenizer / name), files);
  }
  // chat_template.jinja goes before what other files store
  if (!from.chat_template.empty()) write_file_atomically(directory / "chat_template.jinja", from.chat_template, files);
  write_file_atomically(directory / "README.md", card(whole, from), files);
}

}  // namespace tessera::lm
