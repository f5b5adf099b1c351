// Seeded mutations of what evaluations read: rows of questions, and tables that rows are put into.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "core/error.h"
#include "eval/choice.h"
#include "eval/ladder_row.h"
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
