// What reads what in a block, and the passes of calibration.
#include "models/lm/architecture/quantize.h"

#include <algorithm>

#include <ATen/ops/arange.h>
#include <ATen/ops/tensor.h>
#include <torch/csrc/autograd/grad_mode.h>

#include "core/error.h"
#include "core/rng.h"
#include "generate/text_sequence.h"
#include "models/lm/architecture/language_part.h"
#include "models/lm/architecture/model_files.h"
#include "models/lm/architecture/token_rows.h"
#include "models/lm/text/decode.h"
#include "nn/packed/block_weight.h"
#include "quant/stored_form.h"
#include "tensor/device.h"

namespace tessera::lm {

namespace {

using quant::SharedInput;

SharedInput::Norm as_input_norm(const LmConfig& config, nn::RmsNorm& norm) {
  return {.weight = norm.weight, .bias = {}, .offset = config.norm_plus_one ? 1.0 : 0.0};
}

/// Which output of v_proj each input channel of o_proj is a mean over: a key-value head serves several query heads.
Tensor value_channels(const LmConfig& c, at::Device device) {
  return at::arange(c.kv_heads * c.head_dim, at::TensorOptions(at::kLong).device(device))
      .view({c.kv_heads, 1, c.head_dim})
      .expand({c.kv_heads, c.heads / c.kv_heads, c.head_dim})
      .reshape({-1});
}

void add_attention(Attention& attention, const LmConfig& c, const std::string& name,
                   const std::optional<SharedInput::Norm>& norm, std::vector<SharedInput>& all) {
  all.push_back({.name = name + "self_attn.q_proj",
                 .consumers = {{&attention.q_proj, false}, {&attention.k_proj, false}, {&attention.v_proj}},
                 .norm = norm});
  all.push_back({.name = name + "self_attn.o_proj",
                 .consumers = {{&attention.o_proj}},
                 .producer = &attention.v_proj,
                 .channels = value_channels(c, attention.v_proj.weight.device())});
}

/// The gates of a gated DeltaNet are few rows, and decide how long it remembers: they stay as they are.
void add_delta_net(GatedDeltaNet& net, const std::string& name, const std::optional<SharedInput::Norm>& norm,
                   std::vector<SharedInput>& all) {
  all.push_back({.name = name + "linear_attn.in_proj_qkv",
                 .consumers = {{&net.in_proj_qkv, false},
                               {&net.in_proj_z},
                               {.layer = &net.in_proj_b, .pack = false},
                               {.layer = &net.in_proj_a, .pack = false}},
                 .norm = norm});
  all.push_back({.name = name + "linear_attn.out_proj", .consumers = {{&net.out_proj}}});
}

/// Rows of ids, each at most `length` long, at most `tokens` together.
std::vector<std::vector<int32_t>> rows_of(const std::vector<std::string>& texts, const text::Tokenizer& tokenizer,
                                          const CalibrationData& data, const LmConfig& config) {
  const auto length = static_cast<size_t>(std::min(data.length, config.context));
  std::vector<std::vector<int32_t>> rows;
  int64_t total = 0;
  for (const std::string& text : texts) {
    const std::vector<int32_t> ids = text::encode_prompt(tokenizer, text);
    require_rows(config, tokenizer, ids, "a calibration text");
    for (size_t at = 0; at < ids.size() && total < data.tokens; at += length) {
      rows.emplace_back(ids.begin() + static_cast<std::ptrdiff_t>(at),
                        ids.begin() + static_cast<std::ptrdiff_t>(std::min(ids.size(), at + length)));
      total += std::ssize(rows.back());
    }
  }
  return rows;
}

/// The model as it draws texts for itself: nobody watches, and on the CPU its layers are rounded to blocks of 8 bits, which are
/// multiplied several times as fast as fp32.
DecoderLm drawing_copy(DecoderLm model) {
  constexpr auto type = nn::blocks::BlockType::q8_0;
  const auto in_blocks = [&](const Tensor& weight) {
    const bool whole = weight.device().is_cpu() && weight.size(1) % nn::blocks::info(type).weights == 0;
    return whole ? nn::rounded_to_blocks(weight, type) : nullptr;
  };
  for (const nn::NamedLinear& each : nn::named_linears(model)) {
    each.linear->observer = nullptr;
    if (!present(each.linear->weight)) continue;
    if (auto packed = in_blocks(each.linear->weight)) each.linear->pack(std::move(packed));
  }
  if (auto packed = in_blocks(model.embed_tokens.weight)) {
    model.embed_tokens.packed = std::move(packed);
    model.embed_tokens.weight = Tensor();
  }
  return model;
}

/// Rows that the model draws itself, from its begin token, or from any token where it has none.
std::vector<std::vector<int32_t>> drawn_rows(const DecoderLm& model, const text::Tokenizer& tokenizer,
                                             const CalibrationData& data) {
  const int64_t length = std::min({data.length, model.config.context - 1, int64_t{256}});
  const auto count = static_cast<size_t>(std::max<int64_t>(1, data.tokens / length));
  std::vector<std::vector<int32_t>> rows;
  Rng rng(data.seed);
  const auto any = static_cast<uint64_t>(std::min(tokenizer.vocabulary(), model.config.vocabulary));
  for (size_t i = 0; i < count; ++i) {
    const std::optional<int32_t> begin = tokenizer.begin_token();
    rows.push_back({begin && *begin < model.config.vocabulary ? *begin : static_cast<int32_t>(rng.below(any))});
  }
  generate::TextOptions options{.max_new_tokens = length - 1};
  options.sampling.temperature = 1;
  options.sampling.seed = data.seed;
  constexpr size_t together = 64;
  const DecoderLm drawing = drawing_copy(model);
  for (size_t first = 0; first < count; first += together) {
    std::vector<generate::Prompt> batch;
    options.rows.clear();
    for (size_t i = first; i < std::min(count, first + together); ++i) {
      batch.push_back({.ids = rows[i]});
      options.rows.push_back(i);
    }
    LmSteps steps(drawing);
    const auto written = generate::run(steps, std::move(batch), tokenizer, options);
    for (size_t i = 0; i < written.size(); ++i) {
      auto& row = rows[first + i];
      row.insert(row.end(), written[i].tokens.begin(), written[i].tokens.end());
    }
  }
  return rows;
}

/// The model as it reads texts while its inputs are watched: in bf16 where that is faster, which tells magnitudes to a quarter of a percent.
DecoderLm watching_copy(DecoderLm model) {
  if (!multiplies_bfloat16(model.embed_tokens.device())) return model;
  for_each_tensor(model, [](const std::string&, Tensor& t) {
    if (t.is_floating_point()) t = t.to(at::kBFloat16);
  });
  return model;
}

class QuantizableLm : public Quantizable {
 public:
  QuantizableLm(Path directory, Json config, DecoderLm model)
      : directory_(std::move(directory)), config_(std::move(config)), model_(std::move(model)) {}

