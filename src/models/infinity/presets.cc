// The table of sizes. Text states are those of flan-t5-xl (2048 wide, at most 512), pooled by heads of 128 text channels.
#include "models/infinity/config.h"

#include "core/error.h"

namespace tessera::infinity {

namespace {
Preset size(std::string name, int64_t width, int64_t depth, int64_t heads, int64_t bits, double parameters) {
  InfinityConfig c;
  c.width = width;
  c.depth = depth;
  c.heads = heads;
  c.bits = bits;
  c.pool_heads = width > 4096 ? 32 : 16;
  return {std::move(name), c, parameters};
}

std::vector<Preset> table() {
  std::vector<Preset> all{
      size("layer12", 768, 12, 8, 16, 125e6),    size("layer16", 1152, 16, 12, 32, 362e6),
      size("layer24", 1536, 24, 16, 32, 941e6),  size("layer32", 2080, 32, 20, 32, 2.26e9),
      size("2b", 2048, 32, 16, 32, 2.20e9),      size("layer40", 2688, 40, 24, 32, 4.72e9),
      size("layer48", 3360, 48, 28, 32, 8.77e9), size("8b", 3584, 40, 28, 14, 8.38e9),
      size("20b", 4608, 58, 36, 32, 19.95e9),
  };
  for (Preset& p : all) {
    if (p.name == "layer12") p.config.pixels = "0.06M";
    if (p.name == "8b") p.config.patchify = true;
  }
  return all;
}
}  // namespace

const std::vector<Preset>& presets() {
  static const std::vector<Preset> all = table();
  return all;
}

const InfinityConfig& preset(std::string_view name) {
  std::vector<std::string> names;
  for (const Preset& p : presets()) {
    if (p.name == name) return p.config;
    names.push_back(p.name);
  }
  throw UserError("[infinity] unknown size '{}'; did you mean '{}'?", name, nearest_word(name, names));
}

}  // namespace tessera::infinity
