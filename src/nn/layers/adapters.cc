// Choosing layers by name, starting adapters, folding them in.
#include "nn/layers/adapters.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <optional>

#include <ATen/ops/empty.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/zeros.h>

#include "core/error.h"
#include "nn/packed/int4_weight.h"

namespace tessera::nn {

namespace {
/// The first number among the words of a dotted name.
std::optional<int64_t> block_of(const std::string& name) {
  for (size_t begin = 0; begin < name.size();) {
    const size_t end = std::min(name.find('.', begin), name.size());
    int64_t number = 0;
    const auto [stop, fault] = std::from_chars(name.data() + begin, name.data() + end, number);
    if (fault == std::errc() && stop == name.data() + end) return number;
    begin = end + 1;
  }
  return std::nullopt;
}

bool is_head(const std::string& name) { return name_ends(name, "lm_head"); }
}  // namespace

bool name_has(const std::string& name, const std::string& part) {
  return ("." + name + ".").find("." + part + ".") != std::string::npos;
}
bool name_ends(const std::string& name, const std::string& suffix) {
  return name == suffix ||
         (name.size() > suffix.size() && name.ends_with(suffix) && name[name.size() - suffix.size() - 1] == '.');
}

std::vector<NamedLinear> chosen_linears(const std::vector<NamedLinear>& all, const std::vector<std::string>& targets,
                                        int64_t last_layers) {
  const auto matches = [](const std::string& name, const std::string& target) {
    return !is_head(name) && (target == "all" || name_ends(name, target));
  };
  for (const std::string& target : targets) {
    const auto named = [&](const NamedLinear& l) { return matches(l.name, target); };
    if (std::any_of(all.begin(), all.end(), named)) continue;
    std::vector<std::string> ends;
    for (const NamedLinear& l : all) {
      if (!is_head(l.name)) ends.push_back(l.name.substr(l.name.rfind('.') + 1));
    }
    throw UserError(
        "[tune] no linear layer's name ends with '{}'; did you mean '{}'? ('all' takes every one, never lm_head)",
        target, nearest_word(target, ends));
  }
  int64_t depth = 0;
  for (const NamedLinear& l : all) depth = std::max(depth, block_of(l.name).value_or(-1) + 1);
  std::vector<NamedLinear> chosen;
  for (const NamedLinear& l : all) {
    const bool named =
        std::any_of(targets.begin(), targets.end(), [&](const std::string& t) { return matches(l.name, t); });
    const bool late = last_layers <= 0 || block_of(l.name).value_or(-1) >= depth - last_layers;
    if (named && late) chosen.push_back(l);
  }
  return chosen;
}

void attach_adapters(const std::vector<NamedLinear>& linears, const AdapterOptions& options) {
  if (options.rank < 1) throw UserError("[tune] rank is {}, want at least 1", options.rank);
  if (options.start != "kaiming" && options.start != "normal")
    throw UserError("[tune] start is '{}', want kaiming or normal", options.start);
  for (const auto& [name, linear] : linears) {
    if (linear->lora) throw UserError("[tune] layer '{}' has an adapter already; merge it first", name);
    const int64_t in = linear->inputs();
    const auto format = at::TensorOptions(at::kFloat).device(linear->device());
    Lora lora{at::empty({options.rank, in}, format), at::zeros({linear->outputs(), options.rank}, format),
              options.alpha / static_cast<double>(options.rank)};
    const Rng rng = Rng(options.seed).split(hash_text(name));
    if (options.start == "normal") fill_truncated_normal(lora.a, 1.0 / static_cast<double>(options.rank), rng);
    else fill_uniform(lora.a, 1.0 / std::sqrt(static_cast<double>(in)), rng);
    linear->lora = std::move(lora);
  }
}

int64_t pack_weights(const std::vector<NamedLinear>& linears, int64_t group) {
  if (group < 2 || group % 2 != 0 || group > int4::most_group)
    throw UserError("[tune] group is {}, want an even number such as 64 or 128, at most {}", group, int4::most_group);
  int64_t kept = 0;
  for (const auto& [name, linear] : linears) {
    if (linear->packed) continue;
    if (linear->weight.size(1) % group != 0) {
      ++kept;
      continue;
    }
    const Ranges ranges = full_ranges(linear->weight, group);
    linear->pack(std::make_shared<Int4Weight>(round_int4(linear->weight, group, ranges)));
  }
  return kept;
}

void merge_adapters(const std::vector<NamedLinear>& linears) {
  const at::NoGradGuard no_grad;
  for (const auto& [name, linear] : linears) {
    if (!linear->lora) continue;
    const Lora& lora = *linear->lora;
    if (linear->packed) linear->weight = linear->packed->unpack();
    linear->packed.reset();
    // the sum is rounded once, to the weight's own format
    const Tensor sum =
        linear->weight.to(at::kFloat) + at::matmul(lora.b.to(at::kFloat), lora.a.to(at::kFloat)) * lora.scale;
    linear->weight = sum.to(linear->weight.scalar_type());  // the old one may be shared by a copy of the module
    linear->lora.reset();
  }
}

int64_t use_fp8(const std::vector<NamedLinear>& linears, int64_t smallest_side) {
  int64_t count = 0;
  for (const auto& [name, linear] : linears) {
    const bool plain = !linear->packed && !is_head(name);
    linear->fp8 = plain && std::min(linear->inputs(), linear->outputs()) >= smallest_side;
    count += linear->fp8 ? 1 : 0;
  }
  return count;
}

}  // namespace tessera::nn