  std::vector<SharedInput> language_inputs() override { return shared_inputs(model_); }

  int64_t calibrate(const CalibrationData& data) const override {
    if (!data.pictures.empty()) throw UserError("[quant] {} reads no pictures; give texts", directory_.string());
    return lm::calibrate(model_, *text::load_tokenizer(directory_), data);
  }

  void save(const Path& out, const quant::Int4Format& format) override {
    Json config = config_;
    config["torch_dtype"] = "float16";
    if (!model_.config.tied && config.value("tie_word_embeddings", true)) config["tie_word_embeddings"] = false;
    config["quantization_config"] = quant::int4_format_json(format, unpacked_layers(model_.config));
    quant::write_packed_directory(directory_, out, quant::saving_form(model_), config);
  }

 private:
  Path directory_;
  Json config_;
  DecoderLm model_;
};

}  // namespace

std::vector<std::string> unpacked_layers(const LmConfig& config) {
  std::vector<std::string> names = {"lm_head"};
  if (config.linear) names.insert(names.end(), {"in_proj_b", "in_proj_a"});
  return names;
}

std::vector<SharedInput> shared_inputs(DecoderLm& model, const std::string& prefix) {
  const LmConfig& c = model.config;
  std::vector<SharedInput> all;
  for (size_t i = 0; i < model.layers.size(); ++i) {
    Block& block = model.layers[i];
    GatedFeedForward& mlp = block.mlp;
    const std::string name = prefix + "model.layers." + std::to_string(i) + ".";
    std::optional<SharedInput::Norm> norm;
    if (block.input_layernorm) norm = as_input_norm(c, *block.input_layernorm);
    if (block.self_attn) add_attention(*block.self_attn, c, name, norm, all);
    else add_delta_net(*block.linear_attn, name, norm, all);
    SharedInput gate_up{.name = name + "mlp.gate_proj", .consumers = {{&mlp.gate_proj}, {&mlp.up_proj}}};
    auto& before = c.norm_after ? block.pre_feedforward_layernorm : block.post_attention_layernorm;
    if (before) gate_up.norm = as_input_norm(c, *before);
    all.push_back(std::move(gate_up));
    all.push_back({.name = name + "mlp.down_proj", .consumers = {{&mlp.down_proj}}, .producer = &mlp.up_proj});
  }
  return all;
}

int64_t calibrate(const DecoderLm& model, const text::Tokenizer& tokenizer, const CalibrationData& data) {
  const at::NoGradGuard no_grad;
  const auto rows =
      data.texts.empty() ? drawn_rows(model, tokenizer, data) : rows_of(data.texts, tokenizer, data, model.config);
  const DecoderLm narrow = watching_copy(model);
  int64_t seen = 0;
  for (size_t i = 0; i < rows.size(); ++i) {
    if (rows[i].empty()) continue;
    const Tensor ids = at::tensor(rows[i], at::kLong).unsqueeze(0).to(model.embed_tokens.device());
    narrow.forward(narrow.embed(ids), positions_of(narrow, ids.size(1), {}, ids.device()));
    seen += ids.size(1);
    if (data.on_progress) data.on_progress(static_cast<int64_t>(i) + 1, std::ssize(rows));
  }
  if (seen == 0) throw UserError("[quant] the calibration texts hold no tokens");
  return seen;
}

std::unique_ptr<Quantizable> load_for_packing(const ModelDirectory& directory, at::Device device) {
  if (directory.config.contains("quantization_config") && !directory.config["quantization_config"].is_null())
    throw UserError("[quant] {} is packed already; give the model that it was made from", directory.path.string());
  DecoderLm model = load_lm(directory, {.device = device, .dtype = "fp32", .writable = true});
  require_rows_for(model.config, *text::load_tokenizer(directory.path), directory.path);  // as when it is loaded again
  Json config = language_config(directory.config, directory.config_path().string());
  return std::make_unique<QuantizableLm>(directory.path, std::move(config), std::move(model));
}

}  // namespace tessera::lm
