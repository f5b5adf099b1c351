// models/emoji-nvila answers about a picture with exactly these words: whatever changes them changes what people see.
#include <gtest/gtest.h>

#include "core/files.h"
#include "media/read_image.h"
#include "models/registry.h"

namespace tessera {
namespace {

TEST(EmojiNvilaGolden, NamesWhatEmojiInfinityDrew) {
  const Path root = TESSERA_SOURCE_DIR;
  const auto model = load_model(root / "models/emoji-nvila", at::kCPU, {.dtype = "fp32"});
  ASSERT_NE(model->sees(), nullptr);
  const Image picture = media::read_image(root / "tests/golden/data/red-apple.png");
  SeeRequest request{.messages = {{"user", "What is this?", 1}}, .media = {{.frames = {picture}}}};
  request.options.max_new_tokens = 16;
  EXPECT_EQ(model->sees()->see({request}).front().continuation.text, "red apple");
}

}  // namespace
}  // namespace tessera
