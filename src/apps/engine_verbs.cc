// The heavy verbs of libtessera.so, found by the executable through one exported function. Each also has a line in
// verbs.cc, which knows its flags without LibTorch.
#include <functional>
#include <map>
#include <string>

#include "apps/align.h"
#include "apps/align_rate.h"
#include "apps/chat.h"
#include "apps/convert.h"
#include "apps/data.h"
#include "apps/data_citations.h"
#include "apps/data_prune.h"
#include "apps/data_tokenizer.h"
#include "apps/devices.h"
#include "apps/draw.h"
#include "apps/engine.h"
#include "apps/eval.h"
#include "apps/options.h"
#include "apps/quantize.h"
#include "apps/replay.h"
#include "apps/see.h"
#include "apps/serve.h"
#include "apps/train.h"
#include "apps/write.h"
#include "core/error.h"
#include "tensor/device.h"

namespace tessera::apps {

namespace {

/// Parses, applies the common options and runs.
template <class Options, int (*run)(const Options&)> int parse_and_run(const Arguments& arguments) {
  Options options;
  if (!parse_options(arguments, options)) return 0;
  if constexpr (requires { options.output; }) apply(options.output);
  if constexpr (requires { options.compute; }) set_threads(options.compute.threads);
  return run(options);
}

using Run = int (*)(const Arguments&);

const std::map<std::string, Run>& engine_verbs() {
  static const std::map<std::string, Run> table = {
      {"draw", parse_and_run<DrawOptions, run_draw>},
      {"see", parse_and_run<SeeOptions, run_see>},
      {"write", parse_and_run<WriteOptions, run_write>},
      {"chat", parse_and_run<ChatOptions, run_chat>},
      {"replay", parse_and_run<ReplayOptions, run_replay>},
      {"serve", parse_and_run<ServeOptions, run_serve>},
      {"data emoji", parse_and_run<DataEmojiOptions, run_data_emoji>},
      {"data citations", parse_and_run<DataCitationsOptions, run_data_citations>},
      {"data prune", parse_and_run<DataPruneOptions, run_data_prune>},
      {"data tokenizer", parse_and_run<DataTokenizerOptions, run_data_tokenizer>},
      {"eval", parse_and_run<EvalOptions, run_eval>},
      {"devices", parse_and_run<DevicesOptions, run_devices>},
      {"convert", parse_and_run<ConvertOptions, run_convert>},
      {"quantize", parse_and_run<QuantizeOptions, run_quantize>},
      {"align", parse_and_run<AlignOptions, run_align_verb>},
      {"align status", parse_and_run<AlignStatusOptions, run_align_status>},
      {"align export", parse_and_run<AlignExportOptions, run_align_export>},
      {"align rate", parse_and_run<AlignRateOptions, run_align_rate>},
      {"align report", parse_and_run<AlignReportOptions, run_align_report>},
      {"train", parse_and_run<TrainOptions, run_train>},
  };
  return table;
}

}  // namespace

}  // namespace tessera::apps

int tessera_run_verb(int count, const char* const* words) {
  const auto& table = tessera::apps::engine_verbs();
  const auto found = table.find(words[0]);
  if (found == table.end())
    throw tessera::FaultError("[tessera] this libtessera.so has no verb '{}'; build it again", words[0]);
  return found->second(tessera::apps::Arguments(words + 1, words + count));
}
