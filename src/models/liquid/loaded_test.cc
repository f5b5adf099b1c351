// Directories of both layouts as the program uses them: draw, see, write, convert and quantise, and what is refused.
#include "models/liquid/loaded.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/error.h"
#include "core/interrupt.h"
#include "core/json.h"
#include "models/liquid/quantize.h"
#include "models/liquid/testing.h"
#include "models/quantizable.h"
#include "models/registry.h"

namespace tessera::liquid {
namespace {

using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

SeeRequest question(const Image& picture, const std::string& words) {
  return {.messages = {{.role = "user", .content = words, .media = 1}},
          .media = {{.frames = {picture}, .clip = false, .source = "a.png"}},
          .options = {.max_new_tokens = 6}};
}

TEST(LoadedLiquid, OneSetOfWeightsDrawsSeesAndWrites) {
  const TinyLiquid tiny;
  const auto model = tiny.loaded();
  EXPECT_EQ(model->model_type(), "liquid");
  const std::vector<Image> pictures = model->draws()->draw({.prompts = {"red", "blue"}, .seed = 4});
  ASSERT_EQ(pictures.size(), 2u);
  EXPECT_EQ(pictures[0].width, 16);
  EXPECT_EQ(pictures, model->draws()->draw({.prompts = {"red", "blue"}, .seed = 4, .batch = 1}));
  EXPECT_EQ(pictures, model->draws()->draw({.prompts = {"red", "blue"}, .seed = 4, .window = 8}));
  const auto said = model->sees()->see({question(pictures[0], "what?"), question(pictures[1], "what?")});
  ASSERT_EQ(said.size(), 2u);
  const auto alone = model->sees()->see({question(pictures[1], "what?")});
  EXPECT_EQ(said[1].continuation.tokens, alone.front().continuation.tokens);
  const auto written = model->writes()->write({"once"}, {.max_new_tokens = 8});
  for (const int32_t id : written.front().continuation.tokens) EXPECT_LT(id, data::testing::byte_vocabulary);
}

TEST(LoadedLiquid, AQuestionAmongOthersIsAnsweredAsAlone) {
  const TinyLiquid tiny;
  const auto model = tiny.loaded();
  const std::vector<SeeRequest> asked{question(speckled(16, 16, 3), "what?"),
                                      question(speckled(20, 20, 4), "what is it?")};
  const auto steps = model->writes()->steps(256);
  for (const SeeRequest& request : asked) {
    const generate::Prompt prompt = model->sees()->prompt(request);
    EXPECT_EQ(std::ssize(prompt.ids), model->sees()->prompt_length(request));
    generate::TextOptions options = model->writes()->completed(request.options);
    const auto text = generate::run(*steps, {prompt}, model->writes()->tokenizer(), options);
    EXPECT_EQ(text.front().tokens, model->sees()->see({request}).front().continuation.tokens);
  }
  EXPECT_GT(model->writes()->position_bytes(), 0);
}

TEST(LoadedLiquid, LanguageModelsOfEveryKindOfFileDraw) {
  for (const char* family : {"llama", "gemma2", "phi3", "olmo3"}) {
    const TinyLiquid tiny(family);
    const Prompter prompter(tiny.bundle.config.pictures, *tiny.tokenizer);
    const CodePlan plan{.cfg = 3, .sampling = {.temperature = 1, .top_k = 0, .top_p = 1, .seed = 4}};
    const auto codes = draw_codes(tiny.bundle.model, prompter, {prompter.drawing("red")}, plan).codes;
    EXPECT_EQ(tiny.loaded()->draws()->draw({.prompts = {"red"}, .seed = 4}), pictures_of(tiny.bundle.codec, codes, 4))
        << family;
  }
}

TEST(LoadedLiquid, RowsAreShownAsTheyComeAndTheLastViewIsThePicture) {
  const TinyLiquid tiny;
  const auto model = tiny.loaded();
  for (const int64_t window : {1, 8}) {
    std::vector<size_t> rows;
    std::vector<Image> last;
    const std::vector<Image> pictures = model->draws()->draw(
        {.prompts = {"red", "blue"}, .seed = 4, .window = window, .on_scale = [&](const ScaleView& view) {
           EXPECT_EQ(view.scales, 4u);
           rows.push_back(view.scale);
           last = view.pictures;
         }});
    EXPECT_EQ(rows, (std::vector<size_t>{0, 1, 2, 3})) << window;
    EXPECT_EQ(last, pictures);
  }
}

TEST(LoadedLiquid, AnInterruptLeavesOutThePicturesThatAreNotWhole) {
  const TinyLiquid tiny;
  const auto model = tiny.loaded();
  size_t rows = 0, whole = 0;
  const std::vector<Image> pictures =
      model->draws()->draw({.prompts = {"a", "b", "c"},
                            .batch = 1,
                            .on_step = [&](size_t, size_t) { return ++rows < 6; },
                            .on_pictures = [&](size_t, const auto&) { return ++whole > 0; }});
  EXPECT_EQ(pictures.size(), 1u);
  EXPECT_EQ(whole, 1u);
  EXPECT_EQ(rows, 6u);
}

TEST(LoadedLiquid, WhoeverAskedIsToldOfEveryRowAndCanEndTheDrawing) {
  const TinyLiquid tiny;
  const auto model = tiny.loaded();
  for (const int64_t window : {1, 8}) {
    std::vector<size_t> rows;
    const auto draw = [&](size_t last) {
      rows.clear();
      return model->draws()->draw({.prompts = {"a"}, .window = window, .on_step = [&](size_t row, size_t all) {
                                     EXPECT_EQ(all, 4u);
                                     rows.push_back(row);
                                     return row < last;
                                   }});
    };
    EXPECT_EQ(draw(9).size(), 1u);
    EXPECT_EQ(rows, (std::vector<size_t>{0, 1, 2, 3})) << window;
    EXPECT_TRUE(draw(1).empty());
    EXPECT_EQ(rows, (std::vector<size_t>{0, 1})) << window;
  }
}

TEST(LoadedLiquid, FirstRowsOfAPictureCanBeKept) {
  const TinyLiquid tiny;
  const LoadedLiquid model(tiny.bundle,
                           {.model = tiny.bundle.model, .tokenizer = text::load_tokenizer(tiny.bundle.directory)});
  const Image from = speckled(16, 16, 2);
  const CodePlan plan = model.plan_of({.prompts = {"x"}, .from = from, .keep_scales = 3});
  const auto whole = codes_of(tiny.bundle.codec, {from}).front();
  EXPECT_EQ(plan.given, std::vector<int64_t>(whole.begin(), whole.begin() + 12));
}

TEST(LoadedLiquid, WhatThisModelHasNotIsRefusedInOneLine) {
  const TinyLiquid tiny;
  const auto model = tiny.loaded();
  const auto refusal = [&](DrawRequest request, const std::string& message) {
    if (request.prompts.empty()) request.prompts = {"red"};
    EXPECT_THAT([&] { model->draws()->draw(request); }, ThrowsMessage<UserError>(HasSubstr(message)));
  };
  refusal({.prompts = {" "}}, "a prompt is empty");
  refusal({.cfg = {1, 2}}, "2 numbers for cfg, want one");
  refusal({.tau = {-1}}, "tau is -1, want 0");
  refusal({.top_p = 0}, "top_p is 0, want more than 0");
  refusal({.top_k = -1}, "top_k is -1, want at least 0");
  refusal({.window = 0}, "window is 0, want 1");
  refusal({.window = 1, .settle = 2}, "settle is 2 but no codes are guessed ahead");
  refusal({.fast = {.unguided_scales = 1}}, "fast, unguided_scales, settled and local_attention are for models that");
  refusal({.fast = {.settled = 0.25}}, "fast, unguided_scales");
  refusal({.aspect = 0.5}, "this model draws squares");
  refusal({.size = PictureSize{.width = 32, .height = 16}}, "size is 32x16, want 16x16");
  refusal({.pixels = "1M"}, "for models that draw scale by scale");
  refusal({.use_cache = false}, "without a cache");
  refusal({.from = Image(4, 4, 3), .keep_scales = 5}, "keep_scales is 5, want 0 to 4");
  refusal({.keep_scales = 1}, "no picture to keep them from");
  SeeRequest clip = question(Image(4, 4, 3), "what?");
  clip.media[0].clip = true;
  EXPECT_THAT([&] { model->sees()->see({clip}); }, ThrowsMessage<UserError>(HasSubstr("a.png is a clip")));
  EXPECT_THAT([&] { model->sees()->see({question(Image(4, 4, 3), std::string(200, 'x'))}); },
              ThrowsMessage<UserError>(HasSubstr("18 of them for pictures; the context is 160")));
  SeeRequest two = question(Image(4, 4, 3), "what?");
  two.messages[0].media = 2;
  EXPECT_THAT([&] { model->sees()->see({two}); },
              ThrowsMessage<UserError>(HasSubstr("speaks of 2 pictures, 1 are given")));
}

TEST(LoadedLiquid, GuidanceLeadsAwayFromANegativePrompt) {
  const TinyLiquid tiny;
  const auto model = tiny.loaded();
  const auto drawn = [&](const std::string& negative, double cfg) {
    return model->draws()->draw({.prompts = {"red"}, .seed = 4, .cfg = {cfg}, .negative = negative});
  };
  EXPECT_NE(drawn("blue", 4), drawn("", 4));
  EXPECT_EQ(drawn("blue", 1), drawn("", 1));
}

TEST(Fitted, PicturesAreCentredOnGreyAndClearOnesLaidOnWhite) {
  const Image wide = fitted(Image(8, 3, 3, 200), 8);
  EXPECT_EQ(std::vector<uint8_t>(wide.at(0, 0), wide.at(0, 0) + 3), (std::vector<uint8_t>{122, 116, 104}));
  EXPECT_EQ(*wide.at(0, 2), 200);  // offset floor(5 / 2)
  EXPECT_EQ(*wide.at(7, 4), 200);
  EXPECT_EQ(*wide.at(0, 5), 122);
  EXPECT_EQ(fitted(Image(8, 8, 4, 0), 8), Image(8, 8, 3, 255));
}

TEST(Fitted, APictureSoLongThatItsSquareWouldTakeGigabytesIsMadeSmallerFirst) {
  const Image strip = fitted(Image(1'000'000, 60, 3, 200), 8);  // its square: a million squared
  EXPECT_EQ(strip.width, 8);
  EXPECT_EQ(strip.height, 8);
  EXPECT_EQ(*strip.at(0, 0), 122);
}

TEST(LiquidFiles, ACodecOfAnotherModelAndMissingRowsAreRefused) {
  const TinyLiquid tiny;
  const Path saved = tiny.saved();
  const auto refusal = [&](const std::string& message) {
    EXPECT_THAT([&] { load_model(saved, at::kCPU); }, ThrowsMessage<UserError>(HasSubstr(message)));
  };
  vq::save_vq(tiny_vq(8), saved / "codec", StoredAs::f32);
  refusal("codec and language model do not belong together");
  vq::VqConfig other = tiny_vq().config;
  other.picture_size = 32;
  vq::VqCodec larger(other);
  vq::initialise(larger, 1);
  vq::save_vq(larger, saved / "codec", StoredAs::f32);
  refusal("has 8 x 8 codes, the model draws 4 x 4");
  tiny.saved();
  Json config = read_json_file(saved / "config.json");
  config["text_config"]["vocab_size"] = 262;
  write_file_atomically(saved / "config.json", config.dump());
  refusal("the rows of the codes are missing");
  config.erase("text_config");
  write_file_atomically(saved / "config.json", config.dump());
  refusal("no 'text_config'");
}

TEST(LiquidFiles, APackedModelDrawsAndAnswersAlmostAsBefore) {
  TinyLiquid tiny("qwen2");
  tiny.bundle.config.drawing.temperature = 0;
  const Path saved = tiny.saved(), out = tiny.folder / "packed";
  auto model = load_quantizable(saved, at::kCPU);
  EXPECT_GT(
      model->calibrate({.texts = {"some words to look at"}, .pictures = {speckled(16, 16, 1), speckled(20, 9, 2)}}), 0);
  for (const quant::SharedInput& input : model->language_inputs()) EXPECT_FALSE(input.consumers.empty());
  model->save(out, {});
  EXPECT_EQ(load_model(out, at::kCPU)->draws()->draw({.prompts = {"red"}}),
            load_model(saved, at::kCPU)->draws()->draw({.prompts = {"red"}}));
}

}  // namespace
}  // namespace tessera::liquid
