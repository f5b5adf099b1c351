// Each prompt goes through by itself: padding would change nothing but the time.
#include "models/infinity/prompt_encoder.h"

#include <algorithm>
#include <array>

#include <ATen/ops/stack.h>
#include <ATen/ops/tensor.h>
#include <torch/csrc/autograd/grad_mode.h>

#include "core/error.h"
#include "core/json.h"
#include "tensor/build.h"
#include "tensor/live_bytes.h"

namespace tessera::infinity {

namespace {

/// Of transformers' config.json, what an encoder needs.
nn::T5Config config_of(const Path& file) {
  const Json stored = read_json_file(file);
  const auto text = [&](const char* key) {
    return stored.is_object() && stored.contains(key) && stored[key].is_string() ? stored[key].get<std::string>() : "";
  };
  if (text("model_type") != "t5")
    throw UserError("[infinity] {} is of model_type '{}'; the text encoder wants 't5'", file.string(),
                    text("model_type"));
  if (text("feed_forward_proj") != "gated-gelu")
    throw UserError("[infinity] {}: feed_forward_proj is '{}', want 'gated-gelu', as flan-t5 has it", file.string(),
                    text("feed_forward_proj"));
  nn::T5Config config;
  Json known = to_json(config);
  for (const auto& [name, value] : known.items()) {
    if (stored.contains(name)) known[name] = stored[name];
  }
  from_json(known, config, file.string());
  nn::validate(config);
  return config;
}

/// The encoder's tensors: a decoder and a head may lie beside them, and the embedding has two names.
WeightSource encoder_tensors(const WeightSource& all) {
  const bool shared = all.find("shared.weight") != nullptr;
  return all.renamed([&](std::string_view name) {
    if (name == "encoder.embed_tokens.weight") return std::string(shared ? "" : "shared.weight");
    return name == "shared.weight" || name.starts_with("encoder.") ? std::string(name) : std::string();
  });
}

}  // namespace

PromptEncoder::PromptEncoder(Path folder, int64_t longest, at::Device device)
    : folder_(std::move(folder)), longest_(longest), device_(device), config_(config_of(folder_ / "config.json")),
      tokenizer_(text::load_tokenizer(folder_)) {
  nn::T5Encoder encoder = load();  // opens and compares names, reads no weights
  bytes_ = bytes_of(encoder);
}

nn::T5Encoder PromptEncoder::load() const {
  nn::T5Encoder encoder;
  {
    const BuildDevice nowhere(at::kMeta);
    encoder = nn::T5Encoder(config_);
  }
  const auto is_matrix = [](std::string_view name) { return name.find("norm") == std::string_view::npos; };
  map_weights(tensor_slots(encoder), encoder_tensors(WeightSource(folder_)), "t5",
              {.device = device_, .format = at::kFloat, .check_numbers = false, .as_stored = is_matrix});
  return encoder;
}

std::vector<std::vector<int64_t>> PromptEncoder::tokens_of(const std::vector<std::string>& prompts) const {
  constexpr int64_t end_of_text = 1;  // of every T5
  std::vector<std::vector<int64_t>> all;
  for (size_t i = 0; i < prompts.size(); ++i) {
    const std::vector<int32_t> ids = tokenizer_->encode(prompts[i]);
    auto& row = all.emplace_back(ids.begin(), ids.end());
    if (row.empty() || row.back() != end_of_text) row.push_back(end_of_text);
    if (std::ssize(row) > longest_)
      throw UserError("[draw] prompt {} has {} tokens with its end, want at most {}; this model reads no further",
                      i + 1, row.size(), longest_);
    for (const int64_t id : row) {
      if (id >= config_.vocab_size)
        throw UserError("[infinity] {}: the tokenizer gives id {}, the encoder has {} rows", folder_.string(), id,
                        config_.vocab_size);
    }
  }
  return all;
}

std::vector<Tensor> PromptEncoder::encode(const std::vector<std::string>& prompts) const {
  const at::NoGradGuard no_grad;
  const std::vector<std::vector<int64_t>> rows = tokens_of(prompts);
  const nn::T5Encoder encoder = load();
  std::vector<Tensor> states;
  for (const std::vector<int64_t>& row : rows)
    states.push_back(encoder.forward(at::tensor(row, at::kLong).to(device_))[0]);
  return states;
}

std::string with_positive_words(const std::string& prompt) {
  constexpr std::array people = {"man",         "woman",       "men",    "women",   "boy",      "girl",
                                 "child",       "person",      "human",  "adult",   "teenager", "employee",
                                 "employer",    "worker",      "mother", "father",  "sister",   "brother",
                                 "grandmother", "grandfather", "son",    "daughter"};
  const bool found =
      std::ranges::any_of(people, [&](const char* word) { return prompt.find(word) != std::string::npos; });
  return found ? prompt + ". very smooth faces, good looking faces, face to the camera, perfect facial features"
               : prompt;
}

nn::TextStates batch_of(const std::vector<Tensor>& states, size_t first, size_t last) {
  int64_t longest = 0;
  std::vector<int64_t> lengths;
  for (size_t i = first; i < last; ++i) {
    lengths.push_back(states[i].size(0));
    longest = std::max(longest, lengths.back());
  }
  std::vector<Tensor> rows;
  for (size_t i = first; i < last; ++i)
    rows.push_back(at::constant_pad_nd(states[i], {0, 0, 0, longest - states[i].size(0)}));
  return {.states = at::stack(rows),
          .lengths = at::tensor(lengths, at::kLong).to(states[first].device()),
          .padded = std::ranges::any_of(lengths, [&](int64_t length) { return length != longest; })};
}

}  // namespace tessera::infinity
