// Calibration shows each picture with a question; the tower sees its tiles, the language model the rows they become.
#include "models/nvila/quantize.h"

#include <algorithm>

#include <torch/csrc/autograd/grad_mode.h>

#include "core/error.h"
#include "models/lm/architecture/quantize.h"
#include "models/nvila/model_files.h"
#include "models/nvila/prompt.h"
#include "quant/stored_form.h"

namespace tessera::nvila {

namespace {

using quant::SharedInput;

constexpr const char* questions[] = {"What is in this picture?", "How many things are there?", "Describe the picture."};

bool is_packed(const Json& config) {
  const auto found = config.find("quantization_config");
  return found != config.end() && !found->is_null();
}

class QuantizableNvila : public Quantizable {
 public:
  QuantizableNvila(Path directory, NvilaModel model)
      : directory_(std::move(directory)), model_(std::move(model)),
        tokenizer_(text::load_tokenizer(tokenizer_directory(directory_))),
        prompter_(model_.config, *tokenizer_, tokenizer_directory(directory_)) {}

  std::vector<SharedInput> language_inputs() override { return lm::shared_inputs(model_.llm, "llm."); }
  std::vector<SharedInput> tower_inputs() override { return shared_inputs(model_.vision_tower, "vision_tower."); }

  int64_t calibrate(const CalibrationData& data) const override {
    const at::NoGradGuard no_grad;
    int64_t seen = 0;
    for (size_t i = 0; i < data.pictures.size() && seen < data.tokens; ++i) {
      seen += show({.frames = {data.pictures[i]}, .clip = false, .source = {}}, questions[i % std::size(questions)]);
      if (data.on_progress) data.on_progress(static_cast<int64_t>(i) + 1, std::ssize(data.pictures));
    }
    if (!data.texts.empty()) seen += lm::calibrate(model_.llm, *tokenizer_, data);
    if (seen == 0) throw UserError("[quant] nothing to calibrate on; give pictures, texts or both");
    return seen;
  }

  void save(const Path& out, const quant::Int4Format& format) override {
    Json config = flat_config_json(model_.config);
    const auto packed = [](const nn::NamedLinear& layer) { return layer.linear->packed != nullptr; };
    if (std::ranges::any_of(nn::named_linears(model_.llm), packed)) {
      const Json packing = quant::int4_format_json(format, {"lm_head", "vision_tower", "mm_projector"});
      config["quantization_config"] = packing, config["text_config"]["quantization_config"] = packing;
    }
    if (std::ranges::any_of(nn::named_linears(model_.vision_tower), packed)) {
      config["vision_config"]["quantization_config"] = {
          {"quant_method", "tessera-int8"}, {"weights", "int8 per output channel"}, {"activations", "int8 per token"}};
    }
    quant::write_packed_directory(tokenizer_directory(directory_), out, quant::saving_form(model_), config);
  }

 private:
  /// One pass over a picture and a question; returns its positions.
  int64_t show(const Media& media, const char* question) const {
    const std::vector<MediaPlan> plans = plans_of(model_.config, {media});
    const PromptRow row = prompter_.row({{.role = "user", .content = question, .media = 1}}, plans, true);
    const Assembled all =
        assemble({row}, {pixels_of(model_.config, media, plans[0])}, plans, model_.llm.embed_tokens.device());
    const Tensor x = model_.embed(all);  // [1, L, C]
    model_.llm.forward(x, lm::positions_of(model_.llm, x.size(1), all.pad, x.device()));
    return x.size(1);
  }

  Path directory_;
  NvilaModel model_;
  std::unique_ptr<text::Tokenizer> tokenizer_;
  Prompter prompter_;
};

}  // namespace

std::vector<SharedInput> shared_inputs(VisionTower& tower, const std::string& prefix) {
  std::vector<SharedInput> all;
  for (size_t i = 0; i < tower.layers.size(); ++i) {
    VisionBlock& block = tower.layers[i];
    const std::string name = prefix + "vision_model.encoder.layers." + std::to_string(i) + ".";
    const auto norm_of = [](nn::LayerNorm& norm) {
      return SharedInput::Norm{.weight = norm.weight, .bias = norm.bias, .offset = 0};
    };
    VisionAttention& attention = block.self_attn;
    all.push_back({.name = name + "self_attn.q_proj",
                   .consumers = {{&attention.q_proj}, {&attention.k_proj}, {&attention.v_proj}},
                   .norm = norm_of(block.layer_norm1)});
    all.push_back({.name = name + "self_attn.out_proj", .consumers = {{&attention.out_proj}}, .norm = {}});
    all.push_back({.name = name + "mlp.fc1", .consumers = {{&block.mlp.fc1}}, .norm = norm_of(block.layer_norm2)});
    all.push_back({.name = name + "mlp.fc2", .consumers = {{&block.mlp.fc2}}, .norm = {}});
  }
  return all;
}

std::unique_ptr<Quantizable> load_for_packing(const ModelDirectory& directory, at::Device device) {
  const StoredConfig stored = read_config(directory);
  if (is_packed(stored.text))
    throw UserError("[quant] {} is packed already; give the model that it was made from", directory.path.string());
  NvilaModel model = load_weights(directory, stored, device, {.dtype = "fp32", .writable = true});
  nn::merge_adapters(nn::named_linears(model));
  return std::make_unique<QuantizableNvila>(directory.path, std::move(model));
}

}  // namespace tessera::nvila
