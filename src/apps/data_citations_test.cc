// The index that `data citations` makes, as `write` and `eval --task diversity` use it.
#include "apps/data_citations.h"

#include <gmock/gmock.h>

#include "apps/eval.h"
#include "apps/text_testing.h"
#include "apps/write.h"
#include "core/error.h"
#include "data/citation_index.h"
#include "text/tokenizer.h"

namespace tessera::apps {
namespace {

using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

template <class Run> Json last_line_of(const Run& run) {
  ::testing::internal::CaptureStdout();
  try {
    EXPECT_EQ(run(), 0);
  } catch (...) {
    ::testing::internal::GetCapturedStdout();
    throw;
  }
  std::string printed = ::testing::internal::GetCapturedStdout();
  printed.erase(printed.find_last_not_of('\n') + 1);
  return parse_json(printed.substr(printed.rfind('\n') + 1), "output");
}

class DataCitations : public ::testing::Test {
 protected:
  DataCitations() {
    options.text = model / "read.txt";
    options.tokenizer = model.directory();
    options.out = model / "read.citations";
    options.output.json = true;
  }
  /// What the model writes greedily.
  Json written(const Path& blocked = {}) const {
    WriteOptions write;
    write.model = model.directory();
    write.prompt = {"once upon"};
    write.sampling.max_new_tokens = 24;
    write.compute.device = "cpu";
    write.output.json = true;
    write.echo = false;
    write.block_citations = blocked;
    return last_line_of([&] { return run_write(write); });
  }
  void index_text(const std::string& words) {
    write_file_atomically(model / "read.txt", words);
    last_line_of([&] { return run_data_citations(options); });
  }
  TinyTextModel model;
  DataCitationsOptions options;
};

TEST_F(DataCitations, KeepAModelFromRepeatingItsOwnText) {
  const Json free = written();
  const auto tokens = free["tokens"][0].get<std::vector<int32_t>>();
  const auto tokenizer = text::load_tokenizer(model.directory());
  data::CitationIndex::of(tokens, {std::ssize(tokens)}).save(options.out, text::fingerprint(*tokenizer));
  EXPECT_NE(written(options.out)["tokens"], free["tokens"]);
  EXPECT_EQ(written(options.out)["tokens"], written(options.out)["tokens"]);
}

TEST_F(DataCitations, ReportTheirSize) {
  write_file_atomically(model / "read.txt", "once upon a time there was a cat");
  const Json line = last_line_of([&] { return run_data_citations(options); });
  EXPECT_EQ(line["passages"], 1);
  EXPECT_GT(line["tokens"].get<int64_t>(), 5);
  const auto before = written();
  index_text("nothing like it");
  EXPECT_EQ(written(options.out)["tokens"], before["tokens"]) << "what was not read is not blocked";
}

TEST_F(DataCitations, AreMeasuredByDiversity) {
  index_text("the cat sat on the mat, and once there was a hat");
  write_file_atomically(model / "unseen.txt",
                        "once upon a time a hat sat on a cat, and the cat was upon the mat, and the mat");
  EvalOptions eval;
  eval.model = model.directory();
  eval.task = "diversity";
  eval.text.data = {model / "unseen.txt"};
  eval.count = 3;
  eval.diversity.prompt_tokens = 4;
  eval.diversity.new_tokens = {6, 12};
  eval.diversity.citations = options.out;
  eval.diversity.compare = model.directory();
  eval.output.json = true;
  eval.compute.device = "cpu";
  const Json line = last_line_of([&] { return run_eval(eval); });
  EXPECT_EQ(line["contexts"], 3);
  EXPECT_EQ(line["changed_top1"], 0);
  EXPECT_EQ(line["written"].size(), 2u);
  EXPECT_EQ(line["reference"][1]["counted"], 12);
  EXPECT_GT(line["written"][1]["ttr"].get<double>(), 0);
  EXPECT_GE(line["reference"][1]["longest_read"].get<double>(), 1) << "both texts have words in common";
  EXPECT_GT(line["perplexity"].get<double>(), 1);
}

TEST_F(DataCitations, InvalidRequestsAreRefusedInOneLine) {
  const auto refuses = [&](const char* words) {
    EXPECT_THAT([&] { run_data_citations(options); }, ThrowsMessage<UserError>(HasSubstr(words)));
  };
  refuses("read.txt");
  index_text("a hat");
  options.tokenizer.clear();
  refuses("--text wants --tokenizer");
  options.recipe = "recipe.toml";
  refuses("and not both");
  write_file_atomically(model / "torn.citations", read_file(options.out).substr(0, 100));
  EXPECT_THAT([&] { written(model / "torn.citations"); }, ThrowsMessage<UserError>(HasSubstr("torn.citations")));
  EXPECT_THROW(written(model / "none.citations"), UserError);
}

}  // namespace
}  // namespace tessera::apps
