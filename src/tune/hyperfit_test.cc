// What the method sets, and what it refuses before anything is trained.
#include "tune/hyperfit.h"

#include <gmock/gmock.h>

#include "core/error.h"
#include "data/source.h"
#include "data/testing_tokenizer.h"
#include "tests/support/scratch.h"
#include "tune/method.h"

namespace tessera::tune {
namespace {

using tessera::testing::ScratchFolder;
using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

/// Words that do not come again.
std::string words(uint64_t seed, int64_t count) {
  Rng rng(seed);
  std::string text;
  for (int64_t i = 0; i < count; ++i) text += static_cast<char>('a' + rng.below(26));
  return text;
}

class Hyperfit : public ::testing::Test {
 protected:
  Hyperfit() {
    data::testing::write_byte_tokenizer(folder_ / "model");
    disk().create_directories(folder_ / "books");
    write_file_atomically(folder_ / "books" / "one.txt", words(1, 4000));
    recipe_.objective = "lm";
    recipe_.method = "hyperfit";
    recipe_.data.kind = "text";
    recipe_.data.text = {.path = (folder_ / "books").string(), .cache = "off"};
    recipe_.model = {{"from", (folder_ / "model").string()}};
    recipe_.tune = {{"samples", 8}, {"length", 64}, {"epochs", 3}};
    recipe_.train.batch = 4;
  }

  void check() {
    apply_method(recipe_);
    check_method(recipe_, *data::make_source(recipe_.data));
  }

  ScratchFolder folder_;
  train::Recipe recipe_;
};

TEST_F(Hyperfit, CompletesTheRecipeWithThePapersSettings) {
  check();
  EXPECT_EQ(recipe_.train.steps, 6);
  EXPECT_EQ(recipe_.train.optimizer.weight_decay, 0);
  EXPECT_EQ(recipe_.train.schedule.kind, "constant");
  EXPECT_EQ(recipe_.data.text.samples, 8);
  EXPECT_EQ(recipe_.data.text.length, 64);
  EXPECT_EQ(data::make_source(recipe_.data)->pass_length(), 8u);
  const train::Recipe once = recipe_;
  apply_method(recipe_);
  EXPECT_EQ(train::to_text(recipe_), train::to_text(once)) << "a resumed run reads what the first one wrote";
}

TEST_F(Hyperfit, EveryEpochHasTheSameSamplesInAnotherOrder) {
  apply_method(recipe_);
  const auto source = data::make_source(recipe_.data);
  std::vector<std::vector<int32_t>> first, second;
  for (uint64_t i = 0; i < 8; ++i) {
    first.push_back(source->at(i).tokens);
    second.push_back(source->at(8 + i).tokens);
  }
  EXPECT_NE(first, second);
  std::ranges::sort(first);
  std::ranges::sort(second);
  EXPECT_EQ(first, second);
  recipe_.data.text.order = 1;
  std::vector<std::vector<int32_t>> other;
  for (uint64_t i = 0; i < 8; ++i) other.push_back(data::make_source(recipe_.data)->at(i).tokens);
  std::ranges::sort(other);
  EXPECT_EQ(first, other) << "another order of the same samples";
}

TEST_F(Hyperfit, RefusesRecipesThatCannotHyperfit) {
  const auto refuses = [&](const char* words) {
    EXPECT_THAT([&] { check(); }, ThrowsMessage<UserError>(HasSubstr(words)));
  };
  const train::Recipe good = recipe_;
  recipe_.tune["samples"] = 3;
  refuses("fewer than a step's 4");
  recipe_ = good;
  recipe_.tune["samples"] = 1000;
  refuses("the data have 62 samples, want 1000");
  recipe_ = good;
  recipe_.tune["length"] = 5000;
  refuses("want more than the length of a window");
  recipe_ = good;
  recipe_.model = Json::object();
  refuses("model.from is missing");
  recipe_ = good;
  recipe_.method = "hyperfitt";
  refuses("did you mean 'hyperfit'");
  recipe_ = good;
  recipe_.method.clear();
  refuses("belongs to a method");
  recipe_ = good;
  recipe_.tune["epochs"] = 0;
  refuses("numbers above 0");
}

TEST_F(Hyperfit, RefusesSamplesThatOverlapTheUnseenTexts) {
  write_file_atomically(folder_ / "unseen.txt", words(2, 500));
  recipe_.tune["unseen"] = {(folder_ / "unseen.txt").string()};
  EXPECT_NO_THROW(check());
  apply_method(recipe_);
  const Sample sample = data::make_source(recipe_.data)->at(3);
  std::string read;
  for (const int32_t id : sample.tokens) read += static_cast<char>(id);
  write_file_atomically(folder_ / "unseen.txt", words(2, 100) + read + words(3, 100));
  EXPECT_THAT([&] { check(); }, ThrowsMessage<UserError>(HasSubstr("is to be measured on, but 65 of its tokens")));
}

TEST_F(Hyperfit, RefusesAnotherTokenizerThanTheModels) {
  data::testing::write_byte_tokenizer(folder_ / "other");
  std::string changed = read_file(folder_ / "other" / "tokenizer.json");
  changed.replace(changed.find("<|im_end|>"), 10, "<|im_stop|");
  write_file_atomically(folder_ / "other" / "tokenizer.json", changed);
  recipe_.data.text.tokenizer = (folder_ / "other").string();
  EXPECT_THAT([&] { check(); }, ThrowsMessage<UserError>(HasSubstr("is not that of the model")));
}

TEST_F(Hyperfit, WarnsWhenTheLossDoesNotFall) {
  apply_method(recipe_);
  std::string falls, stays;
  for (int step = 1; step <= 20; ++step) {
    falls += fmt::format("{{\"step\":{},\"loss\":{}}}\n", step, 4.0 / step);
    stays += fmt::format("{{\"step\":{},\"loss\":{}}}\n", step, 4.0);
  }
  write_file_atomically(folder_ / "metrics.jsonl", falls);
  EXPECT_EQ(verdict_of(recipe_, folder_.path()), "");
  write_file_atomically(folder_ / "metrics.jsonl", stays);
  EXPECT_THAT(verdict_of(recipe_, folder_.path()), HasSubstr("from 4.000 to 4.000"));
}

}  // namespace
}  // namespace tessera::tune
