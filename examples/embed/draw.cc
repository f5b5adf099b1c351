// Draws a picture from words.
// Usage: draw MODEL_DIR "red apple" apple.png
#include <cstdio>

#include "tessera/core/error.h"
#include "tessera/media/png.h"
#include "tessera/models/registry.h"
#include "tessera/tensor/device.h"

int main(int count, char** words) try {
  if (count != 4) throw tessera::UserError("[draw] usage: draw MODEL_DIR WORDS PICTURE.png");
  const auto model = tessera::load_model(words[1], tessera::parse_device("auto"));
  const tessera::Draws* draws = model->draws();
  if (draws == nullptr) throw tessera::UserError("[draw] {} cannot draw", model->model_type());

  tessera::DrawRequest request;  // guidance, temperature and top_p that are left out are the model's own
  request.prompts = {words[2]};
  request.seed = 1;
  request.on_scale = [](const tessera::ScaleView& view) {
    std::printf("scale %zu of %zu\n", view.scale + 1, view.scales);
  };
  const std::vector<tessera::Image> pictures = draws->draw(request);
  tessera::media::write_png(words[3], pictures.front());
  std::printf("%s: %lld x %lld\n", words[3], static_cast<long long>(pictures.front().width),
              static_cast<long long>(pictures.front().height));
  return 0;
} catch (const tessera::Error& error) {
  std::fprintf(stderr, "draw: %s\n", error.what());
  return error.exit_status();
}
