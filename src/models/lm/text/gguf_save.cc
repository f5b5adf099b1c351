// Tensors one after the other, as llama.cpp's converter would leave them; the config that is read back must be the model's own.
#include <algorithm>
#include <array>
#include <cmath>
#include <map>

#include <ATen/Parallel.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/tensor.h>

#include "core/error.h"
#include "models/lm/architecture/families.h"
#include "models/lm/architecture/fused_files.h"
#include "models/lm/architecture/gguf_model.h"
#include "models/lm/architecture/language_part.h"
#include "models/lm/text/convert.h"
#include "models/lm/text/writes.h"
#include "nn/kernels/blocks/block_type.h"
#include "nn/layers/adapters.h"
#include "tensor/gguf_writer.h"
#include "tensor/weights.h"
#include "text/gguf_tokenizer.h"

namespace tessera::lm {

namespace {

constexpr std::string_view delta_net_prefix = ".linear_attn.";

struct FileFormat {
  std::string_view name;
  uint32_t file_type;           // llama.cpp's general.file_type
  std::string_view otherwise;   // where rows are no multiple of the block
  std::string_view embeddings;  // of token rows and the head, whose errors are heard most
};
constexpr std::array file_formats{
    FileFormat{"f32", 0, "f32", "f32"},     FileFormat{"f16", 1, "f16", "f16"},
    FileFormat{"bf16", 32, "bf16", "bf16"}, FileFormat{"q8_0", 7, "f16", "q8_0"},
    FileFormat{"q4_0", 2, "f16", "q8_0"},   FileFormat{"q4_1", 3, "f16", "q8_0"},
    FileFormat{"q5_0", 8, "f16", "q8_0"},   FileFormat{"q5_1", 9, "f16", "q8_0"},
    FileFormat{"q4_K", 14, "q5_0", "q8_0"}, FileFormat{"q5_K", 16, "q5_1", "q8_0"},
    FileFormat{"q6_K", 18, "q8_0", "q8_0"},
};

const FileFormat& file_format(const std::string& name) {
  std::string known;
  for (const FileFormat& format : file_formats) {
    const GgufType* type = gguf_type(name);
    if (type != nullptr && type->name == format.name) return format;
    known += (known.empty() ? "" : ", ") + std::string(format.name);
  }
  throw UserError("[convert] the format is '{}', want one of: {}", name, known);
}

bool is_of_words(std::string_view name) { return name == "token_embd.weight" || name == "output.weight"; }

/// The type that a tensor is stored in.
const GgufType& type_of(const FileFormat& format, std::string_view name, at::IntArrayRef shape) {
  if (shape.size() < 2 || name.ends_with(".ssm_conv1d.weight")) return *gguf_type("f32");
  const auto fits = [&](std::string_view type) { return shape.back() % gguf_type(type)->weights == 0; };
  for (const std::string_view type : {is_of_words(name) ? format.embeddings : format.name, format.otherwise}) {
    if (fits(type)) return *gguf_type(type);
  }
  return *gguf_type("f16");
}

/// rows [n, in] fp32 in a type.
std::string encoded(const GgufType& type, const Tensor& rows, const std::string& name) {
  const Tensor wide = rows.to(at::kFloat).contiguous();
  const int64_t in = wide.size(-1), count = in == 0 ? 0 : wide.numel() / in, row_bytes = in / type.weights * type.bytes;
  std::string bytes(static_cast<size_t>(count * row_bytes), '\0');
  if (type.dtype) {
    const Tensor stored = wide.to(scalar_type(*type.dtype));
    if (type.dtype == Dtype::f16 && !stored.isfinite().all().item<bool>() && wide.isfinite().all().item<bool>())
      throw UserError("[convert] {} holds numbers that are too large for f16; use bf16", name);
    std::memcpy(bytes.data(), stored.const_data_ptr(), bytes.size());
    return bytes;
  }
  const nn::blocks::BlockType block = nn::blocks::block_type_named(type.name)->type;
  const float* const from = wide.const_data_ptr<float>();
  at::parallel_for(0, count, 1, [&](int64_t begin, int64_t end) {
    nn::blocks::pack(block, from + begin * in, (end - begin) * in,
                     reinterpret_cast<uint8_t*>(bytes.data()) + begin * row_bytes);
  });
  return bytes;
}

Tensor interleaved(const Tensor& weight, int64_t head_dim) {
  const Tensor order = at::empty({weight.size(0)}, at::kLong);
  for (int64_t row = 0; row < weight.size(0); ++row)
    order.mutable_data_ptr<int64_t>()[interleaved_row(row, head_dim)] = row;
  return weight.index_select(0, order);
}

bool is_turned(std::string_view name) {
  return name.find(".attn_q.") != name.npos || name.find(".attn_k.") != name.npos;
}

/// Rotary scaling as far as it is said in keys; divisors of llama3 and longrope are tensors.
void write_scaling(const LmConfig& c, const std::string& architecture, GgufWriter& writer) {
  const RopeScaling& r = *c.rope_scaling;
  const auto real = [&](const char* name, double value) {
    writer.set(architecture + ".rope.scaling." + name, static_cast<float>(value));
  };
  const auto original = [&] {
    writer.set(architecture + ".rope.scaling.original_context_length", static_cast<uint32_t>(r.original_length));
  };
  if (r.type == "llama3") {
    const auto ours = [&](const char* name, double value) {
      writer.set(std::string(gguf_scaling_prefix) + name, static_cast<float>(value));
    };
    ours("factor", r.factor);
    ours("low_freq_factor", r.low_frequency_factor);
    ours("high_freq_factor", r.high_frequency_factor);
    ours("original_length", static_cast<double>(r.original_length));
  }
  if (r.type == "linear" || r.type == "yarn") {
    writer.set(architecture + ".rope.scaling.type", r.type);
    real("factor", r.factor);
  }
  if (r.type == "yarn") {
    original();
    if (r.attention_factor) real("yarn_attn_factor", *r.attention_factor);
    real("yarn_beta_fast", r.beta_fast);
    real("yarn_beta_slow", r.beta_slow);
  }
  if (r.type == "longrope") {
    original();
    real("attn_factor", r.attention_factor.value_or(longrope_attention_factor(r.factor, r.original_length)));
  }
}

void write_windows(const LmConfig& c, const std::string& architecture, GgufWriter& writer) {
  writer.set(architecture + ".attention.sliding_window", static_cast<uint32_t>(c.window.value_or(0)));
  if (!c.window || c.full_every == 0) return;
  std::vector<bool> slides;
  for (size_t i = 0; i < static_cast<size_t>(c.depth); ++i) slides.push_back(c.windowed(i));
  writer.set(architecture + ".attention.sliding_window_pattern", slides);
  writer.set(architecture + ".rope.freq_base_swa", static_cast<float>(c.window_rope_theta.value_or(c.rope_theta)));
}

/// What llama.cpp asks of models with gated DeltaNets. Positions of texts are the same on all three axes of the rotary sections.
void write_linear(const LinearAttention& l, int64_t turned, const std::string& architecture, GgufWriter& writer) {
  const auto whole = [&](const char* name, int64_t value) {
    writer.set(architecture + "." + name, static_cast<uint32_t>(value));
  };
  whole("ssm.conv_kernel", l.kernel);
  whole("ssm.state_size", l.key_dim);
  whole("ssm.group_count", l.key_heads);
  whole("ssm.time_step_rank", l.value_heads);
  whole("ssm.inner_size", l.value_heads * l.value_dim);
  whole("full_attention_interval", l.full_every);
  const auto third = static_cast<int32_t>((turned / 2 + 2) / 3);
  writer.set(architecture + ".rope.dimension_sections",
             std::vector<int32_t>{third, third, static_cast<int32_t>(turned / 2) - 2 * third, 0});
}

void write_config(const LmConfig& c, const FileFormat& format, const ModelDirectory& found,
                  const std::string& architecture, GgufWriter& writer) {
  const auto key = [&](const char* name) { return architecture + "." + name; };
  const auto whole = [&](const char* name, int64_t value) { writer.set(key(name), static_cast<uint32_t>(value)); };
  const auto real = [&](const char* name, double value) { writer.set(key(name), static_cast<float>(value)); };
  writer.set("general.architecture", architecture);
  writer.set("general.type", "model");
  writer.set("general.name", found.path.stem().string());
  writer.set("general.file_type", format.file_type);
  writer.set("general.quantization_version", uint32_t{2});
  whole("vocab_size", c.vocabulary);
  whole("context_length", c.context);
  whole("embedding_length", c.width);
  whole("block_count", c.depth);
  whole("feed_forward_length", c.hidden);
  whole("attention.head_count", c.heads);
  whole("attention.head_count_kv", c.kv_heads);
  whole("attention.key_length", c.head_dim);
  whole("attention.value_length", c.head_dim);
  whole("rope.dimension_count", c.turned());
  real("rope.freq_base", c.rope_theta);
  real("attention.layer_norm_rms_epsilon", c.norm_eps);
  if (c.attention_cap) real("attn_logit_softcapping", *c.attention_cap);
  if (c.logit_cap) real("final_logit_softcapping", *c.logit_cap);
  if (c.window || c.fused) write_windows(c, architecture, writer);  // Phi-3 without a window has the key and a zero
  if (c.rope_scaling) write_scaling(c, architecture, writer);
  if (c.linear) write_linear(*c.linear, c.turned(), architecture, writer);
}

void write_tokenizer(const ModelDirectory& found, int64_t rows, GgufWriter& writer) {
  if (!found.is_gguf()) return text::write_gguf_tokenizer(found.path, rows, writer);
  const MappedFile map(found.path);
  for (const auto& [key, value] : parse_gguf(map.bytes(), found.path.string()).metadata) {
    if (key.starts_with("tokenizer.")) writer.copy(key, value);
  }
}

/// The ids that end a text and a turn, where the model says more than its tokenizer.
void write_ends(const ModelDirectory& found, GgufWriter& writer) {
  if (found.is_gguf()) return;
  const std::vector<int32_t> ends =
      generation_defaults(found.path, language_config(found.config, found.path.string())).end_tokens;
  if (ends.size() > 1) writer.set("tokenizer.ggml.eot_token_id", static_cast<uint32_t>(ends[1]));
}

/// A tensor of the file: one of the model's, or several, one's rows after the other's.
struct NamedWeight {
  struct Part {
    Tensor plain;
    std::shared_ptr<const nn::PackedWeight> packed;
    int64_t begin = 0;  // of its rows among all
    std::vector<int64_t> shape() const {
      return packed ? std::vector<int64_t>{packed->out(), packed->in()} : plain.sizes().vec();
    }
  };
  std::string name;  // llama.cpp's
  std::vector<Part> parts;
  std::string own_name = {};  // of the first part

