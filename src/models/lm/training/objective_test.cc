// Teaching: what is learned is what should be, packed or not; steps lower the loss; a run leaves a model that loads.
#include "models/lm/training/objective.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <numbers>

#include "core/error.h"
#include "core/log.h"
#include "core/progress.h"
#include "data/testing_tokenizer.h"
#include "models/lm/architecture/model_files.h"
#include "models/lm/testing.h"
#include "tests/support/scratch.h"
#include "tests/support/user_error.h"
#include "train/loop.h"

namespace tessera::lm {
namespace {

using data::testing::byte_vocabulary;
using data::testing::turn_begin_id;
using data::testing::turn_end_id;
using tessera::testing::user_error;
using ::testing::HasSubstr;

std::vector<int32_t> ids_of(const std::string& words) {
  std::vector<int32_t> ids;
  for (const char c : words) ids.push_back(static_cast<unsigned char>(c));
  return ids;
}

Sample conversation(std::vector<text::Message> messages) { return {.messages = std::move(messages)}; }

class LmObjectiveTest : public ::testing::Test {
 protected:
  void SetUp() override {
    set_progress_enabled(false);
    set_log_level(LogLevel::quiet);
    data::testing::write_byte_tokenizer(scratch_ / "tokenizer");
    tokenizer_ = text::load_tokenizer(scratch_ / "tokenizer");
  }
  static LmConfig config() {
    LmConfig c = tiny_config("llama");
    c.vocabulary = byte_vocabulary;
    c.context = 96;
    c.tied = true;
    return c;
  }
  LmObjective objective(LmTraining training = {}, std::vector<Sample> heldout = {}, train::TuneConfig tune = {}) const {
    return LmObjective({.model = tiny_lm(config()),
                        .tokenizer = tokenizer_,
                        .chat = text::ChatTemplate::named("chatml"),
                        .tokenizer_directory = scratch_ / "tokenizer",
                        .tune = tune,
                        .training = training,
                        .heldout = std::move(heldout)},
                       5, at::kCPU);
  }
  train::Recipe recipe() const {
    std::string words;
    for (int i = 0; i < 60; ++i) words += fmt::format("The {} cat sat on mat {}. ", i % 7, i % 5);
    std::filesystem::create_directories(scratch_ / "books");
    write_file_atomically(scratch_ / "books/a.txt", words);
    train::Recipe r;
    r.objective = "lm";
    r.data.kind = "text";
    r.data.text = {.path = (scratch_ / "books").string(),
                   .tokenizer = (scratch_ / "tokenizer").string(),
                   .length = 32,
                   .heldout_share = 0.1,
                   .cache = "off"};
    r.model = {{"width", 32}, {"depth", 2}, {"heads", 2}, {"kv_heads", 1}, {"context", 64}};
    r.loss = {{"prompts", {"The "}}, {"prompt_tokens", 8}};
    r.train.steps = 10;
    r.train.batch = 8;
    r.train.log_every = 1;
    r.train.evaluate_every = 0;
    r.train.checkpoint_every = 5;
    r.train.schedule = {.kind = "constant", .learning_rate = 3e-3, .warmup_steps = 0};
    return r;
  }
  tessera::testing::ScratchFolder scratch_{tessera::testing::ScratchFolder::On::memory};
  std::shared_ptr<const text::Tokenizer> tokenizer_;
};

TEST_F(LmObjectiveTest, OnlyTheAssistantsTokensAndTheirEndAreLearned) {
  const train::Sequence got = sequence_of(
      conversation({{"system", "S"}, {"user", "hi"}, {"assistant", "yo"}, {"user", "<|im_end|>"}, {"assistant", "k"}}),
      *tokenizer_, text::ChatTemplate::named("chatml"), 1000);
  std::vector<int32_t> ids;
  std::vector<bool> learned;
  const auto add = [&](const std::vector<int32_t>& part, bool learn) {
    ids.insert(ids.end(), part.begin(), part.end());
    learned.insert(learned.end(), part.size(), learn);
  };
  const auto turn = [&](const std::string& role, const std::string& words) {
    const bool answer = role == "assistant";
    add({turn_begin_id}, false);
    add(ids_of(role + "\n"), false);
    add(ids_of(words), answer);
    add({turn_end_id}, answer);
    add(ids_of("\n"), false);
  };
  turn("system", "S");
  turn("user", "hi");
  turn("assistant", "yo");
  turn("user", "<|im_end|>");  // typed by a person: plain letters
  turn("assistant", "k");
  ASSERT_EQ(got.ids, std::vector<int32_t>(ids.begin(), ids.end() - 1));
  for (size_t i = 0; i + 1 < ids.size(); ++i) EXPECT_EQ(got.targets[i], learned[i + 1] ? ids[i + 1] : -1) << i;
}

TEST_F(LmObjectiveTest, PackedConversationsHaveTheLossOfSeparateOnes) {
  const std::vector<Sample> batch = {conversation({{"user", "a"}, {"assistant", "one two three"}}),
                                     conversation({{"user", "what?"}, {"assistant", "no"}}),
                                     conversation({{"user", "b"}, {"assistant", "x"}})};
  LmObjective packed = objective(), separate = objective({.pack = false});
  const train::Loss a = packed.loss(batch, {}), b = separate.loss(batch, {});
  EXPECT_NEAR(a.value.item<double>(), b.value.item<double>(), 1e-5);
  EXPECT_EQ(a.weight, b.weight);
  EXPECT_LT(a.metrics.at("padding"), b.metrics.at("padding"));
  EXPECT_NEAR(a.metrics.at("padding_unpacked"), b.metrics.at("padding"), 1e-9);
  double nats = 0, tokens = 0;
  for (const Sample& each : batch) {
    const train::Loss alone = objective().loss({each}, {});
    nats += alone.value.item<double>() * alone.weight;
    tokens += alone.weight;
  }
  EXPECT_EQ(tokens, a.weight);
  EXPECT_NEAR(nats / tokens, a.value.item<double>(), 1e-5);

  const auto gradients = [&](LmObjective& o, const train::Loss&) {
    std::vector<Tensor> all;
    for (const train::Parameter& p : o.parameters()) all.push_back(p.tensor);
    o.loss(batch, {}).value.backward();
    for (Tensor& t : all) t = t.grad();
    return all;
  };
  const auto of_packed = gradients(packed, a), of_separate = gradients(separate, b);
  for (size_t i = 0; i < of_packed.size(); ++i)
    EXPECT_TRUE(at::allclose(of_packed[i], of_separate[i], 1e-4, 1e-6)) << i;
}

TEST_F(LmObjectiveTest, WindowsAreTrainedInFullAndMeasuredPerByte) {
  const std::vector<int32_t> words = ids_of("plain words");
  std::vector<Sample> heldout = {{.tokens = words, .part = "texts"}, {.tokens = ids_of("abc"), .part = "ends"}};
  LmObjective o = objective({}, heldout);
  const Tensor ids = at::tensor(words).to(at::kLong);
  const DecoderLm& model = o.model();
  const auto nats_of = [&](const Tensor& t) {
    const Tensor logits = full_logits(model, t.slice(0, 0, -1).unsqueeze(0))[0];
    return at::cross_entropy_loss(logits, t.slice(0, 1), {}, at::Reduction::Sum).item<double>();
  };
  const double first = nats_of(ids), second = nats_of(at::tensor(ids_of("abc")).to(at::kLong));
  EXPECT_NEAR(o.loss({heldout[0]}, {}).value.item<double>(), first / 10, 1e-4);
  const auto measured = o.evaluate();
  EXPECT_NEAR(measured.at("heldout_loss"), (first + second) / 12, 1e-4);
  EXPECT_NEAR(measured.at("heldout_perplexity"), std::exp((first + second) / 12), 1e-2);
  EXPECT_NEAR(measured.at("heldout_bits_per_byte"), (first + second) / 12 / std::numbers::ln2, 1e-4);  // a token a byte
  EXPECT_NEAR(measured.at("heldout_bits_per_byte_ends"), second / 2 / std::numbers::ln2, 1e-4);
}

TEST_F(LmObjectiveTest, TenStepsLowerTheLossAndAResumedRunEqualsAnUnbrokenOne) {
  const auto run = [&](const std::string& name, int64_t steps, bool resume) {
    train::Recipe r = recipe();
    const auto source = data::make_source(r.data);
    const auto o = make_lm_objective(r, *source, at::kCPU);
    r.train.steps = steps;
    train::train(*o, *source, r.train, {.directory = scratch_ / name, .resume = resume});
  };
  run("whole", 10, false);
  std::vector<double> losses;
  std::istringstream lines(read_file(scratch_ / "whole/metrics.jsonl"));
  for (std::string line; std::getline(lines, line);) {
    const Json entry = Json::parse(line);
    if (entry.contains("loss")) losses.push_back(entry["loss"].get<double>());
    else EXPECT_GT(entry["heldout_bits_per_byte_ends"].get<double>(), 0);
  }
  ASSERT_EQ(losses.size(), 10u);
  EXPECT_NEAR(losses.front(), std::log(static_cast<double>(byte_vocabulary)), 0.3);
  EXPECT_LT(losses.back(), losses.front() - 0.5);
  EXPECT_THAT(read_file(scratch_ / "whole/samples/step-0000010.txt"), HasSubstr("The |"));

  run("parts", 5, false);
  run("parts", 10, true);
  EXPECT_EQ(read_file(scratch_ / "parts/model/model.safetensors"),
            read_file(scratch_ / "whole/model/model.safetensors"));

  train::Recipe again = recipe();  // the model that was left is one to start from, tokenizer and all
  again.model = {{"from", (scratch_ / "whole/model").string()}};
  again.data.text.tokenizer = (scratch_ / "whole/model").string();
  const auto source = data::make_source(again.data);
  const auto o = make_lm_objective(again, *source, at::kCPU);
  EXPECT_LT(o->loss({source->at(0)}, {}).value.item<double>(), losses.front() - 0.3);
  for (const char* name :
       {"config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json", "README.md"})
    EXPECT_TRUE(std::filesystem::exists(scratch_ / "whole/model" / name)) << name;
}

TEST_F(LmObjectiveTest, InBf16TheLossIsCloseAndTheWeightsStayFp32) {
  train::Recipe r = recipe();
  r.train.precision = "bf16";
  r.train.steps = 10;
  const auto source = data::make_source(r.data);
  const auto o = make_lm_objective(r, *source, at::kCPU);
  train::train(*o, *source, r.train, {.directory = scratch_ / "bf16"});
  std::istringstream lines(read_file(scratch_ / "bf16/metrics.jsonl"));
  std::string line;
  std::getline(lines, line);
  EXPECT_NEAR(Json::parse(line)["loss"].get<double>(), std::log(static_cast<double>(byte_vocabulary)), 0.3);
  for (const train::Parameter& p : o->parameters()) EXPECT_EQ(p.tensor.scalar_type(), at::kFloat);
}

TEST_F(LmObjectiveTest, AdaptersAloneAreTrainedOnRequest) {
  LmObjective o = objective({}, {}, {.what = "lora", .rank = 2});
  for (const train::Parameter& p : o.parameters()) EXPECT_THAT(p.name, HasSubstr("lora"));
  const train::Loss loss = o.loss({{.tokens = ids_of("some words")}}, {});
  loss.value.backward();
  const Path saved = scratch_ / "tuned";
  o.save_model(saved, disk());
  EXPECT_TRUE(std::filesystem::exists(saved / "adapter/adapter_model.safetensors"));
  const DecoderLm merged = load_lm(saved);
  const Tensor ids = tiny_ids(1, 9);
  EXPECT_TRUE(at::allclose(full_logits(merged, ids), full_logits(o.model(), ids), 1e-2, 1e-2));
}

/// Conversations in a list, each with a place.
class Conversations final : public SampleSource {
 public:
  explicit Conversations(std::vector<std::string> questions) : questions_(std::move(questions)) {}
  Sample at(uint64_t index) const override {
    return {.messages = {{.role = "user", .content = questions_[index]}, {.role = "assistant", .content = "yes"}},
            .where = fmt::format("chat.jsonl line {}", index + 1)};
  }
  std::optional<uint64_t> pass_length() const override { return questions_.size(); }

