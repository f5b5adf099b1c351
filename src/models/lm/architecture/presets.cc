// The table of sizes, from the releases' config.json; parameters as their model pages count them.
#include "models/lm/architecture/config.h"

#include "core/error.h"

namespace tessera::lm {

namespace {

/// What differs between the sizes of a family.
struct Size {
  int64_t width, depth, heads, kv_heads, head_dim, hidden;
};

LmConfig shape(std::string family, int64_t vocabulary, const Size& s) {
  LmConfig c;
  c.family = std::move(family);
  c.vocabulary = vocabulary;
  c.qkv_bias = false;
  c.width = s.width;
  c.depth = s.depth;
  c.heads = s.heads;
  c.kv_heads = s.kv_heads;
  c.head_dim = s.head_dim;
  c.hidden = s.hidden;
  return c;
}

LmConfig qwen25(const Size& s, int64_t vocabulary, bool tied, int64_t context, double eps) {
  LmConfig c = shape("qwen2", vocabulary, s);
  c.qkv_bias = true;
  c.tied = tied;
  c.context = context;
  c.norm_eps = eps;
  return c;
}

LmConfig llama3(const Size& s, bool tied, double stretch) {
  LmConfig c = shape("llama", 128256, s);
  c.tied = tied;
  c.context = 131072;
  c.norm_eps = 1e-5;
  c.rope_theta = 5e5;
  c.rope_scaling = RopeScaling{.factor = stretch};
  return c;
}

LmConfig gemma(const Size& s) {
  LmConfig c = shape("gemma", 256000, s);
  c.context = 8192;
  c.rope_theta = 1e4;
  c.gelu = c.norm_plus_one = c.scaled_embedding = true;
  return c;
}

LmConfig gemma2(const Size& s) {
  LmConfig c = gemma(s);
  c.family = "gemma2";
  c.norm_after = true;
  c.query_scale = 256;
  c.attention_cap = 50;
  c.logit_cap = 30;
  c.window = 4096;
  c.window_every = 2;
  return c;
}

LmConfig olmo2(const Size& s) {
  LmConfig c = shape("olmo2", 100352, s);
  c.tied = false;
  c.context = 4096;
  c.norm_eps = 1e-6;
  c.rope_theta = 5e5;
  c.norm_before = false;
  c.norm_after = c.qk_norm = true;
  return c;
}

LmConfig qwen3(const Size& s, bool tied) {
  LmConfig c = shape("qwen3", 151936, s);
  c.tied = tied;
  c.context = 40960;
  c.norm_eps = 1e-6;
  c.rope_theta = 1e6;
  c.head_norm = true;
  return c;
}

LmConfig gemma3(const Size& s, int64_t context, int64_t window) {
  LmConfig c = shape("gemma3_text", 262144, s);
  c.context = context;
  c.rope_theta = 1e6;
  c.gelu = c.norm_plus_one = c.scaled_embedding = c.norm_after = c.head_norm = true;
  c.query_scale = 256;
  c.window = window;
  c.full_every = 6;
  c.window_rope_theta = 1e4;
  return c;
}

LmConfig smollm3(const Size& s) {
  LmConfig c = shape("smollm3", 128256, s);
  c.context = 65536;
  c.norm_eps = 1e-6;
  c.rope_theta = 5e6;
  c.unrotated_every = 4;
  return c;
}

LmConfig mistral(const Size& s) {
  LmConfig c = shape("mistral", 32000, s);
  c.tied = false;
  c.context = 32768;
  c.norm_eps = 1e-5;
  c.rope_theta = 1e4;
  c.window = 4096;
  return c;
}

}  // namespace

const std::vector<Preset>& presets() {
  static const std::vector<Preset> all{
      {"qwen2.5-0.5b", qwen25({896, 24, 14, 2, 64, 4864}, 151936, true, 32768, 1e-6), 494'032'768},
      {"qwen2.5-1.5b", qwen25({1536, 28, 12, 2, 128, 8960}, 151936, true, 131072, 1e-6), 1'543'714'304},
      {"qwen2.5-3b", qwen25({2048, 36, 16, 2, 128, 11008}, 151936, true, 32768, 1e-6), 3'085'938'688},
      {"qwen2.5-7b", qwen25({3584, 28, 28, 4, 128, 18944}, 152064, false, 131072, 1e-6), 7'615'616'512},
      {"qwen2.5-14b", qwen25({5120, 48, 40, 8, 128, 13824}, 152064, false, 131072, 1e-5), 14'770'033'664},
      {"qwen3-0.6b", qwen3({1024, 28, 16, 8, 128, 3072}, true), 596'049'920},
      {"qwen3-1.7b", qwen3({2048, 28, 16, 8, 128, 6144}, true), 1'720'574'976},
      {"qwen3-4b", qwen3({2560, 36, 32, 8, 128, 9728}, true), 4'022'468'096},
      {"qwen3-8b", qwen3({4096, 36, 32, 8, 128, 12288}, false), 8'190'735'360},
      {"llama-3.2-1b", llama3({2048, 16, 32, 8, 64, 8192}, true, 32), 1'235'814'400},
      {"llama-3.2-3b", llama3({3072, 28, 24, 8, 128, 8192}, true, 32), 3'212'749'824},
      {"llama-3.1-8b", llama3({4096, 32, 32, 8, 128, 14336}, false, 8), 8'030'261'248},
      {"gemma-2b", gemma({2048, 18, 8, 1, 256, 16384}), 2'506'172'416},
      {"gemma-7b", gemma({3072, 28, 16, 16, 256, 24576}), 8'537'680'896},
      {"gemma-2-2b", gemma2({2304, 26, 8, 4, 256, 9216}), 2'614'341'888},
      {"gemma-2-9b", gemma2({3584, 42, 16, 8, 256, 14336}), 9'241'705'984},
      {"gemma-3-1b", gemma3({1152, 26, 4, 1, 256, 6912}, 32768, 512), 999'885'952},
      {"mistral-7b-v0.1", mistral({4096, 32, 32, 8, 128, 14336}), 7'241'732'096},
      {"smollm3-3b", smollm3({2048, 36, 16, 4, 128, 11008}), 3'075'098'624},
      {"olmo-2-1b", olmo2({2048, 16, 16, 16, 128, 8192}), 1'484'916'736},
      {"olmo-2-7b", olmo2({4096, 32, 32, 32, 128, 11008}), 7'298'617'344},
      {"olmo-2-13b", olmo2({5120, 40, 40, 40, 128, 13824}), 13'716'198'400},
  };
  return all;
}

const LmConfig& preset(std::string_view name) {
  std::vector<std::string> names;
  for (const Preset& p : presets()) {
    if (p.name == name) return p.config;
    names.push_back(p.name);
  }
  throw UserError("[lm] unknown size '{}'; did you mean '{}'?", name, nearest_word(name, names));
}

}  // namespace tessera::lm
