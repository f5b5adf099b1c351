// One line per verb. A heavy one has a second line in engine_verbs.cc.
#include "apps/verbs.h"

#include "apps/devices.h"
#include "apps/train.h"

namespace tessera::apps {

const std::vector<Verb>& verbs() {
  static const std::vector<Verb> table = {
      heavy<TrainOptions>(),
      heavy<DevicesOptions>(),
  };
  return table;
}

}  // namespace tessera::apps
