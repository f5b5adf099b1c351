// What requests of all models share: reading an aspect ratio.
#include "models/capabilities.h"

#include <charconv>

#include "core/error.h"

namespace tessera {

double parse_aspect(std::string_view text) {
  const auto number = [&](std::string_view part) {
    double value = 0;
    const auto [end, error] = std::from_chars(part.data(), part.data() + part.size(), value);
    if (error != std::errc() || end != part.data() + part.size() || !(value > 0)) {
      throw UserError("[draw] aspect '{}' cannot be read; want width:height like 16:9, or height / width like 0.5625",
                      text);
    }
    return value;
  };
  const size_t colon = text.find(':');
  const double ratio =
      colon == std::string_view::npos ? number(text) : number(text.substr(colon + 1)) / number(text.substr(0, colon));
  if (!(ratio >= 0.25 && ratio <= 4))
    throw UserError("[draw] aspect '{}' is height / width {:.3g}, want 0.25 to 4", text, ratio);
  return ratio;
}

}  // namespace tessera
