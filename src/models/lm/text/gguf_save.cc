// Tensors one after the other, as llama.cpp's converter would leave them; the config that is read back must be the model's own.
#include <array>
#include <cmath>

#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>

#include "core/error.h"
#include "models/lm/architecture/gguf_model.h"
#include "models/lm/text/convert.h"
#include "models/lm/text/writes.h"
#include "nn/kernels/blocks/block_type.h"
#include "tensor/gguf_writer.h"
#include "text/gguf_tokenizer.h"

namespace tessera::lm {

namespace {

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
  if (shape.size() < 2) return *gguf_type("f32");
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

/// What each rotary frequency is divided by.
Tensor llama3_divisors(const LmConfig& c) {
  const RopeScaling& s = *c.rope_scaling;
  const Tensor all = at::empty({c.head_dim / 2}, at::kFloat);
  for (int64_t i = 0; i < c.head_dim / 2; ++i) {
    const double wave =
        2 * M_PI * std::pow(c.rope_theta, 2.0 * static_cast<double>(i) / static_cast<double>(c.head_dim));
    const double ratio = static_cast<double>(s.original_length) / wave;
    const double smooth =
        std::clamp((ratio - s.low_frequency_factor) / (s.high_frequency_factor - s.low_frequency_factor), 0.0, 1.0);
    all.mutable_data_ptr<float>()[i] = static_cast<float>(1 / ((1 - smooth) / s.factor + smooth));
  }
  return all;
}

void write_config(const LmConfig& c, const FileFormat& format, const ModelDirectory& found, GgufWriter& writer) {
  const auto key = [&](const char* name) { return c.family + "." + name; };
  const auto whole = [&](const char* name, int64_t value) { writer.set(key(name), static_cast<uint32_t>(value)); };
  const auto real = [&](const char* name, double value) { writer.set(key(name), static_cast<float>(value)); };
  writer.set("general.architecture", c.family);
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
  whole("rope.dimension_count", c.head_dim);
  real("rope.freq_base", c.rope_theta);
  real("attention.layer_norm_rms_epsilon", c.norm_eps);
  if (c.attention_cap) real("attn_logit_softcapping", *c.attention_cap);
  if (c.logit_cap) real("final_logit_softcapping", *c.logit_cap);
  if (c.rope_scaling) {
    const RopeScaling& s = *c.rope_scaling;
    const auto scaling = [&](const char* name, double value) {
      writer.set(std::string(gguf_scaling_prefix) + name, static_cast<float>(value));
    };
    scaling("factor", s.factor);
    scaling("low_freq_factor", s.low_frequency_factor);
    scaling("high_freq_factor", s.high_frequency_factor);
    scaling("original_length", static_cast<double>(s.original_length));
  }
  if (c.window) whole("attention.sliding_window", *c.window);
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
  const std::vector<int32_t> ends = generation_defaults(found.path, found.config).end_tokens;
  if (ends.size() > 1) writer.set("tokenizer.ggml.eot_token_id", static_cast<uint32_t>(ends[1]));
}

struct NamedWeight {
  std::string name;  // llama.cpp's
  Tensor plain;
  std::shared_ptr<const nn::PackedWeight> packed;
};

std::vector<NamedWeight> weights_of(DecoderLm& model) {
  std::vector<NamedWeight> all;
  const std::string& architecture = model.config.family;
  const auto add = [&](const std::string& name, const Tensor& plain, std::shared_ptr<const nn::PackedWeight> packed) {
    const std::string theirs = gguf_name(architecture, name);
    if (theirs.empty()) throw UserError("[convert] GGUF has no name for the tensor '{}'", name);
    all.push_back({theirs, plain, std::move(packed)});
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
Json in_32_bits(const LmConfig& config) {
  Json tree = to_json(config);
  for (Json& value : tree) {
    if (value.is_number_float()) value = static_cast<double>(value.get<float>());
  }
  return tree;
}

/// What of a config is read back differently from a file, "norm_after (true becomes false)"; "" when all is as it was.
std::string settings_lost(const LmConfig& config, const Path& file) {
  const Json kept = in_32_bits(config_from_json(open_gguf(read_model_directory(file)).config, file.string()));
  const Json own = in_32_bits(config);
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
  write_config(c, format, found, writer);
  write_tokenizer(found, c.vocabulary, writer);
  write_ends(found, writer);
  const std::vector<NamedWeight> weights = weights_of(model);
  int64_t done = 0;
  if (c.rope_scaling) {
    const Tensor divisors = llama3_divisors(c);
    writer.add("rope_freqs.weight", *gguf_type("f32"), divisors.sizes().vec(),
               [divisors](WritableFile& file) { file.append(encoded(*gguf_type("f32"), divisors, "rope_freqs")); });
  }
  for (const NamedWeight& weight : weights) {
    const std::vector<int64_t> shape =
        weight.packed ? std::vector<int64_t>{weight.packed->out(), weight.packed->in()} : weight.plain.sizes().vec();
    const GgufType& type = type_of(format, weight.name, shape);
    writer.add(weight.name, type, shape, [&, type = &type](WritableFile& file) {
      Tensor numbers = weight.packed ? weight.packed->unpack() : weight.plain;
      if (habits.interleaved_heads && is_turned(weight.name)) numbers = interleaved(numbers, c.head_dim);
      if (habits.norms_with_one && weight.name.ends_with("_norm.weight")) numbers = numbers.to(at::kFloat) + 1;
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
