// The small model that ships and sees, on pictures that models/emoji-infinity drew (`tessera draw -m models/emoji-infinity "red apple" --seed 1`).
#include <gtest/gtest.h>

#include "media/read_media.h"
#include "models/registry.h"

namespace tessera {
namespace {

const Path root = TESSERA_SOURCE_DIR;

TEST(EmojiNvila, NamesADrawnApple) {
  const auto model = load_model(root / "models/emoji-nvila", at::kCPU);
  ASSERT_NE(model->sees(), nullptr);
  SeeRequest request{.messages = {{.role = "user", .content = "What is this?", .media = 1}}};
  request.media.push_back(media::read_media(root / "tests/golden/data/red-apple.png", 1));
  request.options.max_new_tokens = 16;
  EXPECT_EQ(model->sees()->see({request}).front().continuation.text, "red apple");
}

TEST(EmojiNvila, TakesAtMostEightMegabytes) {
  uintmax_t bytes = 0;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(root / "models/emoji-nvila"))
    if (entry.is_regular_file()) bytes += entry.file_size();
  EXPECT_LE(bytes, 8'000'000u);
}

}  // namespace
}  // namespace tessera
