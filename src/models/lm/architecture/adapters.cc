// See adapters.h. Names are those of transformers' modules; fused layers are taken apart as their files are.
#include "models/lm/architecture/adapters.h"

#include <algorithm>
#include <map>

#include <ATen/ops/matmul.h>
#include <torch/csrc/autograd/grad_mode.h>

#include "core/error.h"
#include "models/lm/architecture/fused_files.h"
#include "nn/layers/peft.h"
#include "tensor/weights.h"

namespace tessera::lm {

namespace {
constexpr const char* embedding_module = "model.embed_tokens";
constexpr const char* head_module = "lm_head";

/// The head becomes a layer of its own that begins with the embedding's rows.
void untie(DecoderLm& model) {
  if (!model.config.tied) return;
  model.lm_head = model.embed_tokens.as_linear();
  model.config.tied = false;
}

/// The parts of the fused layers of a name, none for other layers. `name` ends with the fused layer's name.
std::vector<std::pair<std::string, FusedPart>> parts_of(const DecoderLm& model, const std::string& name) {
  std::vector<std::pair<std::string, FusedPart>> parts;
  if (!model.config.fused) return parts;
  for (const FusedPart& part : fused_parts(model.config)) {
    if (nn::name_ends(name, part.whole))
      parts.emplace_back(name.substr(0, name.size() - std::string_view(part.whole).size()) + part.name, part);
  }
  return parts;
}

/// Rows of the outputs' side.
nn::LoraParts rows_of_parts(const nn::LoraParts& whole, const FusedPart& part, const std::string& name,
                            const Path& file) {
  if (whole.b.size(0) < part.end)
    throw UserError("[peft] {}: adapter of '{}' has {} outputs, want {} and more", file.string(), name, whole.b.size(0),
                    part.end);
  nn::LoraParts rows = whole;
  rows.b = whole.b.slice(0, part.begin, part.end);
  if (whole.magnitude.defined()) rows.magnitude = whole.magnitude.slice(0, part.begin, part.end);
  return rows;
}

/// An adapter with the layers that the module has in place of fused ones.
void take_apart(const DecoderLm& model, nn::PeftAdapter& adapter) {
  std::map<std::string, nn::LoraParts> linears;
  for (const auto& [name, parts] : adapter.linears) {
    const auto fused = parts_of(model, name);
    if (fused.empty()) linears[name] = parts;
    for (const auto& [own, part] : fused) linears[own] = rows_of_parts(parts, part, name, adapter.file);
  }
  adapter.linears = std::move(linears);
  std::map<std::string, Tensor> saved;
  for (const auto& [name, tensor] : adapter.saved) {
    const std::string_view ending = ".weight";
    const auto fused = name.ends_with(ending) ? parts_of(model, name.substr(0, name.size() - ending.size()))
                                              : std::vector<std::pair<std::string, FusedPart>>();
    if (fused.empty()) saved[name] = tensor;
    for (const auto& [own, part] : fused) saved[own + std::string(ending)] = tensor.slice(0, part.begin, part.end);
  }
  adapter.saved = std::move(saved);
}

/// Places for tensors that are saved whole; a packed weight's place is the plain one.
void replace_tensor(DecoderLm& model, const std::string& name, const Tensor& tensor, const Path& file) {
  Tensor* place = nullptr;
  at::IntArrayRef shape;
  std::vector<int64_t> packed_shape;
  at::ScalarType format = at::kFloat;
  for (const TensorSlot& slot : tensor_slots(model)) {
    if (slot.name != name) continue;
    place = slot.tensor;
    shape = place->sizes();
    format = place->scalar_type();
  }
  for (const auto& [layer, linear] : nn::named_linears(model)) {
    if (!linear->packed || name != layer + ".weight") continue;
    packed_shape = {linear->outputs(), linear->inputs()};
    shape = packed_shape;
    place = &linear->weight;
  }
  if (place == nullptr) throw UserError("[peft] {}: the model has no tensor '{}'", file.string(), name);
  if (tensor.sizes() != shape)
    throw UserError("[peft] {}: '{}' is {}, the model's is {}{}", file.string(), name, shape_text(tensor.sizes().vec()),
                    shape_text(shape.vec()),
                    name.ends_with("embed_tokens.weight") || name.starts_with(head_module)
                        ? "; tokens were added before training, merge the adapter where it was made"
                        : "");
  const at::Device device = model.norm.weight.device();
  *place = tensor.to(device, format);
  for (const auto& [layer, linear] : nn::named_linears(model)) {
    if (name == layer + ".weight") linear->packed.reset();
  }
}

/// The embedding's table as plain numbers that may be changed.
Tensor own_table(DecoderLm& model) {
  nn::Embedding& table = model.embed_tokens;
  const Tensor plain = table.packed ? table.packed->unpack() : table.weight;
  table.packed.reset();
  table.weight = plain.clone();
  return table.weight;
}

void change_embedding(DecoderLm& model, const nn::LoraParts& parts, const Path& file) {
  untie(model);
  const Tensor table = own_table(model);
  if (parts.a.size(1) != table.size(0) || parts.b.size(0) != table.size(1))
    throw UserError("[peft] {}: adapter of the embedding does not fit; got {} and {}, want [rank, {}] and [{}, rank]",
                    file.string(), shape_text(parts.a.sizes().vec()), shape_text(parts.b.sizes().vec()), table.size(0),
                    table.size(1));
  const Tensor change = at::matmul(parts.b, parts.a).t() * parts.scale;
  model.embed_tokens.weight = (table.to(at::kFloat) + change.to(table.device())).to(table.scalar_type());
}

/// A tied head keeps the embedding's rows, the trained ones among them, as in PEFT.
void put_rows(DecoderLm& model, const nn::TrainedRows& rows, const Path& file) {
  const Tensor table = own_table(model);
  if (rows.rows.size(1) != table.size(1))
    throw UserError("[peft] {}: trained rows are {} wide, want {}", file.string(), rows.rows.size(1), table.size(1));
  for (size_t i = 0; i < rows.indices.size(); ++i) {
    if (rows.indices[i] >= table.size(0))
      throw UserError("[peft] {}: row {} of the embedding was trained, the model has {}", file.string(),
                      rows.indices[i], table.size(0));
    table[rows.indices[i]].copy_(rows.rows[static_cast<int64_t>(i)]);
  }
}

void require_modules(const std::map<std::string, nn::LoraParts>& embeddings,
                     const std::map<std::string, nn::TrainedRows>& rows, const Path& file) {
  const auto require = [&](const std::string& name) {
    if (name != embedding_module) throw UserError("[peft] {}: the model has no embedding '{}'", file.string(), name);
  };
  for (const auto& [name, parts] : embeddings) require(name);
  for (const auto& [name, each] : rows) require(name);
}

void add_one(DecoderLm& model, nn::PeftAdapter adapter) {
  take_apart(model, adapter);
  require_modules(adapter.embeddings, adapter.rows, adapter.file);
  const bool head = adapter.linears.contains(head_module) || adapter.saved.contains("lm_head.weight");
  const bool embedding = adapter.saved.contains("model.embed_tokens.weight");
  if (head || embedding) untie(model);
  for (const auto& [name, tensor] : adapter.saved) replace_tensor(model, name, tensor, adapter.file);
  for (const auto& [name, parts] : adapter.embeddings) change_embedding(model, parts, adapter.file);
  for (const auto& [name, rows] : adapter.rows) put_rows(model, rows, adapter.file);
  std::map<std::string, nn::Linear*> by_name;
  for (const auto& [name, linear] : nn::named_linears(model)) by_name[name] = linear;
  for (const auto& [name, parts] : adapter.linears) {
    const auto found = by_name.find(name);
    nn::require_fit(parts, name, found == by_name.end() ? nullptr : found->second, adapter.file);
  }
  for (const auto& [name, parts] : adapter.linears) nn::add_adapter(*by_name.at(name), parts, name, adapter.file);
}
}  // namespace

void add_adapters(DecoderLm& model, const std::vector<Path>& directories) {
  const at::NoGradGuard no_grad;
  for (const Path& directory : directories) add_one(model, nn::read_adapter(directory));
}

void merge_adapters_into(DecoderLm& model, const std::vector<Path>& directories) {
  add_adapters(model, directories);
  nn::merge_adapters(nn::named_linears(model));
}

}  // namespace tessera::lm
