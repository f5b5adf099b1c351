// The laws of the transformer: cached steps equal the whole pass, later scales never influence earlier ones, positions matter.
#include "models/infinity/module.h"

#include <gtest/gtest.h>

#include <set>

#include "core/error.h"
#include "models/infinity/testing.h"
#include "tensor/build.h"

namespace tessera::infinity {
namespace {

struct Pass {
  Infinity model;
  Positions positions;
  Condition condition;
  Tensor features;  // [2, L - 1, bits]

  explicit Pass(const InfinityConfig& config = tiny_config(), double aspect = 1) : model(tiny_infinity(7, config)) {
    at::manual_seed(11);
    positions = positions_of(config, schedule_for(config, aspect), at::kCPU);
    condition = model.condition(model.encode({"red apple", "cat"}));
    features = at::randn({2, positions.schedule.tokens() - 1, config.bits_per_token()});
  }
  Tensor logits() const { return model.forward(features, condition, positions); }
};

double furthest(const Tensor& a, const Tensor& b) { return (a - b).abs().max().item<double>(); }

TEST(Infinity, CachedStepsEqualTheTeacherForcedPass) {
  for (const double aspect : {1.0, 2.0, 0.5}) {
    const at::NoGradGuard no_grad;
    const Pass pass(tiny_config(), aspect);
    const Schedule& schedule = pass.positions.schedule;
    DrawState state = pass.model.start(pass.condition, pass.positions);
    std::vector<Tensor> steps{pass.model.step(0, {}, state, pass.positions)};
    for (size_t k = 1; k < schedule.scales.size(); ++k) {
      steps.push_back(pass.model.step(k, pass.features.slice(1, schedule.begin(k) - 1, schedule.begin(k + 1) - 1),
                                      state, pass.positions));
    }
    EXPECT_LT(furthest(at::cat(steps, 1), pass.logits()), 1e-5) << "aspect " << aspect;
  }
}

TEST(Infinity, ChangingALaterScaleNeverChangesEarlierLogits) {
  const at::NoGradGuard no_grad;
  Pass pass;
  const Tensor before = pass.logits();
  for (size_t k = 1; k < 3; ++k) {
    const int64_t begin = pass.positions.schedule.begin(k);
    const Tensor kept = pass.features.clone();
    pass.features.slice(1, begin, begin + 1).add_(3);  // one position inside scale k
    const Tensor after = pass.logits();
    EXPECT_TRUE(at::equal(after.slice(1, 0, begin), before.slice(1, 0, begin)));
    EXPECT_GT(furthest(after.slice(1, begin, begin + 1), before.slice(1, begin, begin + 1)), 1e-3)
        << "its own scale sees it";
    pass.features = kept;
  }
}

TEST(Infinity, PositionsOfAScaleDifferByTheirRotaryTableAlone) {
  const at::NoGradGuard no_grad;
  Pass pass;
  const Tensor order = at::tensor({0, 1, 2, 3, 4, 8, 7, 6, 5, 9, 10, 11, 12, 13}, at::kLong);  // within the last scale
  const Tensor before = pass.logits();
  const Tensor shuffled_features = at::index_select(pass.features, 1, order.slice(0, 1) - 1);
  const Tensor moved = pass.model.forward(shuffled_features, pass.condition, pass.positions);
  EXPECT_GT(furthest(moved, at::index_select(before, 1, order)), 1e-3);

  Positions along = pass.positions;
  along.rope = {at::index_select(along.rope.cos, 0, order), at::index_select(along.rope.sin, 0, order)};
  const Tensor with_places = pass.model.forward(shuffled_features, pass.condition, along);
  EXPECT_LT(furthest(with_places, at::index_select(before, 1, order)), 1e-4);
}

TEST(Infinity, LogitsOfAPictureDoNotDependOnItsBatch) {
  const at::NoGradGuard no_grad;
  const Pass pass;
  const Condition alone = pass.model.condition(pass.model.encode({"cat"}));
  const Tensor logits = pass.model.forward(pass.features.slice(0, 1, 2), alone, pass.positions);
  EXPECT_LT(furthest(logits[0], pass.logits()[1]), 1e-4);
}

TEST(Infinity, ADroppedPromptLeavesOnlyItsLength) {
  const at::NoGradGuard no_grad;
  const Infinity model = tiny_infinity();
  const auto dropped = [&](const std::string& prompt) {
    return model.condition(model.without_prompt(model.encode({prompt}), at::ones({1}, at::kBool))).pooled;
  };
  EXPECT_TRUE(at::equal(dropped("cat"), dropped("dog")));
  EXPECT_FALSE(at::equal(dropped("cat"), dropped("horse")));
  const nn::TextStates text = model.encode({"cat", "dog"});
  const nn::TextStates half = model.without_prompt(text, at::tensor({0, 1}, at::kLong).to(at::kBool));
  EXPECT_TRUE(at::equal(half.states[0], text.states[0]));
  EXPECT_FALSE(at::equal(half.states[1], text.states[1]));
}

TEST(Infinity, EveryTrainedTensorHasAGradient) {
  Pass pass;
  for_each_tensor(pass.model, [](const std::string& name, Tensor& t) { t.requires_grad_(!is_constant(name)); });
  const nn::TextStates text = pass.model.encode({"red apple", "cat"});
  pass.condition = pass.model.condition(pass.model.without_prompt(text, at::tensor({0, 1}, at::kLong).to(at::kBool)));
  pass.logits().square().mean().backward();
  for_each_tensor(pass.model, [](const std::string& name, Tensor& t) {
    if (is_constant(name)) EXPECT_FALSE(t.grad().defined()) << name;
    else EXPECT_TRUE(t.grad().defined() && t.grad().abs().max().item<float>() > 0) << name;
  });
}

TEST(Infinity, TensorNamesAreThoseOfTheReleasedCheckpoints) {
  const BuildDevice meta(at::kMeta);
  Infinity model(tiny_config());
  std::set<std::string> names;
  for_each_tensor(model, [&](const std::string& name, Tensor&) { names.insert(name); });
  for (const char* name : {"cfg_uncond",
                           "pos_start",
                           "text_norm.weight",
                           "text_proj_for_sos.ca.mat_q",
                           "text_proj_for_sos.ca.v_bias",
                           "text_proj_for_sos.ca.zero_k_bias",
                           "text_proj_for_sos.ca.mat_kv.weight",
                           "text_proj_for_sos.ca.proj.bias",
                           "text_proj_for_ca.0.weight",
                           "text_proj_for_ca.2.bias",
                           "lvl_embed.weight",
                           "word_embed.weight",
                           "shared_ada_lin.1.weight",
                           "head_nm.ada_lin.1.bias",
                           "head.weight",
                           "blocks.1.ada_gss",
                           "blocks.1.sa.scale_mul_1H11",
                           "blocks.1.sa.q_bias",
                           "blocks.1.sa.zero_k_bias",
                           "blocks.1.sa.mat_qkv.weight",
                           "blocks.1.sa.proj.weight",
                           "blocks.1.ca.mat_q.bias",
                           "blocks.1.ca.mat_kv.weight",
                           "blocks.1.ca.v_bias",
                           "blocks.1.ffn.fc1.weight",
                           "blocks.1.ffn.fc2.bias",
                           "blocks.1.ca_norm.weight"}) {
    EXPECT_TRUE(names.contains(name)) << name;
  }
  EXPECT_FALSE(names.contains("blocks.1.sa.mat_qkv.bias"));
  EXPECT_FALSE(names.contains("text_proj_for_sos.ca.mat_kv.bias"));
}

TEST(Infinity, AnIndexHeadGivesOneLogitPerCodeword) {
  const at::NoGradGuard no_grad;
  InfinityConfig config = tiny_config();
  config.head = "index";
  EXPECT_EQ(Pass(config).logits().sizes(), (std::vector<int64_t>{2, 14, 16}));
  EXPECT_EQ(Pass().logits().sizes(), (std::vector<int64_t>{2, 14, 4, 2}));
}

TEST(Infinity, TheBitHeadGrowsWithTheBitsAndTheIndexHeadWithTheCodewords) {
  const BuildDevice meta(at::kMeta);
  const auto head_parameters = [](const std::string& head, int64_t bits) {
    InfinityConfig config = tiny_config();
    config.head = head;
    config.bits = bits;
    Infinity model(config);
    int64_t total = 0;
    for_each_tensor(model,
                    [&](const std::string& name, Tensor& t) { total += name.starts_with("head.") ? t.numel() : 0; });
    return total;
  };
  const int64_t inputs = tiny_config().width + 1;
  for (const int64_t d : {4, 8, 12}) {
    EXPECT_EQ(head_parameters("bits", d), 2 * d * inputs);
    EXPECT_EQ(head_parameters("index", d), (int64_t{1} << d) * inputs);
  }
}

TEST(Infinity, InitialBlocksAreNearTheIdentityAndDependOnTheSeedAlone) {
  Infinity a(tiny_config()), b(tiny_config());
  initialise(a, 3);
  initialise(b, 3);
  for_each_tensor(a, [&, of_b = named_tensors(b)](const std::string& name, Tensor& t) {
    const auto same = std::find_if(of_b.begin(), of_b.end(), [&](const NamedTensor& n) { return n.name == name; });
    EXPECT_TRUE(at::equal(t, same->tensor)) << name;
    EXPECT_TRUE(at::isfinite(t).all().item<bool>()) << name;
  });
  EXPECT_LT(a.shared_ada_lin.linear.weight.slice(0, 0, 64).abs().max().item<float>(), 1e-5);
  EXPECT_NEAR(a.blocks[0].sa.scale_mul.mean().item<double>(), std::log(4.0), 1e-6);
}

TEST(InfinityConfig, RefusesShapesThatCannotBeBuilt) {
  const auto refused = [](auto change) {
    InfinityConfig config = tiny_config();
    change(config);
    EXPECT_THROW(validate(config), UserError);
  };
  refused([](InfinityConfig& c) { c.heads = 3; });
  refused([](InfinityConfig& c) {
    c.width = 12;
    c.pool_heads = 1;
  });
  refused([](InfinityConfig& c) { c.bits = 65; });
  refused([](InfinityConfig& c) { c.head = "word"; });
  refused([](InfinityConfig& c) {
    c.head = "index";
    c.bits = 32;
  });
  refused([](InfinityConfig& c) { c.scales = {2, 4}; });
  refused([](InfinityConfig& c) { c.scales = {1, 4, 2}; });
  refused([](InfinityConfig& c) { c.scales = {1, 2, 3, 4, 5}; });
  refused([](InfinityConfig& c) { c.text_encoder->width = 8; });
  EXPECT_NO_THROW(validate(tiny_config()));
}

}  // namespace
}  // namespace tessera::infinity
