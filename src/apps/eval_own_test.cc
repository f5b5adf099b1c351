// `tessera eval` on a model of somebody's own pictures: it is measured on those, and the table says on which.
#include <gmock/gmock.h>

#include "apps/eval.h"
#include "codec/objective.h"
#include "core/error.h"
#include "core/json.h"
#include "core/log.h"
#include "core/progress.h"
#include "media/png.h"
#include "models/infinity/model_files.h"
#include "models/infinity/testing.h"
#include "tests/support/scratch.h"

namespace tessera::apps {
namespace {

using ::testing::HasSubstr;

class EvalOwn : public ::testing::Test {
 protected:
  EvalOwn() {
    set_log_level(LogLevel::quiet);
    set_progress_enabled(false);
    std::filesystem::create_directories(pictures());
    for (int i = 0; i < 12; ++i) {
      const std::string name = fmt::format("{:02}", i);
      media::write_png(pictures() / (name + ".png"), Image(12, 12, 3, static_cast<uint8_t>(20 * i)));
      write_file_atomically(pictures() / (name + ".txt"), "grey " + name);
    }
    infinity::save_model(infinity::tiny_infinity(), infinity::tiny_codec(), {}, StoredAs::f32, model());
    keep_recipe(0.25);
    options.model = model();
    options.task = "codec";
    options.count = 0;
    options.output.json = true;
    options.compute.device = "cpu";
  }
  Path pictures() const { return scratch_ / "pictures"; }
  Path model() const { return scratch_ / "model"; }
  void keep_recipe(double heldout_share) const {
    write_file_atomically(model() / "recipe.toml",
                          fmt::format("objective = 'infinity'\n[data]\nkind = 'folder'\n[data.folder]\npath = '{}'\n"
                                      "heldout_share = {}\n",
                                      pictures().string(), heldout_share));
  }
  std::string printed() const {
    ::testing::internal::CaptureStdout();
    const int status = run_eval(options);
    const std::string out = ::testing::internal::GetCapturedStdout();
    EXPECT_EQ(status, 0);
    return out;
  }

  testing::ScratchFolder scratch_;
  EvalOptions options;
};

TEST_F(EvalOwn, ACodecIsMeasuredOnTheHeldOutPicturesOfItsFolder) {
  const std::string out = printed();
  EXPECT_THAT(out, HasSubstr("3 pictures of " + pictures().string() + ", which the model was not trained on"));
  EXPECT_THAT(out, HasSubstr("\"count\":3"));
  keep_recipe(0);
  EXPECT_THAT(printed(), HasSubstr("12 pictures of " + pictures().string() + ", which the model was trained on"));
  options.count = 5;
  EXPECT_THAT(printed(), HasSubstr("\"count\":5"));
}

TEST_F(EvalOwn, AnyFolderOfPicturesCanBeGiven) {
  std::filesystem::create_directories(scratch_ / "other");
  for (const char* name : {"x.png", "y.png"}) media::write_png(scratch_ / "other" / name, Image(30, 20, 3, 99));
  options.text.data = {scratch_ / "other"};
  EXPECT_THAT(printed(), HasSubstr("2 pictures of " + (scratch_ / "other").string()));
}

TEST_F(EvalOwn, WordsThatAreNoneOfThoseThereAreAreRefused) {
  options.task = "sprite-retrieval";
  options.split = "foo";
  EXPECT_THAT([&] { run_eval(options); },
              ::testing::ThrowsMessage<UserError>(HasSubstr("--split is 'foo', want one of")));
  options.split.clear();
  options.words = "verbs";
  EXPECT_THAT([&] { run_eval(options); },
              ::testing::ThrowsMessage<UserError>(HasSubstr("--words is 'verbs', want one of")));
  options.task = "scenes";
  options.words = "keywords", options.count = 6;
  EXPECT_THAT([&] { run_eval(options); }, ::testing::ThrowsMessage<UserError>(HasSubstr("scenes have no keywords")));
}

TEST_F(EvalOwn, AFolderThatIsGoneIsNamed) {
  std::filesystem::remove_all(pictures());
  EXPECT_THAT([&] { run_eval(options); },
              ::testing::ThrowsMessage<UserError>(HasSubstr(pictures().string() + " is no folder")));
}

}  // namespace
}  // namespace tessera::apps