 private:
  std::vector<std::string> questions_;
};

TEST_F(LmObjectiveTest, RowsWithoutATokenToLearnAreCountedAndNamedAndARunOfThemIsRefused) {
  const auto chat = std::optional(text::ChatTemplate::named("chatml"));
  const std::string longer(80, 'x');
  set_log_level(LogLevel::info);
  ::testing::internal::CaptureStderr();
  require_learnable(Conversations({"short", longer, "s", longer}), *tokenizer_, chat, 60);
  const std::string said = ::testing::internal::GetCapturedStderr();
  set_log_level(LogLevel::quiet);
  EXPECT_THAT(said, HasSubstr("2 of 4 rows have no token of an answer within 60 tokens"));
  EXPECT_THAT(said, HasSubstr("the first read is chat.jsonl line 2"));
  try {
    require_learnable(Conversations({longer, longer}), *tokenizer_, chat, 60);
    FAIL();
  } catch (const UserError& error) {
    EXPECT_THAT(error.what(), HasSubstr("nothing can be learned: in none of the 2 rows"));
    EXPECT_THAT(error.what(), HasSubstr("chat.jsonl line 1"));
    const std::string words = error.what();
    const size_t at = words.find("loss.length ");
    ASSERT_NE(at, std::string::npos);
    EXPECT_NO_THROW(require_learnable(Conversations({longer}), *tokenizer_, chat, std::stoll(words.substr(at + 12))));
  }
}

TEST_F(LmObjectiveTest, ATunedModelNamesItsBaseAndKeepsTheTemplateThatWasGiven) {
  LmObjective tuned({.model = tiny_lm(config()),
                     .tokenizer = tokenizer_,
                     .chat = text::ChatTemplate::named("chatml"),
                     .tokenizer_directory = scratch_ / "tokenizer",
                     .base = "cache/models--org--base/snapshots/0123",
                     .given_chat = true,
                     .tune = {.what = "lora", .rank = 2}},
                    5, at::kCPU);
  tuned.parameters();
  tuned.save_model(scratch_ / "tuned", disk());
  EXPECT_EQ(read_json_file(scratch_ / "tuned/adapter/adapter_config.json")["base_model_name_or_path"], "org/base");
  const std::string card = read_file(scratch_ / "tuned/README.md");
  EXPECT_THAT(card, HasSubstr("base_model: org/base"));
  EXPECT_THAT(card, HasSubstr("It was tuned from org/base."));
  EXPECT_EQ(read_file(scratch_ / "tuned/chat_template.jinja"), text::ChatTemplate::named("chatml").source());
}

TEST_F(LmObjectiveTest, ErrorsAreReportedInOneLine) {
  EXPECT_THAT(user_error([&] { objective().loss({{.caption = "a picture"}}, {}); }),
              HasSubstr("a sample has no words"));
  EXPECT_THAT(user_error([&] { objective({.length = 97}); }),
              HasSubstr("loss.length is 97, want 0 to the model's context, 96"));
  EXPECT_THAT(user_error([&] { objective({.stored = "int4"}); }), HasSubstr("stored is 'int4'"));
  Sample with_picture = conversation({{"user", "a", 1}, {"assistant", "b"}});
  with_picture.media = {{.frames = {Image(2, 2, 3)}}};
  EXPECT_THAT(user_error([&] { objective().loss({with_picture}, {}); }),
              HasSubstr("pictures, which this model does not see"));
  const auto made = [&](auto&& change) {
    train::Recipe r = recipe();
    change(r);
    const auto source = data::make_source(r.data);
    make_lm_objective(r, *source, at::kCPU);
  };
  EXPECT_THAT(user_error([&] { made([](auto& r) { r.model["context"] = 16; }); }),
              HasSubstr("more than the model's context"));
  EXPECT_THAT(user_error([&] {
                made([](auto& r) {
                  r.model["width"] = 30;
                  r.model["heads"] = 4;
                });
              }),
              HasSubstr("[lm]"));
  EXPECT_THAT(user_error([&] { made([](auto& r) { r.model["family"] = "gpt2"; }); }), HasSubstr("gpt2"));
  EXPECT_THAT(user_error([&] { made([](auto& r) { r.model["widht"] = 64; }); }), HasSubstr("did you mean 'width'"));
  EXPECT_THAT(user_error([&] { made([&](auto& r) { r.model["tokenizer"] = (scratch_ / "books").string(); }); }),
              HasSubstr("books"));
}

}  // namespace
}  // namespace tessera::lm
