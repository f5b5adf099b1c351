// Asks a question about a picture or a clip.
// Usage: see MODEL_DIR picture.png "What is this?"
#include <cstdio>

#include "tessera/core/error.h"
#include "tessera/media/read_media.h"
#include "tessera/models/registry.h"
#include "tessera/tensor/device.h"

int main(int count, char** words) try {
  if (count != 4) throw tessera::UserError("[see] usage: see MODEL_DIR PICTURE QUESTION");
  const auto model = tessera::load_model(words[1], tessera::parse_device("auto"));
  const tessera::Sees* sees = model->sees();
  if (sees == nullptr) throw tessera::UserError("[see] {} cannot see", model->model_type());

  tessera::SeeRequest request;
  request.messages = {{.role = "user", .content = words[3], .media = 1}};  // one picture comes before the question
  request.media = {tessera::media::read_media(words[2], sees->default_frames())};
  request.options.max_new_tokens = 32;
  std::printf("%s\n", sees->see({request}).front().continuation.text.c_str());
  return 0;
} catch (const tessera::Error& error) {
  std::fprintf(stderr, "see: %s\n", error.what());
  return error.exit_status();
}
