// One line per verb. A heavy one has a second line in engine_verbs.cc.
#include "apps/verbs.h"

#include "apps/align.h"
#include "apps/align_rate.h"
#include "apps/chat.h"
#include "apps/completion.h"
#include "apps/convert.h"
#include "apps/data.h"
#include "apps/data_citations.h"
#include "apps/data_prune.h"
#include "apps/data_tokenizer.h"
#include "apps/devices.h"
#include "apps/draw.h"
#include "apps/eval.h"
#include "apps/inspect.h"
#include "apps/man.h"
#include "apps/plan_budget.h"
#include "apps/plan_density.h"
#include "apps/plan_ladder.h"
#include "apps/plan_rank.h"
#include "apps/pull.h"
#include "apps/quantize.h"
#include "apps/replay.h"
#include "apps/see.h"
#include "apps/serve.h"
#include "apps/train.h"
#include "apps/write.h"

namespace tessera::apps {

const std::vector<Verb>& verbs() {
  static const std::vector<Verb> table = {
      heavy<DrawOptions>(),
      heavy<SeeOptions>(),
      heavy<WriteOptions>(),
      heavy<ChatOptions>(),
      heavy<ServeOptions>(),
      heavy<ReplayOptions>(),
      heavy<TrainOptions>(),
      heavy<AlignOptions>(),
      heavy<AlignStatusOptions>(),
      heavy<AlignExportOptions>(),
      heavy<AlignRateOptions>(),
      heavy<AlignReportOptions>(),
      heavy<EvalOptions>(),
      heavy<QuantizeOptions>(),
      heavy<ConvertOptions>(),
      heavy<DataEmojiOptions>(),
      heavy<DataCitationsOptions>(),
      heavy<DataPruneOptions>(),
      heavy<DataTokenizerOptions>(),
      light<PlanLadderOptions, run_plan_ladder>(),
      light<PlanBudgetOptions, run_plan_budget>(),
      light<PlanDensityOptions, run_plan_density>(),
      light<PlanRankOptions, run_plan_rank>(),
      light<InspectOptions, run_inspect>(),
      light<PullVerbOptions, run_pull>(),
      heavy<DevicesOptions>(),
      light<CompletionOptions, run_completion>(),
      light<ManOptions, run_man>(),
  };
  return table;
}

}  // namespace tessera::apps
