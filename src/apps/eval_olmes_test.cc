// `tessera eval --task olmes` from request files to its line of JSON and its row for planning.
#include <gmock/gmock.h>

#include "apps/eval.h"
#include "apps/text_testing.h"
#include "core/error.h"
#include "core/files.h"

namespace tessera::apps {
namespace {

using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

/// Two choices after one context, and the same after "Answer:" alone.
std::string document_lines(int64_t id) {
  std::string text;
  for (const int64_t offset : {0, 1000000}) {
    for (const int64_t idx : {0, 1}) {
      const Json line = {{"request_type", "loglikelihood"},
                         {"request",
                          {{"context", offset == 0 ? "once upon a time there was a cat, and a hat:" : "Answer:"},
                           {"continuation", idx == 0 ? " the cat" : " the mat"}}},
                         {"idx", idx},
                         {"doc_id", id + offset},
                         {"label", id % 2}};
      text += line.dump() + "\n";
    }
  }
  return text;
}

class EvalOlmes : public ::testing::Test {
 protected:
  EvalOlmes() {
    options.model = model.directory();
    options.task = "olmes";
    options.text.data = {model / "tasks"};
    options.output.json = true;
    options.compute.device = "cpu";
    write("toy/val_rc_5shot/requests.jsonl", document_lines(0) + document_lines(1) + document_lines(2));
  }
  void write(const std::string& name, const std::string& bytes) {
    std::filesystem::create_directories((model / "tasks" / name).parent_path());
    write_file_atomically(model / "tasks" / name, bytes);
  }
  Json last_line() const {
    ::testing::internal::CaptureStdout();
    const int status = run_eval(options);
    std::string printed = ::testing::internal::GetCapturedStdout();
    EXPECT_EQ(status, 0);
    printed.erase(printed.find_last_not_of('\n') + 1);
    return parse_json(printed.substr(printed.rfind('\n') + 1), "output");
  }
  TinyTextModel model;
  EvalOptions options;
};

TEST_F(EvalOlmes, ATaskHasItsMeasuresAndItsRowForPlanning) {
  options.row.append = model / "runs.csv";
  options.row.tokens = 1e9;
  const Json line = last_line();
  EXPECT_FALSE(line.contains("task")) << "a line of several results";
  ASSERT_EQ(line["results"].size(), 1u);
  const Json& result = line["results"][0];
  EXPECT_EQ(result["task"], "toy");
  EXPECT_EQ(result["variant"], "val_rc_5shot");
  EXPECT_EQ(result["primary_metric"], "acc_per_char");
  EXPECT_EQ(result["count"], 3);
  EXPECT_TRUE(result.contains("acc_uncond"));
  EXPECT_LT(line["positions"], line["naive_positions"]);
  const double right = result["acc_raw"];
  EXPECT_TRUE(right == 1.0 / 3 || right == 2.0 / 3) << "the three are one question with its answers turned";
  EXPECT_THAT(read_file(model / "runs.csv"), HasSubstr("toy_acc,toy_bpb,toy_ce"));
}

TEST_F(EvalOlmes, ALimitTakesFewerDocumentsOfEachTask) {
  options.olmes.limit = 2;
  EXPECT_EQ(last_line()["results"][0]["count"], 2);
}

TEST_F(EvalOlmes, WrongRequestsAreRefusedBeforeTheModelIsLoaded) {
  options.model = model / "nowhere";
  write("toy/val_rc_5shot/requests.jsonl", document_lines(0) + "{\"request_type\": \"generate_until\"}\n");
  EXPECT_THAT([&] { run_eval(options); }, ThrowsMessage<UserError>(HasSubstr("requests.jsonl line 5: request_type")));
  options.text.data = {};
  EXPECT_THAT([&] { run_eval(options); }, ThrowsMessage<UserError>(HasSubstr("wants --data")));
}

TEST_F(EvalOlmes, ARowTakesOneVariantOfATask) {
  write("toy/mc_5shot/requests.jsonl", document_lines(0));
  options.row.append = model / "runs.csv";
  options.row.tokens = 1e9;
  EXPECT_THAT([&] { run_eval(options); },
              ThrowsMessage<UserError>(HasSubstr("data have mc_5shot and val_rc_5shot; choose one with --variant")));
}

}  // namespace
}  // namespace tessera::apps
