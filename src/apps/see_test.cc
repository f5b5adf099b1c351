// The verb `see`: what it answers, and that errors are one line.
#include "apps/see.h"

#include <gmock/gmock.h>

#include <fstream>

#include "apps/text_testing.h"
#include "core/files.h"
#include "core/json.h"
#include "core/log.h"
#include "core/progress.h"
#include "media/png.h"
#include "models/nvila/model_files.h"
#include "models/nvila/testing.h"
#include "models/registry.h"

namespace tessera::apps {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::ThrowsMessage;

class SeeVerb : public ::testing::Test {
 protected:
  void SetUp() override {
    set_log_level(LogLevel::quiet);
    set_progress_enabled(false);
    directory = Path(::testing::TempDir()) /
                ("see-" + std::string(::testing::UnitTest::GetInstance()->current_test_info()->name()));
    std::filesystem::remove_all(directory);
    nvila::save_model(nvila::outspoken_nvila(), StoredAs::f32, directory / "model",
                      Path(TESSERA_SOURCE_DIR) / "tests/golden/data/nvila-flat");
    for (const char* name : {"a.png", "b.png"})
      media::write_png(directory / name, nvila::noise_picture(name[0], 40, 30));
    options.model = directory / "model";
    options.compute.device = "cpu";
    options.output.json = true;
    options.sampling.max_new_tokens = 6;
  }
  /// The object that a run prints.
  Json said(const std::vector<std::string>& words) {
    options.words = words;
    ::testing::internal::CaptureStdout();
    EXPECT_EQ(run_see(options), 0);
    return parse_json(::testing::internal::GetCapturedStdout(), "output");
  }
  std::string file(const char* name) const { return (directory / name).string(); }

  Path directory;
  SeeOptions options;
};

TEST_F(SeeVerb, AnswersDependOnThePictures) {
  const Json one = said({file("a.png"), "what is it?"});
  EXPECT_EQ(one["answer"], said({file("a.png"), "what is it?"})["answer"]);
  EXPECT_NE(one["tokens"], said({file("b.png"), "what is it?"})["tokens"]);
  EXPECT_EQ(one["media"], Json({file("a.png")}));
  EXPECT_EQ(one["prompt_tokens"].get<int64_t>() + 5,
            said({file("a.png"), file("b.png"), "what is it?"})["prompt_tokens"]);
}

TEST_F(SeeVerb, ADashIsAPictureFromStandardInput) {
  const Json named = said({file("a.png"), file("b.png"), "what is it?"});
  const StandardInput input(read_file(directory / "b.png"));
  const Json piped = said({file("a.png"), "-", "what is it?"});
  EXPECT_EQ(piped["tokens"], named["tokens"]);
  EXPECT_EQ(piped["media"], Json({file("a.png"), "-"}));
}

TEST_F(SeeVerb, AQuestionWithoutAPictureIsAnsweredAsTheLanguageModelAnswersIt) {
  const auto model = load_model(options.model, at::kCPU);
  const Written chatted = model->writes()->chat({{.role = "user", .content = "hello"}}, {.max_new_tokens = 6});
  const Json alone = said({"hello"});
  EXPECT_EQ(alone["tokens"], chatted.continuation.tokens);
  EXPECT_EQ(alone["answer"], chatted.continuation.text);
  EXPECT_EQ(alone["prompt_tokens"], chatted.prompt_tokens);
}

TEST_F(SeeVerb, AModelThatHasOnlyLearntAboutPicturesRefusesAQuestionWithoutOne) {
  write_file_atomically(options.model / "recipe.toml", "must_see = true\nknows = 'noise'\n");
  options.words = {"hello"};
  EXPECT_THAT([&] { run_see(options); }, ThrowsMessage<UserError>(HasSubstr("a question without a picture")));
  set_log_level(LogLevel::info);
  ::testing::internal::CaptureStderr();
  EXPECT_NE(said({file("a.png"), "what is it?"})["answer"], "");
  EXPECT_THAT(::testing::internal::GetCapturedStderr(), HasSubstr("knows noise\n"));
}

TEST_F(SeeVerb, StreamsTheAnswer) {
  const std::string answer = said({file("a.png"), "what is it?"})["answer"];
  options.output.json = false;
  ::testing::internal::CaptureStdout();
  run_see(options);
  EXPECT_EQ(::testing::internal::GetCapturedStdout(), answer + "\n");
}

TEST_F(SeeVerb, InvalidRequestsAreRefusedInOneLineAndNoPictureIsLeftOut) {
  std::ofstream(directory / "text.png") << "not a picture";
  std::ofstream(directory / "empty.png");
  const std::string whole = read_file(directory / "a.png");
  std::ofstream(directory / "cut.png", std::ios::binary) << whole.substr(0, whole.size() / 2);
  const auto refused = [&](const std::vector<std::string>& words, const std::string& text) {
    options.words = words;
    EXPECT_THAT([&] { run_see(options); }, ThrowsMessage<UserError>(AllOf(HasSubstr(text), Not(HasSubstr("\n")))));
  };
  refused({}, "no pictures and no question");
  refused({file("a.png"), file("b.png")}, "is a file; end with the question");
  refused({file("no.png"), "what?"}, "no.png does not exist");
  refused({directory.string(), "what?"}, "is a directory");
  refused({file("a.png"), "  "}, "the question is empty");
  refused({file("a.png"), "-"}, "end with the question");
  refused({"-", "-", "what?"}, "'-' is given 2 times");
  {
    const StandardInput empty("");
    refused({"-", "what?"}, "standard input is");
  }
  for (const char* damaged : {"text.png", "empty.png", "cut.png"})
    refused({file("a.png"), file(damaged), "what?"}, damaged);
  options.frames = -1;
  refused({file("a.png"), "what?"}, "--frames is -1");
  options.frames = 0;
  options.sampling.max_new_tokens = 0;
  refused({file("a.png"), "what?"}, "max-new-tokens");
  options.sampling.max_new_tokens = 4;
  options.model = "/nowhere";
  refused({file("a.png"), "what?"}, "/nowhere");
}

TEST_F(SeeVerb, AQuestionOverTheContextReportsByHowMuch) {
  options.words = {file("a.png"), std::string(2000, 'z')};
  EXPECT_THAT(
      [&] { run_see(options); },
      ThrowsMessage<UserError>(AllOf(HasSubstr("for pictures and clips; the context is 512"), HasSubstr("too many"))));
}

}  // namespace
}  // namespace tessera::apps
