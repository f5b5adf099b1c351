// `tessera replay`: the receipt's request, asked again.
#include "apps/replay.h"

#include "core/error.h"
#include "core/log.h"
#include "serve/api.h"
#include "serve/models.h"
#include "serve/receipt.h"
#include "tensor/device.h"

namespace tessera::apps {

int run_replay(const ReplayOptions& options) {
  Json receipt = read_json_file(options.receipt);
  if (receipt.is_object() && receipt.contains("tessera") && receipt["tessera"].is_object() &&
      receipt["tessera"].contains("receipt"))
    receipt = Json(receipt["tessera"]["receipt"]);
  if (options.beside < 0 || options.beside > 256)
    throw UserError("[replay] --beside is {}, want 0 to 256", options.beside);
  std::string precision = "auto";
  if (receipt.is_object() && receipt.contains("model") && receipt["model"].is_object())
    precision = receipt["model"].value("precision", "auto");
  const bool exact = precision.ends_with(serve::exact_mark);
  if (exact) precision.resize(precision.size() - serve::exact_mark.size());
  serve::Metrics metrics;
  serve::Models models({.paths = {options.model},
                        .device = parse_device(options.compute.device),
                        .load = {.dtype = precision, .cache_int8 = options.cache_int8, .exact = exact}},
                       metrics);
  serve::Api api(models, metrics, {});
  const serve::ReplayOutcome outcome = serve::replay(receipt, api, models.cards().front(), options.beside);
  if (options.output.json) print_json({{"same", outcome.same}, {"what", outcome.what}, {"beside", options.beside}});
  else detail::print(fmt::format("{}: {}\n", outcome.same ? "the same" : "not the same", outcome.what));
  return outcome.same ? 0 : 1;
}

}  // namespace tessera::apps
