// Laws of drawing: cache, seed, batch, guidance and kept scales; and requests that are refused.
#include "models/infinity/draw.h"

#include <gtest/gtest.h>

#include "core/error.h"
#include "models/infinity/testing.h"
#include "models/registry.h"

namespace tessera::infinity {
namespace {

DrawPlan plan_of(double aspect = 1) {
  return {.schedule = schedule_for(tiny_config(), aspect), .cfg = {3, 3, 3}, .tau = {0.5, 0.5, 0.5}, .seed = 3};
}

DrawingInfinity tiny_drawing() { return DrawingInfinity({tiny_infinity(), tiny_codec(), {}}); }

double furthest(const std::vector<Tensor>& a, const std::vector<Tensor>& b) {
  double most = 0;
  for (size_t k = 0; k < a.size(); ++k) most = std::max(most, (a[k] - b[k]).abs().max().item<double>());
  return most;
}

TEST(InfinityDraw, CachedLogitsEqualTheTeacherForcedPassOverTheDrawnBits) {
  const at::NoGradGuard no_grad;
  const Infinity model = tiny_infinity();
  for (const double aspect : {1.0, 2.0}) {
    DrawPlan plan = plan_of(aspect);
    plan.cfg = {1, 1, 1};
    std::vector<Tensor> sums;
    plan.on_scale = [&](size_t, const Tensor& sum) { sums.push_back(sum); };
    const nn::TextStates text = model.encode({"red apple", "cat"});
    const DrawnCodes drawn = draw_codes(model, text, plan);
    const Positions positions = positions_of(model.config, plan.schedule, at::kCPU);
    const Tensor forced = model.forward(forced_features(sums, plan.schedule, false), model.condition(text), positions);
    EXPECT_LT((at::cat(drawn.logits, 1) - forced).abs().max().item<double>(), 1e-5) << "aspect " << aspect;
  }
}

TEST(InfinityDraw, CacheAndNoCacheDrawTheSame) {
  const Infinity model = tiny_infinity();
  const nn::TextStates text = model.encode({"red apple", "cat"});
  DrawPlan plan = plan_of();
  const DrawnCodes cached = draw_codes(model, text, plan);
  plan.use_cache = false;
  const DrawnCodes whole = draw_codes(model, text, plan);
  EXPECT_LT(furthest(cached.logits, whole.logits), 1e-4);  // guidance of 3 multiplies rounding by 5
  EXPECT_TRUE(at::equal(cached.codes.sum, whole.codes.sum));
}

TEST(InfinityDraw, PatchesOfTwoByTwoPositionsAreDrawnAsOneToken) {
  InfinityConfig config = tiny_config();
  config.patchify = true;
  const Infinity model = tiny_infinity(7, config);
  const DrawnCodes drawn = draw_codes(model, model.encode({"cat"}), plan_of());
  EXPECT_EQ(drawn.logits.back().sizes(), (std::vector<int64_t>{1, 9, 16, 2}));
  EXPECT_EQ(drawn.codes.sum.sizes(), (std::vector<int64_t>{1, 4, 6, 6}));
}

TEST(InfinityDraw, TheSameSeedGivesTheSameBytesAndAnotherSeedOthers) {
  const DrawingInfinity drawing = tiny_drawing();
  const DrawRequest request{.prompts = {"red apple", "red apple"}, .seed = 8};
  const std::vector<Image> once = drawing.draw(request);
  EXPECT_EQ(once, drawing.draw(request));
  EXPECT_NE(once[0], once[1]) << "two pictures of one prompt differ";
  EXPECT_NE(once[0], drawing.draw({.prompts = {"red apple"}, .seed = 9})[0]);
}

TEST(InfinityDraw, APictureDoesNotDependOnItsBatch) {
  const DrawingInfinity drawing = tiny_drawing();
  const std::vector<std::string> prompts{"red apple", "cat", "a dog on the moon"};
  const std::vector<Image> together = drawing.draw({.prompts = prompts, .seed = 8});
  EXPECT_EQ(drawing.draw({.prompts = prompts, .seed = 8, .batch = 2}), together);
  for (size_t i = 0; i < prompts.size(); ++i) {
    EXPECT_EQ(drawing.draw({.prompts = {prompts[i]}, .seed = 8, .first_picture = i})[0], together[i]) << prompts[i];
  }
}

TEST(InfinityDraw, GuidanceOfOneIsTheConditionalModelAlone) {
  const Infinity model = tiny_infinity();
  const nn::TextStates text = model.encode({"red apple"});
  DrawPlan alone = plan_of(), beside = plan_of();
  alone.cfg = {1, 1, 1};
  beside.cfg = {1, 1, 3};  // the second also runs the unconditional rows
  const DrawnCodes a = draw_codes(model, text, alone), b = draw_codes(model, text, beside);
  EXPECT_LT(furthest({a.logits[0], a.logits[1]}, {b.logits[0], b.logits[1]}), 1e-5);
  EXPECT_GT(furthest({a.logits[2]}, {b.logits[2]}), 1e-3);
}

TEST(InfinityDraw, GuidanceInsideMixesWhatLeavesABlock) {
  const at::NoGradGuard no_grad;
  const Infinity model = tiny_infinity();
  const nn::TextStates text = model.encode({"red apple"});
  DrawPlan on_logits = plan_of(), inside = plan_of(), both = plan_of(), unguided = plan_of();
  inside.guided_layers = {-1};
  both.guided_layers = {0, -1};
  unguided.cfg = {1, 1, 1};
  unguided.guided_layers = {-1};
  const DrawnCodes a = draw_codes(model, text, on_logits), b = draw_codes(model, text, inside),
                   c = draw_codes(model, text, both), d = draw_codes(model, text, unguided);
  EXPECT_GT(furthest({a.logits[0]}, {b.logits[0]}), 1e-3);
  EXPECT_GT(furthest({b.logits[0]}, {c.logits[0]}), 1e-3) << "the head has a condition of its own for each row";
  DrawPlan alone = plan_of();
  alone.cfg = {1, 1, 1};
  EXPECT_LT(furthest(d.logits, draw_codes(model, text, alone).logits), 1e-6);
  inside.use_cache = false;
  EXPECT_THROW(draw_codes(model, text, inside), UserError);
}

TEST(InfinityDraw, ANegativePromptIsLedAwayFromAtItsOwnLength) {
  const at::NoGradGuard no_grad;
  const Infinity model = tiny_infinity();
  const nn::TextStates text = model.encode({"red apple", "cat"}), away = model.encode({"a very long grey dog"});
  DrawPlan plan = plan_of();
  plan.negative = away;
  const Tensor first = draw_codes(model, text, plan).logits[0];
  const Positions positions = positions_of(model.config, plan.schedule, at::kCPU);
  const auto alone = [&](const nn::TextStates& states) {
    DrawState state = model.start(model.condition(states), positions);
    return model.step(0, {}, state, positions);
  };
  EXPECT_LT((first - (3 * alone(text) - 2 * alone(away))).abs().max().item<double>(), 1e-4);
}

TEST(InfinityDraw, NegativePromptsAndWordsAboutFacesReachTheModel) {
  const DrawingInfinity drawing = tiny_drawing();
  const Image plain = drawing.draw({.prompts = {"cat"}, .seed = 8})[0];
  EXPECT_NE(drawing.draw({.prompts = {"cat"}, .seed = 8, .negative = "dog"})[0], plain);
  EXPECT_EQ(drawing.draw({.prompts = {"cat"}, .seed = 8, .positive_prompt = true})[0], plain) << "no people";
  EXPECT_EQ(with_positive_words("a mango"),
            "a mango. very smooth faces, good looking faces, face to the camera, perfect facial features");
  EXPECT_EQ(with_positive_words("two cats"), "two cats");
}

TEST(InfinityDraw, KeysInFewerBitsDrawAlmostTheSame) {
  const at::NoGradGuard no_grad;
  const Infinity model = tiny_infinity();
  const nn::TextStates text = model.encode({"red apple"});
  DrawPlan plan = plan_of();
  const DrawnCodes exact = draw_codes(model, text, plan);
  for (const auto& [kept, tolerance, bytes] : {std::tuple(at::kBFloat16, 0.05, 2), std::tuple(at::kChar, 0.05, 1)}) {
    plan.kept = kept;
    plan.given = exact.codes.bits;  // or one other bit would make it another picture
    const DrawnCodes rounded = draw_codes(model, text, plan);
    EXPECT_GT(furthest(rounded.logits, exact.logits), 0) << "format " << bytes;
    EXPECT_LT(furthest(rounded.logits, exact.logits), tolerance * exact.logits[2].abs().max().item<double>());
    EXPECT_LT(rounded.cache_bytes, exact.cache_bytes);
  }
  // Two layers, two rows, keys and values of five positions (the last scale's nine are never kept), 32 wide, in fp32.
  EXPECT_EQ(exact.cache_bytes, 2 * 2 * 2 * 5 * 32 * 4);
}

TEST(InfinityDraw, UnguidedScalesAreThoseOfGuidanceOne) {
  const DrawingInfinity drawing = tiny_drawing();
  const Image want = drawing.draw({.prompts = {"cat"}, .seed = 8, .cfg = {3, 3, 1}})[0];
  EXPECT_EQ(drawing.draw({.prompts = {"cat"}, .seed = 8, .cfg = {3}, .fast = {.unguided_scales = 1}})[0], want);
}

TEST(InfinityDraw, SettledTokensTakeWhatTheScaleBeforeGaveTheirPlace) {
  const at::NoGradGuard no_grad;
  const Infinity model = tiny_infinity();
  const nn::TextStates text = model.encode({"red apple"});
  DrawPlan plan = plan_of();
  const DrawnCodes all = draw_codes(model, text, plan);
  plan.given = all.codes.bits;
  plan.fast.settled = 1e-6;  // none of nine
  EXPECT_LT(furthest(draw_codes(model, text, plan).logits, all.logits), 1e-5);
  plan.fast.settled = 0.5;
  const DrawnCodes half = draw_codes(model, text, plan);
  EXPECT_LT(furthest({half.logits[0], half.logits[1]}, {all.logits[0], all.logits[1]}), 1e-5)
      << "before the second scale nothing has changed yet";
  const Tensor moved = (half.logits[2] - all.logits[2]).abs().amax({0, 2, 3});
  EXPECT_GE((moved > 1e-3).sum().item<int64_t>(), 4) << "four of nine tokens did not run";
}

TEST(InfinityDraw, KeptScalesAreThoseOfThePictureAndAllOfThemReproduceIt) {
  const DrawingInfinity drawing = tiny_drawing();
  const codec::Codec& codec = drawing.bundle().codec;
  const Image picture = noise_picture(4);
  const at::NoGradGuard no_grad;
  const codec::ResidualCodes codes =
      codec::quantise(codec.encode(codec::pictures_to_tensor({picture}, at::kCPU)), codec.scales());
  std::vector<Image> shown;
  const auto show = [&](const ScaleView& view) { shown.push_back(view.pictures[0]); };
  const Image kept = drawing.draw({.prompts = {"cat"}, .from = picture, .keep_scales = 3, .on_scale = show})[0];
  ASSERT_EQ(shown.size(), 3u);
  for (size_t k = 0; k < 3; ++k)
    EXPECT_EQ(shown[k], codec::tensor_to_pictures(codec.decode(codes.sums[k]))[0]) << "scale " << k;
  EXPECT_EQ(kept, shown[2]);

  shown.clear();
  const Image free = drawing.draw({.prompts = {"cat"}, .from = picture, .keep_scales = 1, .on_scale = show})[0];
  EXPECT_EQ(shown[0], codec::tensor_to_pictures(codec.decode(codes.sums[0]))[0]);
  EXPECT_NE(free, kept);
}

TEST(InfinityDraw, OfAPictureThatIsAllLengthTheMiddleIsKept) {
  const DrawingInfinity drawing = tiny_drawing();
  const auto drawn = [&](const Image& picture) {
    return drawing.draw({.prompts = {"cat"}, .from = picture, .keep_scales = 3})[0];
  };
  Image strip(1, 20'000'000, 3, 90);  // covering it whole would take a picture as much larger
  EXPECT_EQ(drawn(strip), drawn(Image(12, 12, 3, 90)));
}

TEST(InfinityDraw, AspectsGivePicturesOfThatShape) {
  const Image tall = tiny_drawing().draw({.prompts = {"cat"}, .aspect = 2})[0];
  EXPECT_EQ(tall.height, 4 * 4);  // 3 * sqrt(2) and 3 / sqrt(2), rounded, times 4 pixels
  EXPECT_EQ(tall.width, 2 * 4);
}

TEST(InfinityDraw, RefusesRequestsOutOfRange) {
  const DrawingInfinity drawing = tiny_drawing();
  std::string essay;
  for (int i = 0; i < 10'000; ++i) essay += "word ";
  for (const DrawRequest& request : std::vector<DrawRequest>{
           {},
           {.prompts = {""}},
           {.prompts = {"cat", " \n"}},
           {.prompts = {essay}},
           {.prompts = {"cat"}, .cfg = {1, 2}},
           {.prompts = {"cat"}, .cfg = {-1}},
           {.prompts = {"cat"}, .tau = {NAN}},
           {.prompts = {"cat"}, .top_p = 0},
           {.prompts = {"cat"}, .aspect = 9},
           {.prompts = {"cat"}, .size = PictureSize{13, 12}},
           {.prompts = {"cat"}, .pixels = "1M"},
           {.prompts = {"cat"}, .negative = std::string(99, 'a')},
           {.prompts = {"cat"}, .cfg_layers = {1}},
           {.prompts = {"cat"}, .cfg_layers = {-2}},
           {.prompts = {"cat"}, .cfg_layers = {}},
           {.prompts = {"cat"}, .fast = {.unguided_scales = 4}},
           {.prompts = {"cat"}, .fast = {.settled = 1}},
           {.prompts = {"cat"}, .fast = {.local_attention = -1}},
           {.prompts = {"cat"}, .keep_scales = 2},
           {.prompts = {"cat"}, .from = noise_picture(1), .keep_scales = 4},
       }) {
    EXPECT_THROW(drawing.draw(request), UserError);
  }
  EXPECT_NO_THROW(drawing.draw({.prompts = {std::string(23, 'a')}}));
  InfinityConfig config = tiny_config();
  config.head = "index";
  EXPECT_THROW(DrawingInfinity({tiny_infinity(7, config), tiny_codec(), {}}), UserError);
}

TEST(LoadModel, LoadsByModelTypeAndNamesTheKnownTypesForAnUnknownOne) {
  const Path directory = Path(::testing::TempDir()) / "tessera-registry";
  std::filesystem::remove_all(directory);
  save_model(tiny_infinity(), tiny_codec(), {}, StoredAs::f32, directory);
  const auto model = tessera::load_model(directory, at::kCPU);
  EXPECT_EQ(model->model_type(), "infinity");
  ASSERT_NE(model->draws(), nullptr);
  EXPECT_EQ(model->draws()->draw({.prompts = {"cat"}, .seed = 2}),
            tiny_drawing().draw({.prompts = {"cat"}, .seed = 2}));
  EXPECT_THAT([&] { tessera::load_model(directory / "codec", at::kCPU); },
              ::testing::ThrowsMessage<UserError>(::testing::ContainsRegex("one of: .*infinity")));
}

}  // namespace
}  // namespace tessera::infinity
