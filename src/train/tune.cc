// Choosing the trained tensors of a module.
#include "train/tune.h"

#include <algorithm>
#include <set>

#include "core/error.h"
#include "core/log.h"

namespace tessera::train {

namespace {
const std::vector<std::string> kinds = {"full", "lora", "qlora", "norms", "nothing"};

bool has_adapters(const TuneConfig& c) { return c.what == "lora" || c.what == "qlora"; }
bool is_adapter(const std::string& name) { return nn::name_has(name, "lora"); }
bool is_packed(const std::string& name) { return nn::name_has(name, "packed"); }
}  // namespace

void validate(const TuneConfig& c) {
  if (std::find(kinds.begin(), kinds.end(), c.what) == kinds.end())
    throw UserError("[tune] what is '{}'; did you mean '{}'? (full, lora, qlora, norms or nothing)", c.what,
                    nearest_word(c.what, kinds));
  if (c.rank < 1 || !(c.alpha > 0))
    throw UserError("[tune] rank, alpha are {}, {}; want at least 1 and above 0", c.rank, c.alpha);
  if (c.fp8 < 0) throw UserError("[tune] fp8 is {}, want the smallest side of a layer, or 0", c.fp8);
  if (c.last_layers < 0) throw UserError("[tune] last_layers is {}, want at least 0", c.last_layers);
  if (c.group < 2 || c.group % 2 != 0)
    throw UserError("[tune] group is {}, want an even number such as 64 or 128", c.group);
  if (has_adapters(c) && c.targets.empty())
    throw UserError("[tune] targets is empty; want names of layers, or [\"all\"]");
}

namespace {
void prepare_adapters(const std::vector<nn::NamedLinear>& linears, const TuneConfig& config, uint64_t seed) {
  const std::vector<nn::NamedLinear> chosen = nn::chosen_linears(linears, config.targets, config.last_layers);
  std::vector<nn::NamedLinear> bare;
  for (const nn::NamedLinear& l : chosen) {
    if (!l.linear->lora) bare.push_back(l);
  }
  nn::attach_adapters(bare, {.rank = config.rank, .alpha = config.alpha, .start = config.start, .seed = seed});
  if (config.what != "qlora") return;
  // the whole frozen base is packed, with or without adapters of its own
  std::vector<nn::NamedLinear> base;
  for (const nn::NamedLinear& l : nn::chosen_linears(linears, {"all"})) {
    const auto named = [&](const std::string& part) { return nn::name_has(l.name, part); };
    if (std::none_of(config.also.begin(), config.also.end(), named)) base.push_back(l);
  }
  if (const int64_t kept = nn::pack_weights(base, config.group); kept > 0)
    log_warning("[tune] {} of {} layers keep their full weight: their inputs are no multiple of {}", kept, base.size(),
                config.group);
}
}  // namespace

void prepare_layers(const std::vector<nn::NamedLinear>& linears, const TuneConfig& config, uint64_t seed) {
  validate(config);
  if (has_adapters(config)) prepare_adapters(linears, config, seed);
  if (config.fp8 > 0 && nn::use_fp8(linears, config.fp8) == 0)
    log_warning("[tune] no linear layer's smaller side is {} or more: none multiplies in 8 bits", config.fp8);
}

std::vector<Parameter> chosen_parameters(const std::vector<NamedTensor>& tensors, const std::vector<std::string>& norms,
                                         const TuneConfig& config) {
  const std::set<std::string> norm_names(norms.begin(), norms.end());
  std::set<std::string> found;  // of `also`
  std::vector<Parameter> all;
  for (const auto& [name, tensor] : tensors) {
    if (!at::isFloatingType(tensor.scalar_type())) continue;
    bool trained = !is_packed(name) && (config.what == "full" || (has_adapters(config) && is_adapter(name)) ||
                                        (config.what == "norms" && norm_names.contains(name)));
    for (const std::string& part : config.also) {
      if (!nn::name_has(name, part)) continue;
      found.insert(part);
      trained = !is_packed(name);
    }
    tensor.requires_grad_(trained);
    if (trained) all.push_back({.name = name, .tensor = tensor, .decay = tensor.dim() > 1});
  }
  if (config.what == "full" &&
      std::any_of(tensors.begin(), tensors.end(), [](const NamedTensor& t) { return is_packed(t.name); }))
    throw UserError("[tune] the model's weights are packed and cannot be trained in full; want what = \"qlora\"");
  for (const std::string& part : config.also) {
    if (!found.contains(part)) throw UserError("[tune] also: no tensor's name has the part '{}'", part);
  }
  if (all.empty() && config.what != "nothing")
    throw UserError("[tune] what = \"{}\" leaves nothing to train", config.what);
  return all;
}

}  // namespace tessera::train
