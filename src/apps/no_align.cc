// Stands for the verbs of alignment where SQLite is not there (TESSERA_ALIGN=OFF).
#include "apps/align.h"
#include "apps/align_rate.h"
#include "core/error.h"

namespace tessera::apps {

namespace {
[[noreturn]] void refuse_alignment() {
  throw UserError("[align] this build has no alignment; configure with -DTESSERA_ALIGN=ON, which needs SQLite");
}
}  // namespace

int run_align_verb(const AlignOptions&) { refuse_alignment(); }
int run_align_status(const AlignStatusOptions&) { refuse_alignment(); }
int run_align_export(const AlignExportOptions&) { refuse_alignment(); }
int run_align_rate(const AlignRateOptions&) { refuse_alignment(); }
int run_align_report(const AlignReportOptions&) { refuse_alignment(); }

}  // namespace tessera::apps
