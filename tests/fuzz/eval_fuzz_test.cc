// Seeded mutations of what evaluations read: rows of questions, request files, Arrow streams, and tables that rows are
// put into.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "core/error.h"
#include "eval/arrow_stream.h"
#include "eval/choice.h"
#include "eval/ladder_row.h"
#include "eval/olmes_task.h"
#include "eval/testing_gzip.h"
#include "plan/csv.h"
#include "tests/fuzz/mutate.h"

namespace tessera::testing {
namespace {

using Words = std::vector<std::string>;

/// Runs `read`; true when it took the bytes, false when it refused them in one line.
template <class Read> bool accepts(const Read& read) {
  try {
    read();
    return true;
  } catch (const UserError& error) {
    const std::string message = error.what();
    EXPECT_TRUE(message.starts_with('[')) << message;
    EXPECT_EQ(message.find('\n'), std::string::npos) << message;
    return false;
  }
}

TEST(EvalFuzz, MutatedQuestionsAreReadOrRefused) {
  const Words corpus = {
      R"({"question":"Why?","choices":{"text":["a","b","c"],"label":["A","B","C"]},"answerKey":"B"})",
      R"({"question":{"stem":"Why?","choices":[{"text":"a","label":"1"},{"text":"b","label":"2"}]},"answerKey":"2"})",
      R"({"ctx":"A man","endings":["sits.","flies."],"label":"1"})",
      R"({"context":"It rained.","question":"And?","answerA":"a","answerB":"b","answerC":"c","label":"3"})",
      R"({"goal":"open","sol1":"push","sol2":"pull","label":0})"};
  const Words words = {"null",  "-1",           "99999999999999999999", "1e99",       "\"\"",    "[]", "{}",  "true",
                       "\"Z\"", "\"choices\":", "\"answer\":",          "\"label\":", "\\u0000", "\n", "\xff"};
  Rng rng(1);
  int accepted = 0;
  for (int round = 0; round < 4000; ++round) {
    const std::string line = mutate(corpus, words, rng);
    accepted += accepts([&] {
      const eval::ChoiceRow row = eval::parse_choice_row(line, "input line 1");
      EXPECT_LT(row.answer, row.choices.size()) << line;
      EXPECT_GE(row.choices.size(), 2u) << line;
    });
  }
  EXPECT_GT(accepted, 100);
  EXPECT_LT(accepted, 3900);
}

const Words request_lines = {
    R"({"request_type":"loglikelihood","doc":{"choices":["a","b"]},"request":{"context":"Q","continuation":" a"},)"
    R"("idx":0,"doc_id":0,"label":1})"
    "\n"
    R"({"request_type":"loglikelihood","doc":{"choices":["a","b"]},"request":{"context":"Q","continuation":" b"},)"
    R"("idx":1,"doc_id":0,"label":1})"
    "\n",
    R"({"request_type":"loglikelihood","request":{"context":"Q","continuation":" a"},"idx":0,"doc_id":3,"label":null})"
    "\n"};
const Words request_words = {"1000000", "-1", "1e99", "99999999999999999999", "\"idx\":1", "null",    "[]",
                             "{}",      "\n", "\"\"", "\"doc_id\":1000000",   "\xff",      "\x1f\x8b"};

/// Documents that were taken are complete.
void expect_sound(const std::vector<eval::OlmesDocument>& documents) {
  EXPECT_FALSE(documents.empty());
  for (const eval::OlmesDocument& document : documents) {
    EXPECT_EQ(document.answer.has_value(), document.choices.size() > 1);
    EXPECT_LT(document.answer.value_or(0), document.choices.size());
    for (const auto* list : {&document.choices, &document.unconditional}) {
      for (const eval::OlmesRequest& request : *list) {
        EXPECT_FALSE(request.continuation.empty());
        EXPECT_LT(request.context, document.contexts.size());
      }
    }
  }
}

TEST(EvalFuzz, MutatedRequestsAreWholeDocumentsOrRefused) {
  Rng rng(3);
  int accepted = 0;
  for (int round = 0; round < 4000; ++round) {
    const std::string text = mutate(request_lines, request_words, rng);
    accepted += accepts([&] { expect_sound(eval::parse_olmes_requests(text, "input")); });
  }
  EXPECT_GT(accepted, 50);
  EXPECT_LT(accepted, 3900);
}

TEST(EvalFuzz, MutatedGzipIsReadOrRefused) {
  Words corpus;
  for (const std::string& text : request_lines) corpus.push_back(eval::testing::gzipped(text));
  const Words words = {"\x1f\x8b", "\x1f\x8b\x08", "\xff\xff\xff\xff", std::string(4, '\0')};
  Rng rng(4);
  int accepted = 0;
  for (int round = 0; round < 6000; ++round) {
    const std::string bytes = mutate(corpus, words, rng);
    accepted += accepts([&] { expect_sound(eval::parse_olmes_requests(bytes, "input")); });
  }
  EXPECT_GT(accepted, 10) << "header fields that gzip ignores";
  EXPECT_LT(accepted, 3000);
}

TEST(EvalFuzz, MutatedArrowStreamsAreTablesOrRefused) {
  Words corpus;
  for (const char* name : {"abstract_algebra/dev", "abstract_algebra/test", "world_religions/test"}) {
    corpus.push_back(
        read_file(Path(TESSERA_SOURCE_DIR) / "tests/golden/data/mmlu" / name / "data-00000-of-00001.arrow"));
  }
  const Words words = {"\xff\xff\xff\xff", "\xff\xff\xff\x7f", std::string(4, '\0'), std::string("\1\0\0\0", 4),
                       std::string("\0\0\0\x80", 4)};
  Rng rng(5);
  int accepted = 0;
  for (int round = 0; round < 8000; ++round) {
    const std::string bytes = mutate(corpus, words, rng);
    accepted += accepts([&] {
      const eval::ArrowTable table = eval::parse_arrow_stream(bytes, "input");
      for (const auto& [name, column] : table.columns) {
        std::visit([&](const auto& values) { EXPECT_EQ(std::ssize(values), table.rows); }, column);
      }
    });
  }
  EXPECT_GT(accepted, 100);
  EXPECT_LT(accepted, 7900);
}

TEST(EvalFuzz, ARowAddedToAMutatedTableIsReadBack) {
  const Words corpus = {"run,role,n_params,tokens,arc_bpb,arc_acc\nr,train,1e6,2e7,2,.5\n",
                        "\"a\"\"b\",run\n\"x,y\",r\n", ""};
  const Words words = {"\"", ",", "\n", "\r\n", "run", "tokens", "20000000", "nan", "\xEF\xBB\xBF", "\xff"};
  const eval::LadderRow row{.run = "r", .params = 1e6, .tokens = 2e7, .cells = {{"arc_bpb", 1.5}}};
  Rng rng(2);
  int accepted = 0;
  for (int round = 0; round < 3000; ++round) {
    const std::string table = mutate(corpus, words, rng);
    accepted += accepts([&] {
      const std::string text = eval::with_ladder_row(table, "input", row);
      plan::CsvReader reader(text, "again");
      int found = 0;
      while (reader.next()) {
        const bool same =
            reader.cell(reader.require("run")) == "r" && reader.cell(reader.require("tokens")) == "20000000";
        found += same && reader.number(reader.require("arc_bpb")) == 1.5;
      }
      EXPECT_EQ(found, 1) << ::testing::PrintToString(table);
    });
  }
  EXPECT_GT(accepted, 100);
  EXPECT_LT(accepted, 2990);
}

}  // namespace
}  // namespace tessera::testing
