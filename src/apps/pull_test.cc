// `tessera pull` as a person runs it: the -m that it names is found, and mistakes end with status 2 and one line.
#include <gmock/gmock.h>

#include "hub/testing.h"
#include "tests/support/process.h"

namespace tessera::apps {
namespace {

using ::testing::AllOf;
using testing::Finished;
using ::testing::HasSubstr;
using ::testing::StartsWith;

class PullVerb : public ::testing::Test {
 protected:
  Finished run(std::vector<std::string> words, const std::string& more = "HF_TOKEN=") const {
    return testing::tessera(words, {"HF_ENDPOINT=" + hub_.address(), "HF_HUB_CACHE=" + cache_.path().string(), more});
  }

  hub::FakeHub hub_;
  testing::ScratchFolder cache_;
};

TEST_F(PullVerb, WhatWasPulledIsFoundByTheNameThatIsPrinted) {
  const std::string header = R"({"w":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})";
  std::string weights = {static_cast<char>(header.size()), 0, 0, 0, 0, 0, 0, 0};
  weights += header + std::string(8, '\0');
  hub_.files["model.safetensors"].bytes = weights;
  const Finished pulled = run({"pull", "org/tiny"});
  EXPECT_EQ(pulled.status, 0) << pulled.err;
  EXPECT_EQ(pulled.out, "use it by -m org/tiny\n");
  const Finished inspected = run({"inspect", "org/tiny", "--json"});
  EXPECT_EQ(inspected.status, 0) << inspected.err;
  EXPECT_EQ(parse_json(inspected.out, "answer")["parameters"], 2);
}

TEST_F(PullVerb, ARepositoryOfOneGgufFileIsNamedByThatFile) {
  hub_.files = {{"README.md", {"x"}}, {"tiny.Q4_1.gguf", {"GGUF", true}}, {"tiny.Q8_0.gguf", {"GGUF8", true}}};
  const Finished pulled = run({"pull", "org/tiny", "--include", "*Q4_1*", "--json"});
  EXPECT_EQ(pulled.status, 0) << pulled.err;
  const Json answer = parse_json(pulled.out, "answer");
  EXPECT_EQ(answer["model"], "org/tiny/tiny.Q4_1.gguf");
  EXPECT_EQ(answer["skipped"], Json::array({"README.md", "tiny.Q8_0.gguf"}));
  EXPECT_EQ(answer["bytes"], 4);
}

TEST_F(PullVerb, TheAddressOfAPageIsReadAsItsName) {
  for (const char* page : {"https://huggingface.co/org/tiny", "huggingface.co/org/tiny/", "https://hf.co/org/tiny",
                           "https://huggingface.co/org/tiny/tree/main"}) {
    const Finished pulled = run({"pull", page});
    EXPECT_EQ(pulled.status, 0) << pulled.err;
    EXPECT_EQ(pulled.out, "use it by -m org/tiny\n") << page;
  }
}

TEST_F(PullVerb, MistakesEndWithStatusTwoAndOneLine) {
  const auto told = [&](std::vector<std::string> words, const std::string& more = "HF_TOKEN=") {
    const Finished finished = run(std::move(words), more);
    EXPECT_EQ(finished.status, 2);
    EXPECT_EQ(std::count(finished.err.begin(), finished.err.end(), '\n'), 1);
    return finished.err;
  };
  EXPECT_THAT(told({"pull", "tiny"}), HasSubstr("'tiny' is no name of a model, want ORG/NAME"));
  EXPECT_THAT(told({"pull", "org/tiny/model.safetensors"}), HasSubstr("files are chosen by --include"));
  EXPECT_THAT(told({"pull", "https://example.org/org/tiny"}), HasSubstr("is no name of a model, want ORG/NAME"));
  EXPECT_THAT(told({"pull", "https://huggingface.co/org/none"}), HasSubstr("no such model: org/none"));
  EXPECT_THAT(told({"inspect", "runs/none", "--plot"}), HasSubstr("[inspect] runs/none does not exist"));
  EXPECT_THAT(told({"pull", "org/none"}), HasSubstr("no such model: org/none"));
  EXPECT_THAT(told({"pull", "org/tiny", "--revision", "v9"}), HasSubstr("no such revision"));
  EXPECT_THAT(told({"pull", "org/tiny", "--include", "*.gguf"}), HasSubstr("no file of org/tiny matches"));
  EXPECT_THAT(told({"pull", "org/tiny"}, "HF_HUB_OFFLINE=1"), HasSubstr("HF_HUB_OFFLINE"));
  EXPECT_THAT(told({"write", "-m", "org/none", "x"}),
              AllOf(StartsWith("tessera write: [model] org/none is neither a path here nor a model in"),
                    HasSubstr("`tessera pull org/none` fetches it")));
}

TEST_F(PullVerb, AFaultOfTheNetworkEndsWithStatusOne) {
  const Finished finished = testing::tessera(
      {"pull", "org/tiny"}, {"HF_ENDPOINT=http://127.0.0.1:1", "HF_HUB_CACHE=" + cache_.path().string()});
  EXPECT_EQ(finished.status, 1);
  EXPECT_THAT(finished.err, StartsWith("tessera pull: [pull] org/tiny: "));
}

}  // namespace
}  // namespace tessera::apps
