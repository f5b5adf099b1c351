// What random draws under a schema come out as.
#include "generate/json/json_constraint.h"

#include <gtest/gtest.h>

#include <ATen/ops/zeros.h>

#include "core/utf8.h"
#include "generate/json/machine.h"
#include "generate/json/testing.h"

namespace tessera::generate {
namespace {

using testing::drawn;
using testing::json_tokenizer;
using testing::SchemaMaker;

std::shared_ptr<const JsonGrammar> grammar_of(const char* schema) {
  return JsonGrammar::of_schema(parse_json(schema, "schema"));
}

TEST(JsonConstraint, RandomTextsUnderRandomSchemasAreValid) {
  int checked = 0, impossible = 0, complete = 0;
  for (uint64_t seed = 0; seed < 300; ++seed) {
    const Json schema = SchemaMaker(seed).make();
    std::shared_ptr<const JsonGrammar> grammar;
    try {
      grammar = JsonGrammar::of_schema(schema);
    } catch (const UserError& error) {
      ++impossible;
      EXPECT_NE(std::string(error.what()).find("satisfy"), std::string::npos) << error.what() << "\n" << schema.dump();
      continue;
    }
    for (const uint64_t draw : {1u, 2u, 3u}) {
      const auto [text, reason] = drawn(grammar, seed * 10 + draw, 300);
      ++checked;
      complete += reason == StopReason::end_token;
      ASSERT_EQ(broken_parts(text), 0) << text;
      ASSERT_TRUE(Json::accept(text)) << schema.dump() << "\n" << text;
      ASSERT_TRUE(testing::valid(schema, schema, parse_json(text, "text"))) << schema.dump() << "\n" << text;
    }
  }
  EXPECT_GT(checked, 500);
  EXPECT_GT(impossible, 5);
  EXPECT_GT(complete, 500);
}

TEST(JsonConstraint, AnyObjectIsValidJsonWhateverTheSeed) {
  const auto grammar = JsonGrammar::any_object();
  for (uint64_t seed = 0; seed < 100; ++seed) {
    const auto [text, reason] = drawn(grammar, seed, 40 + static_cast<int64_t>(seed));
    ASSERT_TRUE(Json::accept(text) && parse_json(text, "text").is_object()) << text;
  }
}

TEST(JsonConstraint, ATextIsCompleteHoweverFewTokensItMayHave) {
  const auto grammar = grammar_of(
      R"({"type":"object","properties":{"name":{"type":"string"},"list":{"type":"array","items":{"type":"object"}}},
                                      "required":["name","list"],"additionalProperties":false})");
  const std::string shortest = R"({"name":"","list":[]})";
  for (int64_t most = std::ssize(shortest); most < 60; ++most) {
    for (uint64_t seed = 0; seed < 5; ++seed) {
      const auto [text, reason] = drawn(grammar, seed, most);
      ASSERT_TRUE(Json::accept(text)) << most << ": " << text;
    }
  }
}

TEST(JsonConstraint, EndsByItselfWhereNothingCanFollow) {
  const auto [text, reason] = drawn(grammar_of(R"({"const":"done"})"), 1);
  EXPECT_EQ(text, "\"done\"");
  EXPECT_EQ(reason, StopReason::end_token);
}

TEST(JsonConstraint, TheEndTokenIsAllowedExactlyWhereTheTextMayEnd) {
  const testing::ToyTokenizer tokenizer = json_tokenizer();
  const auto tokens = std::make_shared<const TokenTrie>(tokenizer);
  const auto constraint = json_constraint(grammar_of(R"({"type":"integer"})"), tokens)({});
  constraint->begin({.sampling = {}, .end_tokens = {*tokenizer.end_token()}}, 100);
  const auto end_allowed = [&] {
    Tensor logits = at::zeros({tokenizer.vocabulary()});
    constraint->mask(logits);
    return !std::isinf(logits[*tokenizer.end_token()].item<float>());
  };
  EXPECT_FALSE(end_allowed());
  constraint->advance('-');
  EXPECT_FALSE(end_allowed());
  constraint->advance('7');
  EXPECT_TRUE(end_allowed());
  EXPECT_FALSE(constraint->finished());
}

/// Tokens that the constraint lets through, by asking the machine for each by itself.
std::vector<int32_t> allowed_one_by_one(const JsonMachine& at_start, const testing::ToyTokenizer& tokenizer,
                                        const std::string& so_far) {
  std::vector<int32_t> allowed;
  for (int32_t id = 0; id < tokenizer.vocabulary() - 1; ++id) {
    JsonMachine machine = at_start;
    if (!testing::places_after(machine, so_far + tokenizer.token_of(id)).empty()) allowed.push_back(id);
  }
  return allowed;
}

TEST(JsonConstraint, MasksThroughTheTreeEqualTokensTriedOneByOne) {
  const testing::ToyTokenizer tokenizer = json_tokenizer();
  const auto tokens = std::make_shared<const TokenTrie>(tokenizer);
  for (uint64_t seed = 0; seed < 40; ++seed) {
    std::shared_ptr<const JsonGrammar> grammar;
    try {
      grammar = JsonGrammar::of_schema(SchemaMaker(seed).make());
    } catch (const UserError&) {
      continue;
    }
    const auto constraint = json_constraint(grammar, tokens)({});
    constraint->begin({.sampling = {}, .end_tokens = {}}, endless);
    std::string text;
    Rng rng(seed);
    for (int step = 0; step < 25 && !constraint->finished(); ++step) {
      Tensor logits = at::zeros({tokenizer.vocabulary()});
      std::vector<int32_t> allowed;
      const std::vector<int32_t> expected = allowed_one_by_one(JsonMachine(grammar), tokenizer, text);
      if (expected.empty()) break;
      constraint->mask(logits);
      for (int32_t id = 0; id < tokenizer.vocabulary(); ++id) {
        if (!std::isinf(logits[id].item<float>())) allowed.push_back(id);
      }
      ASSERT_EQ(allowed, expected) << text;
      const int32_t id = allowed[rng.below(allowed.size())];
      constraint->advance(id);
      text += tokenizer.token_of(id);
    }
  }
}

TEST(JsonConstraint, ATokenBeyondTheMaskIsAFault) {
  const auto constraint =
      json_constraint(JsonGrammar::any_object(), std::make_shared<const TokenTrie>(json_tokenizer()))({});
  constraint->begin({.sampling = {}, .end_tokens = {}}, 10);
  EXPECT_THROW(constraint->advance('x'), FaultError);
}

/// As SentencePiece does: a first space is not part of the text.
class SpaceDropping : public testing::ToyTokenizer {
 public:
  using ToyTokenizer::ToyTokenizer;
  std::string text_of(int32_t id, bool first) const override {
    const std::string text = is_special(id) ? "" : token_of(id);
    return first && text.starts_with(' ') ? text.substr(1) : text;
  }
};

TEST(JsonConstraint, AFirstTokenMayHoldTheSpaceThatItsTokenizerDrops) {
  const SpaceDropping tokenizer({" {", " [", " x"});
  const auto constraint = json_constraint(JsonGrammar::any_object(), std::make_shared<const TokenTrie>(tokenizer))({});
  constraint->begin({.sampling = {}, .end_tokens = {}}, 10);
  Tensor logits = at::zeros({tokenizer.vocabulary()});
  constraint->mask(logits);
  EXPECT_EQ(logits[256].item<float>(), 0);
  EXPECT_TRUE(std::isinf(logits[257].item<float>()) && std::isinf(logits[258].item<float>()));
  constraint->advance(256);
  EXPECT_NO_THROW(constraint->advance('}'));
  EXPECT_TRUE(constraint->finished());
}

}  // namespace
}  // namespace tessera::generate
