// Checks of a config, and the rule for its feed-forward width.
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

}  // namespace tessera::infinity
