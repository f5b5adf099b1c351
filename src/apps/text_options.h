// Options that the verbs which write text or draw share. Free of LibTorch.
#pragma once

#include "apps/options.h"

namespace tessera::apps {

/// How tokens are drawn: `v("sampling", o.sampling, "Sampling")`. An empty field is the model's own
/// (generation_config.json with do_sample), and greedy otherwise.
struct SamplingOptions {
  int64_t max_new_tokens = 256;
  std::optional<double> temperature;
  std::optional<int64_t> top_k;
  std::optional<double> top_p, min_p, repetition_penalty;
  std::vector<std::string> stop;
};
template <class V> void fields(V& v, SamplingOptions& o) {
  v("max_new_tokens", o.max_new_tokens, "tokens to write at most");
  v("temperature", o.temperature,
    "0 takes the most likely token, 1 samples the model's own distribution, more makes it flatter (default: the "
    "model's own where its "
    "generation_config.json samples; 1 where another filter below is given; else 0)");
  v("top_k", o.top_k, "draw from the K most likely tokens; 0: from all");
  v("top_p", o.top_p, "draw from the most likely tokens that make up this share");
  v("min_p", o.min_p, "draw from tokens at least this times as likely as the most likely");
  v("repetition_penalty", o.repetition_penalty, "above 1 makes tokens that were there already less likely");
  v("stop", o.stop, "end before this text, in which \\n is a line break and \\t a tab");
}

/// What a text must look like: `v("shape", o.shape, "Shape")`.
struct ShapeOptions {
  std::filesystem::path json_schema;
};
template <class V> void fields(V& v, ShapeOptions& o) {
  v("json_schema", o.json_schema,
    "file with a JSON schema: the text becomes JSON that is valid against it, complete before max-new-tokens is "
    "reached");
}

/// How a model is held in memory: `v("memory", o.memory, "Memory")`.
struct MemoryOptions {
  std::string dtype = "auto";
  bool exact = false;
  bool cache_int8 = false;
};
template <class V> void fields(V& v, MemoryOptions& o) {
  v("dtype", o.dtype, "format of the weights: auto (as stored), fp32 or bf16");
  v("exact", o.exact,
    "closer to fp32 arithmetic, with prompts a third slower; docs/language-models.md and docs/infinity.md say what "
    "changes");
  v("cache_int8", o.cache_int8,
    "keys and values in 8 bits: half of the memory that bf16 takes, a quarter of fp32's, of long texts and large "
    "pictures; a little less exact");
}

/// Faster drawing: `v("fast", o.fast, "Faster, at some cost")`.
struct FastOptions {
  bool fast = false;
  std::optional<int64_t> unguided_scales, local_attention;
  std::optional<double> settled;
};
template <class V> void fields(V& v, FastOptions& o) {
  v("fast", o.fast,
    "Infinity: --unguided-scales 1 --local-attention 8; docs/infinity.md has what each switch costs and gains");
  v("unguided_scales", o.unguided_scales, "Infinity: so many last scales without guidance: half of their work");
  v("local_attention", o.local_attention,
    "Infinity: tokens of scales of more than 256 see others within this distance, and small scales whole; 0: all");
  v("settled", o.settled,
    "Infinity: share of the last two scales' tokens, those that changed least, that are taken from the scale before");
}

}  // namespace tessera::apps