  std::vector<int64_t> shape() const {
    std::vector<int64_t> all = parts.front().shape();
    for (size_t i = 1; i < parts.size(); ++i) all[0] += parts[i].shape()[0];
    return all;
  }
  Tensor numbers() const {
    std::vector<Tensor> each;
    for (const Part& part : parts) each.push_back(part.packed ? part.packed->unpack() : part.plain);
    return each.size() == 1 ? each[0] : at::cat(each);
  }
};

/// A gated DeltaNet's tensor with its value heads in llama.cpp's order, decays as they are applied; other tensors as they are.
Tensor as_delta_net_of_files(const NamedWeight& weight, const Tensor& numbers, const LinearAttention& l) {
  const size_t at = weight.own_name.find(delta_net_prefix);
  if (at == std::string::npos) return numbers;
  const std::string name = weight.own_name.substr(at + delta_net_prefix.size());
  const bool other_order = !l.tiled && l.key_heads != l.value_heads;
  const Tensor ordered = other_order ? with_value_heads(name, numbers, l, true) : numbers;
  return name == "A_log" ? -ordered.to(at::kFloat).exp() : name == "conv1d.weight" ? ordered.squeeze(1) : ordered;
}

std::vector<NamedWeight> weights_of(DecoderLm& model, std::string_view architecture) {
  std::vector<NamedWeight> all;
  std::map<std::string, size_t> places;
  const std::vector<FusedPart> fused = model.config.fused ? fused_parts(model.config) : std::vector<FusedPart>();
  const auto add = [&](std::string name, const Tensor& plain, std::shared_ptr<const nn::PackedWeight> packed) {
    NamedWeight::Part added{.plain = plain, .packed = std::move(packed)};
    for (const FusedPart& part : fused) {
      const std::string ending = std::string(part.name) + ".weight";
      if (!name.ends_with(ending)) continue;
      name = name.substr(0, name.size() - ending.size()) + part.whole + ".weight";
      added.begin = part.begin;
      break;
    }
    const std::string theirs = gguf_name(architecture, name);
    if (theirs.empty()) throw UserError("[convert] GGUF has no name for the tensor '{}'", name);
    const auto [place, is_new] = places.try_emplace(theirs, all.size());
    if (is_new) all.push_back({theirs, {}, name});
    std::vector<NamedWeight::Part>& parts = all[place->second].parts;
    parts.push_back(std::move(added));
    std::ranges::sort(parts, {}, &NamedWeight::Part::begin);
  };
  for (const NamedTensor& item : named_tensors(model)) {
    if (item.name.find(".packed.") == std::string::npos) add(item.name, item.tensor, nullptr);
  }
  if (model.embed_tokens.packed) add("model.embed_tokens.weight", {}, model.embed_tokens.packed);
  for (const auto& [name, linear] : nn::named_linears(model)) {
    if (linear->packed) add(name + ".weight", {}, linear->packed);
  }
  return all;
}

/// Settings as GGUF holds them: real numbers in 32 bits.
Json in_32_bits(Json tree) {
  if (tree.is_number_float()) return static_cast<double>(tree.get<float>());
  if (tree.is_structured()) {
    for (Json& value : tree) value = in_32_bits(value);
  }
  return tree;
}

/// What of a config is read back differently from a file, "norm_after (true becomes false)"; "" when all is as it was.
std::string settings_lost(const LmConfig& config, const Path& file) {
  LmConfig read = config_from_json(open_gguf(read_model_directory(file)).config, file.string());
  // model types that share an architecture differ in what the other settings say
  if (gguf_habits(read.family, "").architecture == gguf_habits(config.family, "").architecture)
    read.family = config.family;
  if (read.linear && config.linear) read.linear->tiled = config.linear->tiled;  // its tensors are written so
  const Json kept = in_32_bits(to_json(read));
  const Json own = in_32_bits(to_json(config));
  std::string lost;
  for (const auto& [key, value] : own.items()) {
    if (kept[key] != value)
      lost += fmt::format("{}{} ({} becomes {})", lost.empty() ? "" : ", ", key, value.dump(), kept[key].dump());
  }
  return lost;
}

}  // namespace

void save_gguf(const Path& out, const DecoderLm& from, const ModelDirectory& found, const ConvertOptions& options,
               FileSystem& files) {
  DecoderLm model = from;  // handles
  const LmConfig& c = model.config;
  const FileFormat& format = file_format(options.format);
  const GgufHabits habits = gguf_habits(c.family, found.path.string());
  GgufWriter writer;
  const std::string architecture(habits.architecture);
  write_config(c, format, found, architecture, writer);
  write_tokenizer(found, c.vocabulary, writer);
  write_ends(found, writer);
  const std::vector<NamedWeight> weights = weights_of(model, architecture);
  int64_t done = 0;
  const auto add_divisors = [&](const std::string& name, const Tensor& divisors) {
    writer.add(name + ".weight", *gguf_type("f32"), divisors.sizes().vec(),
               [divisors, name](WritableFile& file) { file.append(encoded(*gguf_type("f32"), divisors, name)); });
  };
  if (c.rope_scaling && c.rope_scaling->type == "llama3")
    add_divisors("rope_freqs", llama3_divisors(*c.rope_scaling, c.rope_theta, c.head_dim));
  if (c.rope_scaling && c.rope_scaling->type == "longrope") {
    add_divisors("rope_factors_long", at::tensor(c.rope_scaling->long_factors, at::kFloat));
    add_divisors("rope_factors_short", at::tensor(c.rope_scaling->short_factors, at::kFloat));
  }
  for (const NamedWeight& weight : weights) {
    std::vector<int64_t> shape = weight.shape();
    if (shape.size() == 3) shape.erase(shape.begin() + 1);  // a convolution's [channels, 1, kernel]
    const GgufType& type = type_of(format, weight.name, shape);
    writer.add(weight.name, type, shape, [&, type = &type](WritableFile& file) {
      Tensor numbers = weight.numbers();
      if (habits.interleaved_heads && is_turned(weight.name)) numbers = interleaved(numbers, c.head_dim);
      if (habits.norms_with_one && is_norm_with_one(weight.name)) numbers = numbers.to(at::kFloat) + 1;
      if (c.linear) numbers = as_delta_net_of_files(weight, numbers, *c.linear);
      file.append(encoded(*type, numbers, weight.name));
      if (options.on_progress) options.on_progress(++done, std::ssize(weights));
    });
  }
  write_file_atomically(
      out, [&](WritableFile& file) { writer.write(file); }, files);
  if (const std::string lost = settings_lost(c, out); !lost.empty()) {
    files.remove_all(out);
    throw UserError("[convert] {}: GGUF has no key for {}", found.path.string(), lost);
  }
}

}  // namespace tessera::lm
