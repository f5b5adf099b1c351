// Thousands of seeded mutations per parser, and the inputs that people and attackers are known to bring.
#include <gtest/gtest.h>

#include <cmath>

#include <fmt/format.h>

#include "core/error.h"
#include "core/json.h"
#include "tensor/safetensors.h"
#include "tests/fuzz/mutate.h"
#include "tests/fuzz/targets.h"

namespace tessera::testing {
namespace {

using Target = void (*)(std::string_view);
using Words = std::vector<std::string>;

std::string repeated(std::string_view text, size_t times) {
  std::string all;
  for (size_t i = 0; i < times; ++i) all += text;
  return all;
}

/// A safetensors file of any header text: its length, the header, the data.
std::string safetensors(const std::string& header, size_t data_bytes) {
  std::string text(8, '\0');
  for (size_t i = 0; i < 8; ++i) text[i] = static_cast<char>(header.size() >> (8 * i));
  return text + header + std::string(data_bytes, 'd');
}

Words safetensors_corpus() {
  return {
      safetensors(
          R"({"a":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]},"b":{"dtype":"BF16","shape":[],"data_offsets":[24,26]}})",
          26),
      safetensors(R"({"__metadata__":{"format":"pt"},"x":{"dtype":"I64","shape":[1],"data_offsets":[0,8]}})", 8),
      safetensors(
          R"({"empty":{"dtype":"U8","shape":[0,4],"data_offsets":[0,0]},"y":{"dtype":"U8","shape":[4],"data_offsets":[0,4]}})",
          4),
      safetensors("{}", 0)};
}

const Words corpus_toml = {
    "name = \"run\"\nsteps = 200\nbatch = 16\n[optimizer]\nrate = 1e-3\nwarmup = 10\nbetas = [0.9, 0.99]\n",
    "level = 3\nseed = 7\nresume = true\nwords = [\"a\", \"b\"]\n[[stages]]\nrate = 2\n[[stages]]\nrate = 0.5\nbetas = "
    "[]\n",
    "optimizer = { rate = 0.25 }\nname = '''many\nlines'''\n# remark\n", "optimizer.rate = 1.5\nsteps = 0x10\n"};
const Words corpus_json = {R"({"a":[1,2.5,-3e4,null,true],"b":{"c":"text \u00e9\n"}})", R"([[],{},"",0])",
                           R"({"model_type":"x","sizes":[18446744073709551615,-9223372036854775808]})"};
/// Five rungs of three checkpoints, two tasks and a target; again with quotes, marks, blanks and other roles.
Words corpus_ladder() {
  std::string table = "run,role,n_params,tokens,c4_loss,mmlu_bpb,mmlu_acc,piqa_bpb,piqa_acc\n";
  std::string quoted =
      "\xEF\xBB\xBF\"run\",role,n_params,tokens,flops_per_token,\"my, task_bpb\",\"my, task_acc\",note,\r\n\r\n";
  for (int rung = 1; rung <= 5; ++rung) {
    for (int step = 1; step <= 3; ++step) {
      const double n = 1e8 * rung, d = n * 10 * step * (1 + rung % 3),
                   loss = 1 + 40 / std::pow(n, .25) + 40 / std::pow(d, .25);
      table +=
          fmt::format("{0}M,train,{1},{2},{3},{4},{5},{4},{5}\n", rung * 100, n, d, 2 * loss, loss, 1.4 - loss / 2);
      quoted +=
          fmt::format("\"r \"\"{0}\"\"\",train,{1},{2},,{3},{4},\"two\nlines\",\r\n", rung, n, d, loss, 1.4 - loss / 2);
    }
  }
  return {table + "7B,target,7e9,4e12,2.2,.5,.8,,NA\n", quoted + ",,,,,,,,\r\nx,valid,,,,,,hm,\r\n"};
}

const Words words = {"null",
                     "-1",
                     "0",
                     "1e999",
                     "-1e999",
                     "nan",
                     "inf",
                     "9223372036854775807",
                     "9223372036854775808",
                     "18446744073709551616",
                     "\"",
                     "'",
                     "\\n",
                     "\\u0000",
                     "\\ud800",
                     "\n",
                     std::string(1, '\0'),
                     "\xff\xfe",
                     "[",
                     "]",
                     "{",
                     "}",
                     ",",
                     ":",
                     "=",
                     ".",
                     "\"dtype\":",
                     "\"shape\":[",
                     "\"data_offsets\":[",
                     "F16",
                     "BOOL",
                     "__metadata__",
                     "[[stages]]\n",
                     "rate = ",
                     "1979-05-27",
                     "256",
                     "-129",
                     "3000000000",
                     "0.1",
                     "\"\"",
                     "\r",
                     "train",
                     "target",
                     "run",
                     "_acc",
                     "true",
                     repeated("[", 300),
                     repeated("a.", 300)};

/// Every mutation is read or refused by one line; enough of both are met for the run to mean something.
void expect_survives(Target target, const Words& corpus, uint64_t seed, int rounds) {
  int accepted = 0;
  for (const std::string& each : corpus) EXPECT_TRUE(accepts(target, each)) << each;
  Rng rng(seed);
  for (int round = 0; round < rounds; ++round) {
    const std::string bytes = mutate(corpus, words, rng);
    try {
      accepted += accepts(target, bytes);
    } catch (const std::exception& error) {
      FAIL() << "round " << round << ": " << error.what() << "\n" << ::testing::PrintToString(bytes);
    }
  }
  EXPECT_GT(accepted, rounds / 200);
  EXPECT_LT(accepted, rounds * 9 / 10);
}

TEST(Fuzz, MutatedSafetensorsAreReadOrRefused) { expect_survives(fuzz_safetensors, safetensors_corpus(), 1, 6000); }
TEST(Fuzz, MutatedJsonIsReadOrRefused) { expect_survives(fuzz_json, corpus_json, 2, 6000); }
TEST(Fuzz, MutatedTomlIsReadOrRefused) { expect_survives(fuzz_toml, corpus_toml, 3, 3000); }
TEST(Fuzz, MutatedLadderTablesAreReadOrRefused) { expect_survives(fuzz_ladder_table, corpus_ladder(), 4, 3000); }

TEST(Fuzz, HostileCellsOfALadderTableAreRefusedOnOneShortLine) {
  const std::string header = "run,role,n_params,tokens,mmlu_bpb,mmlu_acc\n";
  for (const std::string& hostile :
       Words{repeated("x", 1'000'000), repeated("\xC3\xA9", 10'000), "\x1b[31m", "\"\n\r\n\"", "\xff\xfe", "\"", "{}",
             "%s%n", "<script>", repeated("9", 5000), "1e999"}) {
    for (const char* row :
         {"{},train,1,1,1,", "a,{},1,1,1,1", "a,train,{},1,1,1", "a,train,1,{},1,1", "a,train,1,1,1,{}"}) {
      EXPECT_FALSE(accepts(fuzz_ladder_table, header + fmt::format(fmt::runtime(row), hostile) + "\n"))
          << hostile.substr(0, 40);
    }
    EXPECT_FALSE(accepts(fuzz_ladder_table, hostile + "," + header + "1,a,train,1,1,1,1\n"));
    EXPECT_FALSE(accepts(fuzz_ladder_table, hostile + "_acc," + hostile + "_bbp\n"));
  }
}

TEST(Fuzz, TablesOfManyColumnsOrRolesAreRefused) {
  std::string columns = "run,role,n_params,tokens", rows = "run,role,n_params,tokens,a_bpb,a_acc\n";
  for (int i = 0; i < 100'000; ++i) {
    columns += fmt::format(",c{}_bpb", i);
    rows += fmt::format("r,role{},1,1,1,1\n", i);
  }
  EXPECT_FALSE(accepts(fuzz_ladder_table, columns + "\n"));
  EXPECT_FALSE(accepts(fuzz_ladder_table, rows));
}

TEST(Fuzz, EveryPrefixOfASafetensorsFileIsRefused) {
  for (const std::string& whole : safetensors_corpus()) {
    for (size_t size = 0; size < whole.size(); ++size)
      EXPECT_FALSE(accepts(fuzz_safetensors, whole.substr(0, size))) << size;
  }
}

TEST(Fuzz, DeepNestingIsRefusedWithoutRunningOutOfStack) {
  for (const std::string_view open : {"[", "{\"a\":", "[{\"a\":"}) {
    const std::string deep = repeated(open, 200'000);
    EXPECT_FALSE(accepts(fuzz_json, deep));
    EXPECT_FALSE(accepts(fuzz_safetensors, safetensors("{\"a\":" + deep, 0)));
  }
  EXPECT_FALSE(accepts(fuzz_json, repeated("[", 200'000) + repeated("]", 200'000)));
  EXPECT_FALSE(accepts(fuzz_toml, "a = " + repeated("[", 20'000) + repeated("]", 20'000)));
  EXPECT_FALSE(accepts(fuzz_toml, repeated("a.", 2'000) + "a = 1"));
}

/// The error message for a text that is no valid config.
std::string refusal(const std::string& toml) {
  try {
    fuzz_config(toml);
  } catch (const UserError& error) {
    return error.what();
  }
  return "accepted";
}

TEST(Fuzz, AKeyWithControlCharactersIsReportedOnOneLine) {
  EXPECT_EQ(refusal("\"na\\nme\" = 1"), "[config] input: unknown key 'na\\nme'; did you mean 'name'?");
  EXPECT_EQ(refusal("when = 1979-05-27"),
            "[toml] input line 1: dates and times have no use here; write a text in quotes");
}

}  // namespace
}  // namespace tessera::testing
