// Checks of a config, the rule for its feed-forward width, and the published sizes.
#include "models/infinity/config.h"

#include "core/error.h"

namespace tessera::infinity {

int64_t InfinityConfig::feed_forward_width() const {
  if (hidden > 0) return hidden;
  const int64_t whole = 4 * width / 256, rest = 4 * width % 256;
  const bool up = rest > 128 || (rest == 128 && whole % 2 == 1);  // half-even, as Python rounds
  return (whole + (up ? 1 : 0)) * 256;
}

void validate(const InfinityConfig& c) {
  if (c.width < 1 || c.depth < 1 || c.heads < 1) {
    throw UserError("[infinity] width {}, depth {}, heads {}; want whole numbers from 1", c.width, c.depth, c.heads);
  }
  constexpr int64_t deepest = 1024;  // a damaged config.json is not to ask for a billion blocks
  if (c.depth > deepest) throw UserError("[infinity] depth is {}, want at most {}", c.depth, deepest);
  if (c.width % c.heads != 0 || c.head_dim() % 4 != 0) {
    throw UserError("[infinity] width {} over {} heads; want a head width that is a multiple of 4", c.width, c.heads);
  }
  if (c.feed_forward_width() < 1) throw UserError("[infinity] hidden rounds to 0 for width {}; set it", c.width);
  if (c.bits < 1 || c.bits > 64) throw UserError("[infinity] bits is {}, want 1 to 64", c.bits);
  if (c.head != "bits" && c.head != "index") throw UserError("[infinity] head is '{}', want 'bits' or 'index'", c.head);
  if (c.head == "index" && c.bits_per_token() > 20) {
    throw UserError("[infinity] an index head over {} bits needs 2^{} outputs; want at most 20 bits, or head 'bits'",
                    c.bits_per_token(), c.bits_per_token());
  }
  if (c.pool_heads < 1 || c.width % c.pool_heads != 0) {
    throw UserError("[infinity] pool_heads is {}, want a divisor of width {}", c.pool_heads, c.width);
  }
  if (c.text_length < 2) throw UserError("[infinity] text_length is {}, want at least 2", c.text_length);
  if (c.text_encoder && c.text_encoder->width != c.text_width) {
    throw UserError("[infinity] text_encoder.width is {}, want text_width {}", c.text_encoder->width, c.text_width);
  }
  if (c.text_encoder && (c.text_encoder->heads < 1 || c.text_encoder->width % c.text_encoder->heads != 0)) {
    throw UserError("[infinity] text_encoder.heads is {}, want a divisor of its width {}", c.text_encoder->heads,
                    c.text_encoder->width);
  }
  if (static_cast<int64_t>(c.scales.size()) > c.levels) {
    throw UserError("[infinity] {} scales; want at most {}, the rows of the level embedding", c.scales.size(),
                    c.levels);
  }
  for (size_t k = 0; k < c.scales.size(); ++k) {
    if (k == 0 ? c.scales[k] != 1 : c.scales[k] < c.scales[k - 1]) {
      throw UserError("[infinity] scales must begin with 1 and not shrink; scale {} has edge {}", k + 1, c.scales[k]);
    }
  }
}

// The table of sizes. Text states are those of flan-t5-xl (2048 wide, at most 512), pooled by heads of 128 text channels.

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
