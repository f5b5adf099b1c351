// The verb `draw`: what it writes, and that errors are reported before anything is loaded, drawn or written.
#include "apps/draw.h"

#include <gmock/gmock.h>

#include <cstdlib>
#include <fstream>

#include "core/error.h"
#include "core/files.h"
#include "core/interrupt.h"
#include "core/log.h"
#include "core/progress.h"
#include "media/png.h"
#include "media/read_media.h"
#include "models/infinity/model_files.h"
#include "models/infinity/testing.h"

namespace tessera::apps {
namespace {

using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

class DrawVerb : public ::testing::Test {
 protected:
  void SetUp() override {
    set_log_level(LogLevel::quiet);
    set_progress_enabled(false);
    directory = Path(::testing::TempDir()) / ::testing::UnitTest::GetInstance()->current_test_info()->name();
    std::filesystem::remove_all(directory);
    infinity::save_model(infinity::tiny_infinity(), infinity::tiny_codec(), {}, StoredAs::f32, directory / "model");
    options.model = directory / "model";
    options.out = directory / "out.png";
    options.prompt = {"red apple"};
    options.compute.device = "cpu";
  }
  Image drawn(const std::string& name) const { return media::decode_png(read_file(directory / name), name); }

  Path directory;
  DrawOptions options;
};

TEST_F(DrawVerb, WritesOnePictureThatDependsOnTheSeed) {
  EXPECT_EQ(run_draw(options), 0);
  const Image first = drawn("out.png");
  EXPECT_EQ(first.width, 12);
  run_draw(options);
  EXPECT_EQ(drawn("out.png"), first);
  options.compute.seed = 5;
  run_draw(options);
  EXPECT_NE(drawn("out.png"), first);
}

TEST_F(DrawVerb, NumbersSeveralPicturesAndComposesASheet) {
  options.count = 2;
  options.prompt = {"red apple", "cat"};
  run_draw(options);
  for (const char* name : {"out-1.png", "out-2.png", "out-3.png", "out-4.png"})
    EXPECT_EQ(drawn(name).width, 12) << name;
  options.sheet = true;
  options.enlarge = 2;
  run_draw(options);
  EXPECT_GT(drawn("out.png").width, 2 * 24);  // two columns of enlarged pictures, and gaps
}

TEST_F(DrawVerb, KeepsThePicturesThatWereDrawnBeforeCtrlC) {
  const InterruptGuard outer;
  InterruptGuard::raise();
  options.count = 40;
  EXPECT_EQ(run_draw(options), interrupted_status);
  EXPECT_TRUE(std::filesystem::exists(directory / "out-16.png"));
  EXPECT_FALSE(std::filesystem::exists(directory / "out-17.png")) << "a batch is drawn to its end, no further one";
  options.sheet = true;
  EXPECT_EQ(run_draw(options), interrupted_status);
  EXPECT_GT(drawn("out.png").width, 4 * 12);
}

TEST_F(DrawVerb, OnePictureIsLeftOutWhereCtrlCCameBetweenItsScales) {
  const InterruptGuard outer;
  InterruptGuard::raise();
  for (const bool sheet : {false, true}) {
    options.sheet = sheet;
    EXPECT_EQ(run_draw(options), interrupted_status);
    EXPECT_FALSE(std::filesystem::exists(directory / "out.png"));
  }
}

TEST_F(DrawVerb, TakesSizesNegativePromptsAndTheShapeOfAFirstPicture) {
  options.size = "12x12";
  options.negative = "dog";
  options.fast.fast = true;
  EXPECT_EQ(run_draw(options), 0);
  EXPECT_EQ(drawn("out.png").width, 12);
  options.aspect = "1:1";
  EXPECT_THAT([&] { run_draw(options); }, ThrowsMessage<UserError>(HasSubstr("--size says all")));
  options.size = options.aspect = "";
  media::write_png(directory / "tall.png", Image(10, 20, 3, 90));
  options.init_image = directory / "tall.png";
  EXPECT_EQ(run_draw(options), 0);
  EXPECT_EQ(drawn("out.png").height, 2 * drawn("out.png").width);
  options.from = options.init_image;
  EXPECT_THAT([&] { run_draw(options); }, ThrowsMessage<UserError>(HasSubstr("an older name")));
}

TEST_F(DrawVerb, WritesTheKindOfPictureThatTheNameEndsIn) {
  run_draw(options);
  const Image want = drawn("out.png");
  for (const char* name : {"out.PNG", "plain", "out.webp", "out.WebP", "out.jpg", "out.JPEG"}) {
    options.out = directory / name;
    run_draw(options);
    const std::string bytes = read_file(options.out);
    const std::string ending = options.out.extension().string();
    const bool jpeg = ending == ".jpg" || ending == ".JPEG", webp = ending == ".webp" || ending == ".WebP";
    EXPECT_TRUE(bytes.starts_with(jpeg ? "\xFF\xD8\xFF" : webp ? "RIFF" : "\x89PNG")) << name;
    const Image got = media::read_image(options.out);
    ASSERT_EQ(got.pixels.size(), want.pixels.size()) << name;
    double off = 0;
    for (size_t i = 0; i < got.pixels.size(); ++i) off += std::abs(got.pixels[i] - want.pixels[i]);
    EXPECT_LE(off / static_cast<double>(got.pixels.size()), jpeg ? 6 : 0) << name;
  }
  options.count = 2;
  options.out = directory / "two.jpg";
  run_draw(options);
  EXPECT_TRUE(read_file(directory / "two-2.jpg").starts_with("\xFF\xD8\xFF"));
}

TEST_F(DrawVerb, ADashIsThePictureOnStandardOutput) {
  run_draw(options);
  options.out = "-";
  ::testing::internal::CaptureStdout();
  EXPECT_EQ(run_draw(options), 0);
  EXPECT_EQ(::testing::internal::GetCapturedStdout(), read_file(directory / "out.png"));
  EXPECT_FALSE(std::filesystem::exists("-"));
}

TEST_F(DrawVerb, StandardOutputTakesNothingBesideOnePicture) {
  options.model = directory / "no such model";
  options.out = "-";
  const auto refused = [&](auto change, const char* words) {
    DrawOptions wrong = options;
    change(wrong);
    EXPECT_THAT([&] { run_draw(wrong); }, ThrowsMessage<UserError>(HasSubstr(words)));
  };
  refused([](DrawOptions& o) { o.count = 2; }, "but there are 2; want --sheet");
  refused([](DrawOptions& o) { o.output.json = true; }, "--json goes too");
  refused([](DrawOptions& o) { o.show = true; }, "--show paints too");
}

TEST_F(DrawVerb, RefusesUnknownEndingsBeforeLoadingTheModel) {
  options.model = directory / "no such model";
  for (const char* name : {"out.gif", "out.bmp", "out.jpg.tmp", "out.tiff", "v1.5"}) {
    options.out = directory / name;
    EXPECT_THAT([&] { run_draw(options); }, ThrowsMessage<UserError>(HasSubstr("want .png, .jpg, .jpeg or .webp")))
        << name;
  }
}

TEST_F(DrawVerb, RefusesAbsurdCountsBeforeAnythingIsMade) {
  for (const int64_t count : {int64_t{0}, int64_t{-3}, int64_t{100'000'000}}) {
    options.count = count;
    EXPECT_THAT([&] { run_draw(options); }, ThrowsMessage<UserError>(HasSubstr("want 1 to 10000")));
  }
}

TEST_F(DrawVerb, ReadsPromptsFromAFile) {
  std::ofstream(directory / "prompts.txt") << "red apple\n\n  \ncat\n";
  options.prompt = {};
  options.prompts = directory / "prompts.txt";
  run_draw(options);
  EXPECT_TRUE(std::filesystem::exists(directory / "out-2.png"));
  EXPECT_FALSE(std::filesystem::exists(directory / "out-3.png"));
}

TEST_F(DrawVerb, SavesThePictureAfterEveryScaleAndTheLastIsTheResult) {
  options.save_scales = directory / "scales";
  run_draw(options);
  EXPECT_EQ(drawn("scales/1-scale-3.png"), drawn("out.png"));
  EXPECT_NE(drawn("scales/1-scale-1.png"), drawn("out.png"));
  EXPECT_GT(drawn("scales/1-strip.png").width, 3 * 12);
}

TEST_F(DrawVerb, KeepsTheFirstScalesOfAPicture) {
  media::write_png(directory / "from.png", infinity::noise_picture(3));
  options.from = directory / "from.png";
  options.keep_scales = 3;
  run_draw(options);
  const Image all_kept = drawn("out.png");
  options.prompt = {"cat"};
  options.compute.seed = 9;
  run_draw(options);
  EXPECT_EQ(drawn("out.png"), all_kept);
}

TEST_F(DrawVerb, RefusesAnUnwritableOutputBeforeLoadingTheModel) {
  options.model = directory / "no such model";
  std::ofstream(directory / "file") << "x";
  options.out = directory / "file" / "out.png";
  EXPECT_THAT([&] { run_draw(options); }, ThrowsMessage<UserError>(HasSubstr("file/out.png")));
}

TEST_F(DrawVerb, RefusesMissingPromptsAndModelsAndBadNumbersInOneLine) {
  const auto refused = [&](auto change, const char* words) {
    DrawOptions wrong = options;
    change(wrong);
    EXPECT_THAT([&] { run_draw(wrong); },
                ThrowsMessage<UserError>(::testing::AllOf(HasSubstr(words), ::testing::Not(HasSubstr("\n")))));
  };
  refused([](DrawOptions& o) { o.prompt = {}; }, "no prompt");
  refused([](DrawOptions& o) { o.prompt = {""}; }, "prompt 1 is empty");
  refused([](DrawOptions& o) { o.prompt = {std::string(50'000, 'a')}; }, "has 50000 bytes");
  refused([](DrawOptions& o) { o.count = 0; }, "--count");
  refused([](DrawOptions& o) { o.aspect = "wide"; }, "aspect 'wide'");
  refused([](DrawOptions& o) { o.cfg = {1, 2}; }, "cfg");
  refused([](DrawOptions& o) { o.model = "/nowhere"; }, "/nowhere");
  refused([](DrawOptions& o) { o.negative = " \t"; }, "--negative holds no words");
  refused([](DrawOptions& o) { o.keep_scales = 2; }, "--keep-scales is 2 but there is no --init-image");
  refused([](DrawOptions& o) { o.window = 8; }, "window and settle are for models that draw code by code");
  refused([](DrawOptions& o) { o.settle = 0; }, "window and settle are for models that draw code by code");
  refused([](DrawOptions& o) { o.top_k = 5; }, "top_k, window and settle are for models that draw code by code");
  EXPECT_FALSE(std::filesystem::exists(options.out));
}

}  // namespace
}  // namespace tessera::apps
