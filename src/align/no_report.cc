// Without planning there are no pages.
#include "align/report.h"
#include "core/error.h"

namespace tessera::align {

void write_align_report(const Store&, const Path&, const ReportOptions&) {
  throw UserError("[align] this build writes no pages; configure with -DTESSERA_PLAN=ON");
}

}  // namespace tessera::align
