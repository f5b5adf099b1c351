// Stands in for ladder_row.cc in builds without TESSERA_PLAN.
#include "core/error.h"
#include "eval/ladder_row.h"

namespace tessera::eval {

std::string with_ladder_row(std::string_view, const std::string& source, const LadderRow&) {
  throw UserError("[eval] this build writes no rows for {}; build with -DTESSERA_PLAN=ON", source);
}
void append_ladder_row(const Path& file, const LadderRow& row, FileSystem&) { with_ladder_row("", file.string(), row); }

}  // namespace tessera::eval
