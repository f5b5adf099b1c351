// MMLU's prompts, from rows that pyarrow wrote.
#include "eval/mmlu.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/error.h"
#include "eval/testing_gzip.h"

namespace tessera::eval {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::refusal;

Path subjects() { return Path(TESSERA_SOURCE_DIR) / "tests/golden/data/mmlu"; }

TEST(Mmlu, FiveSolvedExamplesOfTheSubjectStandBeforeAQuestion) {
  const OlmesTask task = read_mmlu(subjects(), "test_rc_5shot");
  ASSERT_EQ(task.documents.size(), 9u);
  const OlmesDocument& first = task.documents[0];
  EXPECT_EQ(first.contexts[0],
            "The following are multiple choice questions (with answers) about abstract algebra:\n\n"
            "Question: What is 0 of dev?\nAnswer: two words\n\nQuestion: What is 1 of dev?\nAnswer: x\n\n"
            "Question: What is 2 of dev?\nAnswer: 2\n\n"
            "Question: What is 3 of dev?\nAnswer: abstract_algebra \xC3\xA9 3\n\n"
            "Question: What is 4 of dev?\nAnswer: two words\n\nQuestion: What is 0 of test?\nAnswer:");
  EXPECT_EQ(first.choices[1].continuation, " two words");
  EXPECT_EQ(first.contexts[first.unconditional[1].context], "Answer:");
  EXPECT_EQ(first.unconditional[1].continuation, " two words");
  EXPECT_EQ(first.answer, 1u);
  EXPECT_EQ(first.group, "abstract_algebra");
  EXPECT_EQ(task.documents[8].group, "world_religions");
}

TEST(Mmlu, AFolderOfSubjectsIsRecognised) {
  EXPECT_TRUE(is_mmlu(subjects()));
  EXPECT_FALSE(is_mmlu(subjects() / "world_religions"));
  const auto tasks = read_olmes_tasks({.data = {subjects()}, .variant = "test_rc_5shot", .limit = 4});
  ASSERT_EQ(tasks.size(), 1u);
  EXPECT_EQ(tasks[0].name, "mmlu");
  EXPECT_EQ(tasks[0].documents.size(), 4u);
}

TEST(Mmlu, MissingSplitsAndUnknownVariantsAreNamed) {
  EXPECT_THAT(refusal([] { read_mmlu(subjects(), "val_rc_5shot"); }), HasSubstr("abstract_algebra/validation"));
  EXPECT_THAT(refusal([] { read_mmlu(subjects(), "mc_5shot"); }), HasSubstr("MMLU has no variant 'mc_5shot'"));
}

TEST(Mmlu, SubjectsBelongToTheCategoriesOfItsAuthors) {
  EXPECT_EQ(mmlu_category("abstract_algebra"), "stem");
  EXPECT_EQ(mmlu_category("world_religions"), "humanities");
  EXPECT_EQ(mmlu_category("econometrics"), "social_sciences");
  EXPECT_EQ(mmlu_category("virology"), "other");
  EXPECT_EQ(mmlu_category("tennis"), "");
}

}  // namespace
}  // namespace tessera::eval
