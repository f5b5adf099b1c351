// Rows that evaluations write are rows that planning reads.
#include "eval/ladder_row.h"

#include <gtest/gtest.h>

#include "core/error.h"
#include "core/files.h"
#include "plan/ladder/ladder_table.h"
#include "tensor/gguf_writer.h"

namespace tessera::eval {
namespace {

TEST(LadderRow, MeasurementsOfOneCheckpointShareARow) {
  const LadderRow base{.run = "books, small", .role = "train", .params = 2e6, .tokens = 1e8};
  LadderRow choice = base, text = base, later = base;
  choice.cells = {{"arc_bpb", 1.25}, {"arc_acc", 0.5}};
  text.cells = {{"c4_loss", 3.5}};
  later.tokens = 2e8;
  later.cells = {{"arc_bpb", 1.125}, {"arc_acc", 0.75}};
  std::string csv;
  for (const LadderRow& row : {choice, text, later}) csv = with_ladder_row(csv, "runs.csv", row);
  const plan::LadderTable table = plan::parse_ladder_table(csv, "runs.csv");
  ASSERT_EQ(table.runs.size(), 1u);
  const plan::LadderRun& run = table.runs[0];
  EXPECT_EQ(run.name, "books, small");
  EXPECT_EQ(run.tokens, (std::vector<double>{1e8, 2e8}));
  EXPECT_EQ(run.tasks[0].bpb, (std::vector<double>{1.25, 1.125}));
  EXPECT_EQ(run.tasks[0].acc, (std::vector<double>{0.5, 0.75}));
  EXPECT_EQ(run.loss[0], 3.5);
}

TEST(LadderRow, ExistingCellsAreKept) {
  const std::string before = "note,run,role,n_params,tokens,arc_bpb,arc_acc\n\"a \"\"b\"\", c\",r,train,1e6,2e7,2,.5\n";
  const std::string after =
      with_ladder_row(before, "t", {.run = "s", .params = 3e6, .tokens = 2e7, .cells = {{"arc_bpb", 1}}});
  EXPECT_EQ(after, before + ",s,train,3000000,20000000,1,\n");
  EXPECT_EQ(with_ladder_row(after, "t", {.run = "s", .params = 3e6, .tokens = 2e7, .cells = {{"arc_bpb", 1}}}), after);
}

TEST(LadderRow, MalformedTablesAndRowsAreRefused) {
  const LadderRow row{.run = "r", .params = 1, .tokens = 1, .cells = {{"a_bpb", 1}}};
  EXPECT_THROW(with_ladder_row("run,run\n", "t", row), UserError);
  EXPECT_THROW(with_ladder_row("run,x\n1\n", "t", row), UserError);
  EXPECT_THROW(with_ladder_row("", "t", {.run = "r", .params = 0, .tokens = 1}), UserError);
  EXPECT_THROW(with_ladder_row("", "t", {.run = "", .params = 1, .tokens = 1}), UserError);
}

TEST(LadderRow, ParametersOfAGgufFileAreThoseWithoutEmbeddingAndHead) {
  GgufWriter writer;
  writer.set("general.architecture", "llama");
  const auto add = [&](const char* name, const char* type, std::vector<int64_t> shape) {
    const uint64_t bytes = GgufWriter::tensor_bytes(*gguf_type(type), shape);
    writer.add(name, *gguf_type(type), std::move(shape),
               [=](WritableFile& file) { file.append(std::string(bytes, 0)); });
  };
  add("token_embd.weight", "Q8_0", {10, 32});
  add("blk.0.attn_output.weight", "Q4_0", {32, 32});
  add("blk.0.attn_norm.weight", "f32", {32});
  add("output.weight", "f16", {10, 32});
  const Path path = Path(::testing::TempDir()) / "ladder_row_test.gguf";
  write_file_atomically(path, [&](WritableFile& file) { writer.write(file); });
  EXPECT_EQ(non_embedding_parameters(path), 32 * 32 + 32);
}

}  // namespace
}  // namespace tessera::eval
