// Chooses the source by the kind the recipe names.
#include "data/source.h"

#include "core/error.h"

namespace tessera::data {

std::unique_ptr<SampleSource> make_source(const DataConfig& config) {
  if (config.kind == "emoji") return make_emoji_source(config.emoji);
  throw UserError("[data] unknown kind of data; got '{}', want emoji", config.kind);
}

}  // namespace tessera::data
