// Tables of models that were tampered with: refused by one line, or placed without a number that is none.
#include <gtest/gtest.h>

#include "core/error.h"
#include "core/json.h"
#include "plan/density/density.h"
#include "tests/fuzz/mutate.h"

namespace tessera::testing {
namespace {

const std::vector<std::string> kTables = {
    "name,family,n_params,tokens,released,mmlu,bbh,notes\na,A,1e9,1e12,2023-02-24,0.31,0.3,\"x, y\"\n"
    "b,A,7e9,1e12,2023-09,0.46,,\nc,A,3e10,2e12,2024-03-01,0.58,0.4,\n",
    "\xEF\xBB\xBFname,n_params,mmlu_acc,mmlu_loss\r\na,1000000000,0.3,1.25\r\nb,2000000000,0.4,1.125\r\n",
    "run,role,n_params,tokens,mmlu_bpb,mmlu_acc\nr,train,1e8,1e9,1.5,0.3\nr,train,1e8,2e9,1.25,0.3\nt,target,7e9,4e12,,"
    "0.5\n",
    R"([{"name":"a","n_params":1.2e9,"mmlu":0.41,"results":[{"task":"bbh","accuracy":0.5,"bits_per_byte":0.75}]}])",
    "{\"name\":\"a\",\"n_params\":1e9,\"task\":\"mmlu\",\"accuracy\":0.4}\n{\"name\":\"b\",\"n_params\":2e9,\"mmlu\":0."
    "5}\n"};
const std::vector<std::string> kWords = {
    ",",    "\n",    "\r",    "\"",     "nan",        "inf",        "-1",
    "0",    "1e999", "1e300", "5e-324", "1",          "0.999999",   "99",
    "mmlu", "name",  "_acc",  "_loss",  "2023-02-30", "2100-12-31", "{",
    "}",    "[",     "]",     ":",      "null",       "true",       std::string(1, '\0'),
    "\xff"};

plan::ModelTable reference() {
  return plan::parse_models(
      "name,n_params,tokens,mmlu\na,1e9,1e12,0.31\nb,3e9,1e12,0.39\nc,7e9,1e12,0.46\nd,3e10,1.4e12,0.58\n",
      "reference");
}

void expect_consistent(const std::vector<plan::ModelRow>& models) {
  const plan::DensityResult result =
      plan::density(models, reference(), {.tasks = {"mmlu"}, .trend = true, .draws = 20});
  for (const auto& model : result.models) {
    EXPECT_TRUE(!model.density || (std::isfinite(*model.density) && *model.density >= 0)) << model.name;
    EXPECT_NE(model.density.has_value(), model.note.rfind("undefined", 0) == 0) << model.note;
  }
}

TEST(DensityFuzz, MutatedTablesAreRefusedInOneLineOrMeasured) {
  Rng rng(11);
  int accepted = 0, placed = 0;
  for (const auto& table : kTables) EXPECT_NO_THROW(plan::parse_models(table, "table")) << table;
  for (int round = 0; round < 6000; ++round) {
    const std::string bytes = mutate(kTables, kWords, rng);
    try {
      const plan::ModelTable table = plan::parse_models(bytes, "table");
      if (++accepted % 10 == 0) {
        expect_consistent(table.models);
        ++placed;
      }
    } catch (const UserError& error) {
      ASSERT_EQ(std::string(error.what()).find('\n'), std::string::npos) << error.what();
    } catch (const std::exception& error) {
      FAIL() << "round " << round << ": " << error.what() << "\n" << ::testing::PrintToString(bytes);
    }
  }
  EXPECT_GT(placed, 20);
}

TEST(DensityFuzz, DeepNestingIsRefusedWithoutRunningOutOfStack) {
  for (const char* open : {"[", "{\"a\":"}) {
    std::string deep;
    for (int i = 0; i < 100'000; ++i) deep += open;
    EXPECT_THROW(plan::parse_models(deep, "table"), UserError);
    EXPECT_THROW(plan::parse_models("[{}]\n" + deep, "table"), UserError);
  }
  EXPECT_THROW(plan::parse_models(std::string(100'000, '[') + std::string(100'000, ']'), "table"), UserError);
}

}  // namespace
}  // namespace tessera::testing
