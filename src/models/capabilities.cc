// What requests of all models share: reading an aspect ratio, refusing what only some models take.
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

PictureSize parse_size(std::string_view text) {
  const auto edge = [&](std::string_view part) {
    int64_t value = 0;
    const auto [end, error] = std::from_chars(part.data(), part.data() + part.size(), value);
    if (error != std::errc() || end != part.data() + part.size() || value < 1 || value > (1 << 20))
      throw UserError("[draw] size '{}' cannot be read; want WIDTHxHEIGHT like 1344x768", text);
    return value;
  };
  const size_t cross = text.find('x');
  if (cross == std::string_view::npos) edge("");
  return {edge(text.substr(0, cross)), edge(text.substr(cross + 1))};
}

namespace {
void require_nothing_but_messages(const text::TemplateInputs& inputs) {
  if (!inputs.empty())
    throw UserError("[chat] this model takes messages alone, no tools and no arguments of a template");
}
}  // namespace

std::unique_ptr<generate::TokenSteps> Writes::steps(int64_t /*positions*/) const {
  throw UserError("[model] this model writes whole texts only, none beside others");
}

int64_t Sees::prompt_length(const SeeRequest& request) const { return prompt(request).length(); }

generate::Prompt Sees::prompt(const SeeRequest& /*request*/) const {
  throw UserError("[model] this model answers whole requests only, none beside others");
}

Written Writes::chat(const std::vector<text::Message>& messages, const generate::TextOptions& options,
                     const text::TemplateInputs& inputs) const {
  require_nothing_but_messages(inputs);
  return chat(messages, options);
}

std::vector<int32_t> Writes::chat_prompt(const std::vector<text::Message>& messages,
                                         const text::TemplateInputs& inputs) const {
  require_nothing_but_messages(inputs);
  return chat_prompt(messages);
}

Tensor Writes::represent(const std::vector<std::string>& /*texts*/) const {
  throw UserError("[model] this model has no representation of texts");
}

}  // namespace tessera
