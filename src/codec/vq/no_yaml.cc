// Stands in for vqgan_yaml.cc where Tessera was built without libyaml.
#include "codec/vq/config.h"
#include "core/error.h"

namespace tessera::vq {

VqConfig read_vqgan_yaml(const std::filesystem::path& file) {
  throw UserError("[vq] {} cannot be read: this program was built without libyaml (TESSERA_YAML=OFF)", file.string());
}

}  // namespace tessera::vq
