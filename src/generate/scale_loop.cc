// The sum grows by the same line that the codec encodes with, so drawn and encoded pictures share one arithmetic.
#include "generate/scale_loop.h"

#include <ATen/ops/zeros.h>

namespace tessera::generate {

ScaleLoopResult run(const ScaleLoop& loop, const ScaleStep& step) {
  const codec::ScaleShape full = loop.scales.back();
  ScaleLoopResult result{
      .sum = at::zeros({loop.batch, loop.bits, full.height, full.width}, at::TensorOptions(loop.device))};
  for (size_t k = 0; k < loop.scales.size(); ++k) {
    const Tensor drawn = step(k, result.sum);
    result.bits.push_back(k < loop.given.size() ? loop.given[k] : drawn);
    result.sum = result.sum + codec::grow(codec::bits_to_codes(result.bits.back()), full);
    if (loop.on_scale) loop.on_scale(k, result.sum);
  }
  return result;
}

}  // namespace tessera::generate
