// Adapter directories come back as they were; unsupported and damaged ones are refused in one line.
#include "nn/layers/peft.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <ATen/ops/ones.h>

#include <fstream>

#include "core/error.h"
#include "core/json.h"
#include "tensor/weights.h"
#include "tests/fuzz/mutate.h"

namespace tessera::nn {
namespace {

struct PeftNet {
  Linear q_proj{6, 4}, o_proj{4, 6, false};
};
template <class V> void tensors(V& v, PeftNet& m) {
  v("q_proj", m.q_proj);
  v("o_proj", m.o_proj);
}

class Peft : public ::testing::Test {
 protected:
  void SetUp() override {
    directory_ = Path(::testing::TempDir()) / ::testing::UnitTest::GetInstance()->current_test_info()->name();
    std::filesystem::remove_all(directory_);
    attach_adapters(named_linears(net_), {.rank = 2, .alpha = 3});
    fill_uniform(net_.q_proj.lora->b, 1, Rng(1));
    fill_uniform(net_.o_proj.lora->b, 1, Rng(2));
    save_adapters(named_linears(net_), directory_, "base");
  }
  Json config() const { return read_json_file(directory_ / "adapter_config.json"); }
  void write(const Json& config) const { write_file_atomically(directory_ / "adapter_config.json", config.dump()); }
  std::string fault(PeftNet net = {}) const {
    try {
      load_adapters(named_linears(net), directory_);
    } catch (const UserError& error) {
      EXPECT_FALSE(net.q_proj.lora || net.o_proj.lora) << "the model is as it was";
      return error.what();
    }
    return "";
  }
  PeftNet net_;
  Path directory_;
};

using ::testing::HasSubstr;

TEST_F(Peft, SavedAdaptersLoadUnchanged) {
  PeftNet other;
  load_adapters(named_linears(other), directory_);
  for (auto [mine, theirs] : {std::pair(&net_.q_proj, &other.q_proj), {&net_.o_proj, &other.o_proj}}) {
    EXPECT_TRUE(mine->lora->a.equal(theirs->lora->a) && mine->lora->b.equal(theirs->lora->b));
    EXPECT_EQ(mine->lora->scale, theirs->lora->scale);
  }
  EXPECT_EQ(config()["target_modules"], Json({"o_proj", "q_proj"}));
  EXPECT_EQ(config()["r"], 2);
  EXPECT_EQ(config()["lora_alpha"], 3);
}

TEST_F(Peft, RanksAndAlphasOfSingleLayersSurviveTheRoundTrip) {
  net_.o_proj.lora = Lora{at::ones({3, 4}), at::ones({6, 3}), 4.0};
  save_adapters(named_linears(net_), directory_);
  PeftNet other;
  load_adapters(named_linears(other), directory_);
  EXPECT_EQ(other.o_proj.lora->a.size(0), 3);
  EXPECT_EQ(other.o_proj.lora->scale, 4.0);
  EXPECT_EQ(other.q_proj.lora->scale, 1.5);
}

TEST_F(Peft, RankStabilisedAdaptersAreScaledByTheRootOfTheRank) {
  Json changed = config();
  changed["use_rslora"] = true;
  write(changed);
  PeftNet other;
  load_adapters(named_linears(other), directory_);
  EXPECT_NEAR(other.q_proj.lora->scale, 3 / std::sqrt(2.0), 1e-12);
}

TEST_F(Peft, UnsupportedFeaturesAreRefusedByName) {
  const std::vector<std::pair<std::string, Json>> changes = {{"peft_type", "IA3"},
                                                             {"use_dora", true},
                                                             {"bias", "some"},
                                                             {"lora_alpha", "much"},
                                                             {"r", 3},
                                                             {"rank_pattern", {{"q_proj", 0}}},
                                                             {"alpha_pattern", {{"layers.(", 2}}},
                                                             {"lora_bias", true},
                                                             {"layer_replication", {{0, 1}}},
                                                             {"target_parameters", {"mlp.experts"}},
                                                             {"alora_invocation_tokens", {1}},
                                                             {"use_qalora", true},
                                                             {"use_something_new", true},
                                                             {"trainable_token_indices", "all"}};
  for (const auto& [key, value] : changes) {
    Json changed = config();
    changed[key] = value;
    write(changed);
    EXPECT_THAT(fault(), HasSubstr(key == "r"               ? "is to have rank 3"
                                   : key == "alpha_pattern" ? "missing closing"
                                                            : key))
        << key;
    save_adapters(named_linears(net_), directory_);
  }
}

TEST_F(Peft, StartsThatChangeTheBaseAreRefusedAndOthersAreNot) {
  for (const char* start : {"pissa", "pissa_niter_16", "olora", "corda", "loftq", "lora_ga", "mica", "unheard of"}) {
    Json changed = config();
    changed["init_lora_weights"] = start;
    write(changed);
    EXPECT_THAT(fault(), HasSubstr(std::string("init_lora_weights is \"") + start + "\"")) << start;
  }
  for (const Json& start :
       {Json(true), Json(false), Json(nullptr), Json("gaussian"), Json("eva"), Json("orthogonal")}) {
    Json changed = config();
    changed["init_lora_weights"] = start;
    write(changed);
    EXPECT_EQ(fault(), "") << start;
  }
}

TEST_F(Peft, PatternsOfNamesAreTriedInTheirOrder) {
  Json changed = config();
  changed["alpha_pattern"] = {{"o_pro.", 10}, {"(o|q)_proj", 6}, {"q_proj", 8}};
  write(changed);
  PeftNet other;
  load_adapters(named_linears(other), directory_);
  EXPECT_EQ(other.o_proj.lora->scale, 5);
  EXPECT_EQ(other.q_proj.lora->scale, 3);
}

TEST_F(Peft, ASecondAdapterAddsUpWithTheFirst) {
  PeftNet once, twice;
  fill_uniform(once.q_proj.weight, 1, Rng(3));
  twice.q_proj.weight = once.q_proj.weight;
  const Tensor x = at::ones({2, 6});
  const Tensor plain = once.q_proj.forward(x);
  load_adapters(named_linears(once), directory_);
  for (int i = 0; i < 2; ++i) load_adapters(named_linears(twice), directory_);
  const Tensor change = once.q_proj.forward(x) - plain;
  EXPECT_LT((twice.q_proj.forward(x) - plain - 2 * change).abs().max().item<double>(), 1e-5);
}

TEST_F(Peft, MoreThanLinearLayersIsRefusedWhereThereIsNothingElse) {
  std::map<std::string, Tensor> tensors = load_tensors(directory_ / "adapter_model.safetensors");
  std::vector<NamedTensor> all;
  for (const auto& [name, tensor] : tensors) all.push_back({name, tensor});
  all.push_back({"base_model.model.norm.weight", at::ones({6})});
  save_tensors(directory_ / "adapter_model.safetensors", all);
  EXPECT_THAT(fault(), HasSubstr("modules_to_save"));
}

TEST_F(Peft, WrongTensorsAreNamedWithTheirShapes) {
  const Path file = directory_ / "adapter_model.safetensors";
  const std::string key = "base_model.model.q_proj.lora_";
  save_tensors(file, {{key + "A.weight", at::ones({2, 5})}, {key + "B.weight", at::ones({4, 2})}});
  EXPECT_THAT(fault(), HasSubstr("[2, 5] and [4, 2], want [rank, 6] and [4, rank]"));
  save_tensors(file, {{key + "A.weight", at::ones({2, 6})}});
  EXPECT_THAT(fault(), HasSubstr("half an adapter"));
  save_tensors(file, {{"base_model.model.x_proj.lora_A.weight", at::ones({2, 6})},
                      {"base_model.model.x_proj.lora_B.weight", at::ones({4, 2})}});
  EXPECT_THAT(fault(), HasSubstr("no linear layer 'x_proj'"));
  save_tensors(file, {{"base_model.model.q_proj.lora_magnitude", at::ones({2, 6})}});
  EXPECT_THAT(fault(), HasSubstr("belongs to no adapter"));
  save_tensors(file, {{key + "A.weight", at::ones({0, 6})}, {key + "B.weight", at::ones({4, 0})}});
  EXPECT_THAT(fault(), HasSubstr("does not fit"));
}

TEST_F(Peft, MutatedConfigsAreReadOrRefusedInOneLine) {
  const std::vector<std::string> corpus = {config().dump(),
                                           R"({"peft_type":"LORA","lora_alpha":1,"alpha_pattern":{"q_proj":2}})"};
  const std::vector<std::string> words = {"null", "-1",   "1e999",           "\"LORA\"", "{}",
                                          "[]",   "true", "\"lora_alpha\":", "\n",       "\xFF"};
  Rng rng(7);
  int sound = 0;
  for (int i = 0; i < 300; ++i) {
    std::ofstream(directory_ / "adapter_config.json") << tessera::testing::mutate(corpus, words, rng);
    const std::string words_of_it = fault();
    EXPECT_EQ(words_of_it.find('\n'), std::string::npos) << words_of_it;
    sound += words_of_it.empty() ? 1 : 0;
  }
  EXPECT_GT(sound, 0);
}

}  // namespace
}  // namespace tessera::nn
