// `tessera data prune` from files to files, with two small language models.
#include "apps/data_prune.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "core/error.h"
#include "core/files.h"
#include "core/log.h"
#include "core/progress.h"
#include "data/testing_tokenizer.h"
#include "models/lm/testing.h"
#include "models/lm/training/objective.h"
#include "tests/support/scratch.h"

namespace tessera::apps {
namespace {

using ::testing::HasSubstr;

class DataPrune : public ::testing::Test {
 protected:
  void SetUp() override {
    set_progress_enabled(false);
    set_log_level(LogLevel::quiet);
    data::testing::write_byte_tokenizer(scratch_ / "tokenizer");
    for (const uint64_t seed : {7, 9}) {
      lm::LmConfig c = lm::tiny_config("llama");
      c.vocabulary = data::testing::byte_vocabulary;
      c.context = 96;
      c.tied = true;
      const Path directory = scratch_ / ("model" + std::to_string(seed));
      lm::LmObjective({.model = lm::tiny_lm(c, seed),
                       .tokenizer = text::load_tokenizer(scratch_ / "tokenizer"),
                       .chat = text::ChatTemplate::named("chatml"),
                       .tokenizer_directory = scratch_ / "tokenizer"},
                      seed, at::kCPU)
          .save_model(directory, disk());
      write_file_atomically(directory / "recipe.toml", "objective = \"lm\"\n[model]\nchat_template = \"chatml\"\n");
    }
    std::string rows;
    for (int i = 0; i < 12; ++i) {
      rows += fmt::format(
          R"({{"source": "{}", "messages": [{{"role": "user", "content": "{}?"}}, {{"role": "assistant", "content": "it is {}"}}]}})",
          i % 3 == 0 ? "few" : "many", i, i * i);
      rows += "\n";
    }
    write_file_atomically(scratch_ / "chat.jsonl", rows);
  }
  DataPruneOptions options() const {
    DataPruneOptions o;
    o.data = scratch_ / "chat.jsonl";
    o.large = scratch_ / "model7";
    o.small = scratch_ / "model9";
    o.out = scratch_ / "kept.jsonl";
    o.device = "cpu";
    return o;
  }
  static std::vector<std::string> lines(const Path& file) {
    std::vector<std::string> all;
    std::istringstream text(read_file(file));
    for (std::string line; std::getline(text, line);) all.push_back(line);
    return all;
  }
  tessera::testing::ScratchFolder scratch_{tessera::testing::ScratchFolder::On::memory};
};

TEST_F(DataPrune, HalfOfEachSourceIsKeptUnchangedAndScoringResumes) {
  EXPECT_EQ(run_data_prune(options()), 0);
  const auto all = lines(scratch_ / "chat.jsonl"), kept = lines(scratch_ / "kept.jsonl");
  EXPECT_EQ(kept.size(), 6u);
  int64_t few = 0;
  for (const std::string& line : kept) {
    EXPECT_EQ(std::count(all.begin(), all.end(), line), 1);
    few += line.find("\"few\"") != std::string::npos ? 1 : 0;
  }
  EXPECT_EQ(few, 2) << "two of four";
  const std::string scores = read_file(scratch_ / "kept.jsonl.scores");
  write_file_atomically(scratch_ / "kept.jsonl.scores", scores.substr(0, scores.size() * 2 / 3));  // killed on the way
  EXPECT_EQ(run_data_prune(options()), 0);
  EXPECT_EQ(read_file(scratch_ / "kept.jsonl.scores"), scores);
  EXPECT_EQ(lines(scratch_ / "kept.jsonl"), kept);
}

TEST_F(DataPrune, TheTokenizersOwnTemplateIsEnoughAndOtherWeightsAreNotTakenForTheSame) {
  for (const char* model : {"model7", "model9"}) {
    std::filesystem::remove(scratch_ / model / "recipe.toml");
    write_file_atomically(scratch_ / model / "chat_template.jinja", text::ChatTemplate::named("chatml").source());
  }
  EXPECT_EQ(run_data_prune(options()), 0);
  std::filesystem::copy_file(scratch_ / "model9/model.safetensors", scratch_ / "model7/model.safetensors",
                             std::filesystem::copy_options::overwrite_existing);  // as large as before
  EXPECT_THROW(run_data_prune(options()), UserError);
}

TEST_F(DataPrune, SwappedModelsKeepTheOtherHalf) {
  run_data_prune(options());
  const auto kept = lines(scratch_ / "kept.jsonl");
  DataPruneOptions swapped = options();
  std::swap(swapped.large, swapped.small);
  swapped.out = scratch_ / "other.jsonl";
  run_data_prune(swapped);
  std::set<std::string> both(kept.begin(), kept.end());
  for (const std::string& line : lines(scratch_ / "other.jsonl")) EXPECT_TRUE(both.insert(line).second) << line;
  EXPECT_EQ(both.size(), 12u);
}

TEST_F(DataPrune, InvalidSettingsAreRefusedByName) {
  const auto fault = [&](auto change) {
    DataPruneOptions o = options();
    change(o);
    try {
      run_data_prune(o);
    } catch (const UserError& error) {
      return std::string(error.what());
    }
    return std::string();
  };
  EXPECT_THAT(fault([](auto& o) { o.keep = 0; }), HasSubstr("keep is 0"));
  EXPECT_THAT(fault([](auto& o) { o.out = o.data; }), HasSubstr("is the file that is read"));
  EXPECT_THAT(fault([](auto& o) { o.data.clear(); }), HasSubstr("--data FILE or --recipe FILE"));
  EXPECT_THAT(fault([&](auto& o) { o.large = scratch_ / "none"; }), HasSubstr("none"));
  run_data_prune(options());
  EXPECT_THAT(fault([&](auto& o) { o.large = o.small; }), HasSubstr("scores of other data or models"));
}

}  // namespace
}  // namespace tessera::apps
