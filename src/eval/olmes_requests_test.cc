// Request files in the published form, and what is wrong with others.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "core/error.h"
#include "core/json.h"
#include "eval/olmes_task.h"
#include "eval/testing_gzip.h"

namespace tessera::eval {
namespace {

using ::testing::ElementsAre;
using testing::gzipped;
using ::testing::HasSubstr;
using testing::refusal;

struct Line {
  int64_t doc_id = 0, idx = 0;
  Json label = 1;
  std::string context = "Question: Why?\nAnswer:", continuation = " because";
  std::string type = "loglikelihood";
  Json doc = {{"choices", {"a", "b"}}};
};

std::string line_of(const Line& line) {
  const Json json = {{"request_type", line.type},
                     {"doc", line.doc},
                     {"request", {{"context", line.context}, {"continuation", line.continuation}}},
                     {"idx", line.idx},
                     {"task_name", "toy"},
                     {"doc_id", line.doc_id},
                     {"native_id", nullptr},
                     {"label", line.label}};
  return json.dump() + "\n";
}

std::string text_of(const std::vector<Line>& lines) {
  std::string text;
  for (const Line& line : lines) text += line_of(line);
  return text;
}

std::string fault_of(const std::string& text) {
  return refusal([&] { parse_olmes_requests(text, "toy.jsonl"); });
}

TEST(OlmesRequests, LinesOfADocumentBecomeItsChoices) {
  const auto documents = parse_olmes_requests(
      text_of({{.doc_id = 7, .idx = 1, .continuation = " b"}, {.doc_id = 7, .idx = 0, .continuation = " a"}}), "toy");
  ASSERT_EQ(documents.size(), 1u);
  EXPECT_THAT(documents[0].contexts, ElementsAre("Question: Why?\nAnswer:"));
  EXPECT_EQ(documents[0].choices[0].continuation, " a");
  EXPECT_EQ(documents[0].choices[1].continuation, " b");
  EXPECT_EQ(documents[0].answer, 1u);
  EXPECT_EQ(documents[0].where, "toy line 1");
}

TEST(OlmesRequests, ChoicesMayDifferInTheirContextAsWinograndesDo) {
  const auto documents = parse_olmes_requests(
      text_of({{.idx = 0, .context = "so Sarah", .doc = nullptr}, {.idx = 1, .context = "so Maria", .doc = nullptr}}),
      "toy");
  EXPECT_THAT(documents[0].contexts, ElementsAre("so Sarah", "so Maria"));
  EXPECT_EQ(documents[0].choices[1].context, 1u);
}

TEST(OlmesRequests, DocumentsFromTheOffsetOnAreUnconditional) {
  const auto documents = parse_olmes_requests(text_of({{.doc_id = 5, .idx = 0},
                                                       {.doc_id = 5, .idx = 1},
                                                       {.doc_id = 1000005, .idx = 0, .context = "Answer:"},
                                                       {.doc_id = 1000005, .idx = 1, .context = "Answer:"}}),
                                              "toy");
  ASSERT_EQ(documents.size(), 1u);
  ASSERT_EQ(documents[0].unconditional.size(), 2u);
  EXPECT_EQ(documents[0].contexts[documents[0].unconditional[1].context], "Answer:");
}

TEST(OlmesRequests, ASingleContinuationIsMeasuredByItsBitsPerByteAlone) {
  const auto documents = parse_olmes_requests(
      text_of({{.label = "18", .type = "generate_until_and_loglikelihood", .doc = {{"choices", {"a"}}}}}), "toy");
  EXPECT_FALSE(documents[0].answer);
}

TEST(OlmesRequests, WrongLinesAreNamedWithFileAndLine) {
  EXPECT_THAT(fault_of("\n{\n"), HasSubstr("toy.jsonl line 2"));
  EXPECT_THAT(fault_of("[1]\n"), HasSubstr("toy.jsonl line 1: is array, want an object"));
  EXPECT_THAT(fault_of(line_of({.type = "generate_until"})),
              HasSubstr("toy.jsonl line 1: request_type is 'generate_until', want loglikelihood"));
  EXPECT_THAT(fault_of(line_of({.continuation = ""})), HasSubstr("toy.jsonl line 1: 'continuation' is empty"));
  EXPECT_THAT(fault_of(line_of({.idx = -1})), HasSubstr("'idx' is -1, want 0 to 999"));
  EXPECT_THAT(fault_of(line_of({.idx = 1000000})), HasSubstr("'idx' is 1000000, want 0 to 999"));
  EXPECT_THAT(fault_of(line_of({.doc_id = 2000000})), HasSubstr("'doc_id' is 2000000"));
  EXPECT_THAT(fault_of(line_of({.label = 0.5})), HasSubstr("'label' is number, want a whole number"));
  EXPECT_THAT(fault_of(R"({"request_type":"loglikelihood"})"), HasSubstr("toy.jsonl line 1: has no 'request'"));
  EXPECT_THAT(fault_of(R"({"request_type":"loglikelihood","request":3})"), HasSubstr("is number, want an object"));
  EXPECT_THAT(fault_of(""), HasSubstr("[eval] toy.jsonl has no requests"));
}

TEST(OlmesRequests, IncompleteDocumentsAreNamed) {
  EXPECT_THAT(fault_of(text_of({{.idx = 0}, {.idx = 0}})),
              HasSubstr("toy.jsonl line 2: is choice 0 of a document a second time"));
  EXPECT_THAT(fault_of(text_of({{.idx = 0}, {.idx = 2}})),
              HasSubstr("toy.jsonl line 1: document 0 lacks choice 1 of 3"));
  EXPECT_THAT(fault_of(text_of({{.doc_id = 3, .idx = 0}})), HasSubstr("document 3 lacks choice 1 of 2"))
      << "its doc has two";
  EXPECT_THAT(fault_of(text_of({{.idx = 0, .label = 2}, {.idx = 1, .label = 2}})),
              HasSubstr("document 0 has label 2, want 0 to 1"));
  EXPECT_THAT(fault_of(text_of({{.idx = 0, .label = nullptr}, {.idx = 1, .label = nullptr}})),
              HasSubstr("has 2 choices and no number as label"));
  EXPECT_THAT(fault_of(text_of({{.idx = 0}, {.idx = 1}, {.doc_id = 1000000, .idx = 0}})),
              HasSubstr("document 0 lacks unconditional choice 1 of 2"));
  EXPECT_THAT(fault_of(text_of({{.doc_id = 1000000}})), HasSubstr("document 0 has unconditional requests alone"));
  EXPECT_THAT(fault_of(text_of({{.idx = 0},
                                {.idx = 1},
                                {.doc_id = 1, .idx = 0},
                                {.doc_id = 1, .idx = 1},
                                {.doc_id = 1000001, .idx = 0},
                                {.doc_id = 1000001, .idx = 1}})),
              HasSubstr("document 1 has unconditional requests, those before it have none"));
}

class OlmesFolders : public ::testing::Test {
 protected:
  void SetUp() override {
    folder = Path(::testing::TempDir()) / "olmes_folders";
    std::filesystem::remove_all(folder);
    write("toy/val_rc_5shot/requests.jsonl.gz", gzipped(text_of({{.idx = 0}, {.idx = 1}})));
    write("toy/val_rc_5shot/config.json",
          R"({"task_config": {"task_name": "toy task", "primary_metric": "acc_raw", "metric_kwargs": null}})");
    write("toy/mc_5shot/requests.jsonl", text_of({{.idx = 0}, {.idx = 1}}));
    write("gold/bpb/requests.jsonl", text_of({{.label = nullptr, .doc = nullptr}}));
  }
  void TearDown() override { std::filesystem::remove_all(folder); }
  void write(const std::string& name, const std::string& bytes) {
    std::filesystem::create_directories((folder / name).parent_path());
    write_file_atomically(folder / name, bytes);
  }
  Path folder;
};

TEST_F(OlmesFolders, TasksOfAFolderAreFoundWithTheirNamesAndMetrics) {
  const auto tasks = read_olmes_tasks({.data = {folder}});
  ASSERT_EQ(tasks.size(), 3u);
  EXPECT_EQ(tasks[0].name + " " + tasks[0].variant + " " + tasks[0].primary_metric, "gold bpb bits_per_byte");
  EXPECT_EQ(tasks[1].name + " " + tasks[1].variant + " " + tasks[1].primary_metric, "toy mc_5shot acc_per_char");
  EXPECT_EQ(tasks[2].name + " " + tasks[2].variant + " " + tasks[2].primary_metric, "toy task val_rc_5shot acc_raw");
  EXPECT_EQ(read_olmes_tasks({.data = {folder / "toy"}, .variant = "val_rc_5shot"}).size(), 1u);
  EXPECT_EQ(read_olmes_tasks({.data = {folder / "toy/mc_5shot/requests.jsonl"}})[0].name, "toy");
}

TEST_F(OlmesFolders, FoldersWithoutTasksAndWrongConfigsAreNamed) {
  const auto fault = [&](const OlmesSource& source) { return refusal([&] { read_olmes_tasks(source); }); };
  std::filesystem::create_directories(folder / "empty");
  EXPECT_THAT(fault({.data = {folder / "empty"}}),
              HasSubstr("empty holds no task; want a folder with requests.jsonl.gz"));
  EXPECT_THAT(fault({.data = {folder}, .variant = "rc"}), HasSubstr("holds no task of variant 'rc'"));
  EXPECT_THAT(fault({.data = {folder / "nowhere"}}), HasSubstr("nowhere does not exist"));
  write("toy/val_rc_5shot/config.json", R"({"task_config": {"metric_kwargs": {"uncond_docid_offset": -3}}})");
  EXPECT_THAT(fault({.data = {folder / "toy"}}), HasSubstr("uncond_docid_offset is -3"));
  write("toy/val_rc_5shot/config.json", "[]");
  EXPECT_THAT(fault({.data = {folder / "toy"}}), HasSubstr("has no object 'task_config'"));
}

TEST(OlmesRequests, ALimitKeepsDocumentsAtEvenDistances) {
  std::vector<OlmesDocument> documents(10);
  for (size_t i = 0; i < documents.size(); ++i) documents[i].where = std::to_string(i);
  keep_evenly(documents, 4);
  std::string kept;
  for (const OlmesDocument& each : documents) kept += each.where;
  EXPECT_EQ(kept, "0257");
  keep_evenly(documents, 9);
  EXPECT_EQ(documents.size(), 4u);
}

}  // namespace
}  // namespace tessera::eval
