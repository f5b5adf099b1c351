// Laws of tokenizers: nothing is lost, streams equal the whole, what is typed stays text, damaged files are refused
// in a line.
#include "text/tokenizer.h"

#include <gmock/gmock.h>

#include <chrono>
#include <thread>

#include "core/error.h"
#include "core/log.h"
#include "core/rng.h"
#include "tests/support/scratch.h"
#include "text/testing.h"
#include "text/unicode.h"

namespace tessera::text {
namespace {

using tessera::testing::ScratchFolder;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::load;
using testing::make_tokenizer;
using testing::written_out;
using Ids = std::vector<int32_t>;

std::unique_ptr<Tokenizer> small() {
  static const ScratchFolder folder;
  static const bool made = (make_tokenizer(folder.path()), true);
  return made ? load_tokenizer(folder.path()) : nullptr;
}

/// Bytes of any kind: characters of many scripts, cut characters, control words.
std::string any_bytes(Rng& rng) {
  const std::string pieces[] = {
      "cat",      " mats",   "ß",  "é",    "e\xCC\x81", "\xF0\x9F\x98\x80",   "猫",          "\n", "  ", "\xFF",
      "\xE2\x82", "<|end|>", "12", "\xC3", "'s",        std::string(1, '\0'), "\xED\xA0\x80"};
  std::string text;
  for (uint64_t i = rng.below(12); i > 0; --i) text += pieces[rng.below(std::size(pieces))];
  return text;
}

/// The error message of `load` for a file that was changed.
std::string complaint(const std::function<void(Json&)>& change, const std::string& config = "") {
  const ScratchFolder folder(ScratchFolder::On::memory);
  Json tree = written_out();
  change(tree);
  try {
    load(folder.path(), tree.dump(), config);
  } catch (const UserError& error) {
    return error.what();
  }
  return "";
}

TEST(Tokenizer, DecodingGivesTheComposedTextBack) {
  const auto tokenizer = small();
  for (uint64_t seed = 0; seed < 500; ++seed) {
    Rng rng(seed, 1);
    const std::string text = any_bytes(rng);
    const Ids ids = tokenizer->encode(text, {.parse_special = false});
    EXPECT_EQ(tokenizer->decode(ids), nfc(to_utf8(text)));
    for (const int32_t id : ids) EXPECT_LT(id, tokenizer->vocabulary());
  }
}

TEST(Tokenizer, StreamedTextEqualsTheWholeAndEveryPartIsValidUtf8) {
  const auto tokenizer = small();
  for (uint64_t seed = 0; seed < 500; ++seed) {
    Rng rng(seed, 2);
    Ids ids;
    for (uint64_t i = rng.below(20); i > 0; --i)
      ids.push_back(static_cast<int32_t>(rng.below(static_cast<uint64_t>(tokenizer->vocabulary()))));
    const bool skip = rng.chance(0.5);
    StreamDecoder stream(*tokenizer, skip);
    std::string shown;
    for (const int32_t id : ids) {
      const std::string part = stream.push(id);
      EXPECT_EQ(part, to_utf8(part));
      shown += part;
    }
    shown += stream.finish();
    EXPECT_EQ(shown, to_utf8(tokenizer->decode(ids, skip)));
  }
}

TEST(Tokenizer, TypedTextNeverBecomesAControlToken) {
  const auto tokenizer = small();
  const int32_t end = *tokenizer->id_of("<|end|>");
  EXPECT_THAT(tokenizer->encode("<|end|>", {.add_special = false}), ElementsAre(end));
  for (const int32_t id : tokenizer->encode("a<|end|>b", {.add_special = false, .parse_special = false}))
    EXPECT_FALSE(tokenizer->is_special(id));
  const Ids ids = tokenizer->encode_parts({{"<|us", true}, {"er|><|end|>", false}, {"<|end|>", true}});
  EXPECT_EQ(std::count(ids.begin(), ids.end(), end), 1);
  EXPECT_EQ(std::count(ids.begin(), ids.end(), *tokenizer->id_of("<|user|>")), 0);
  EXPECT_EQ(tokenizer->decode(ids, false), "<|user|><|end|><|end|>");
}

TEST(Tokenizer, WordsMayContinueAcrossParts) {
  const auto tokenizer = small();
  EXPECT_EQ(tokenizer->encode_parts({{"the c", true}, {"at sat", false}}),
            tokenizer->encode("the cat sat", {.add_special = false}));
}

TEST(Tokenizer, BeginTokenComesFirstWhereTokenizerJsonSaysSo) {
  const ScratchFolder folder;
  make_tokenizer(folder.path());
  const auto tokenizer = load_tokenizer(folder.path());
  EXPECT_EQ(tokenizer->encode("").front(), tokenizer->begin_token());
  EXPECT_TRUE(tokenizer->encode("", {.add_special = false}).empty());
  Json config = read_json_file(folder / "tokenizer_config.json");
  config["add_bos_token"] = false;
  config["add_eos_token"] = true;
  write_file_atomically(folder / "tokenizer_config.json", config.dump());
  EXPECT_EQ(load_tokenizer(folder.path())->encode(""), tokenizer->encode("")) << "as transformers 5 reads it";
}

TEST(Tokenizer, APromptThatBeginsWithTheBeginTokenGetsOne) {
  const auto tokenizer = small();
  const std::string begin = tokenizer->token_of(*tokenizer->begin_token());
  set_log_level(LogLevel::info);
  ::testing::internal::CaptureStderr();
  EXPECT_EQ(encode_prompt(*tokenizer, begin + "the cat"), tokenizer->encode("the cat"));
  EXPECT_NE(::testing::internal::GetCapturedStderr().find("it is not added a second time"), std::string::npos);
  EXPECT_EQ(encode_prompt(*tokenizer, "the cat"), tokenizer->encode("the cat"));
  EXPECT_EQ(encode_prompt(*tokenizer, begin), tokenizer->encode(""));
  EXPECT_EQ(encode_prompt(*tokenizer, ""), tokenizer->encode(""));
}

TEST(Tokenizer, AddedTokensFollowTheirFlagsForBlanksWordsAndNormalisation) {
  const ScratchFolder folder;
  Json tree = written_out();
  const auto add = [&](int id, const char* content, const char* flag) {
    tree["added_tokens"].push_back({{"id", id}, {"content", content}, {"special", false}, {flag, true}});
  };
  add(7, "<l>", "lstrip");
  add(8, "<r>", "rstrip");
  add(9, "cab", "single_word");
  add(10, "<l>c", "normalized");
  const auto t = load(folder.path(), tree.dump());
  EXPECT_THAT(t->encode("a <l> a"), ElementsAre(0, 7, 3, 0));
  EXPECT_THAT(t->encode("a <r>  a"), ElementsAre(0, 3, 8, 0));
  EXPECT_THAT(t->encode("cab"), ElementsAre(9));
  EXPECT_THAT(t->encode("cabc"), ElementsAre(2, 5));
  EXPECT_THAT(t->encode("<l>c"), ElementsAre(10));  // the longest
  EXPECT_EQ(t->decode({0, 7, 6}, true), "a<l>");
}

TEST(Tokenizer, MergesAreReadAsTextsAndAsPairs) {
  const ScratchFolder folder;
  Json tree = written_out();
  tree["model"]["merges"] = parse_json(R"([["a", "b"], ["ab", "c"]])", "test");
  EXPECT_THAT(load(folder.path(), tree.dump())->encode("abcab"), ElementsAre(5, 4));
  EXPECT_THAT(load(folder.path(), written_out().dump())->encode("abcab"), ElementsAre(5, 4));
}

TEST(Tokenizer, IgnoredMergesGiveAWholeWordItsId) {
  const ScratchFolder folder;
  Json tree = written_out();
  tree["model"]["vocab"]["cab"] = 7;
  EXPECT_THAT(load(folder.path(), tree.dump())->encode("cab"), ElementsAre(2, 4));
  tree["model"]["ignore_merges"] = true;
  EXPECT_THAT(load(folder.path(), tree.dump())->encode("cab"), ElementsAre(7));
}

TEST(Tokenizer, TimeIsLinearInTheLengthOfAWord) {
  const auto tokenizer = small();
  std::string word;
  while (word.size() < 1'000'000) word += "thecatsatonthemat";
  const auto began = std::chrono::steady_clock::now();
  const Ids ids = tokenizer->encode(word, {.add_special = false});
  // quadratic work would be hours
  EXPECT_LT(std::chrono::steady_clock::now() - began, std::chrono::seconds(30));
  EXPECT_EQ(tokenizer->decode(ids), word);
}

TEST(Tokenizer, OneTokenizerServesSeveralThreads) {
  const auto tokenizer = small();
  const std::string text = "The cats sat on the mat, 12 mats. Кот 猫 😀 then they left";
  const Ids alone = small()->encode(text);
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      for (int k = 0; k < 50; ++k) EXPECT_EQ(tokenizer->encode(text), alone);
    });
  }
  for (auto& thread : threads) thread.join();
}

TEST(Tokenizer, IdsOutOfRangeAreRefused) {
  const auto tokenizer = small();
  for (const int32_t id : {-1, 400, 1 << 30}) {
    EXPECT_THROW(tokenizer->decode({id}), UserError);
    EXPECT_THROW(tokenizer->token_of(id), UserError);
    EXPECT_FALSE(tokenizer->is_special(id));
  }
}

TEST(Tokenizer, GapsInAVocabularyDecodeToNothing) {
  const ScratchFolder folder;
  Json tree = written_out();
  tree["model"]["vocab"]["abcabc"] = 50;
  const auto t = load(folder.path(), tree.dump());
  EXPECT_EQ(t->vocabulary(), 51);
  EXPECT_EQ(t->decode({0, 30, 1}), "ab");
}

TEST(Tokenizer, UnsupportedFeaturesAreRefusedByName) {
  EXPECT_THAT(complaint([](Json& t) { t["model"]["type"] = "WordPiece"; }),
              HasSubstr("model \"WordPiece\" is not supported"));
  EXPECT_THAT(complaint([](Json& t) { t["normalizer"]["type"] = "NFKD"; }),
              HasSubstr("normalizer \"NFKD\" is not supported"));
  EXPECT_THAT(complaint([](Json& t) { t["pre_tokenizer"]["type"] = "Whitespace"; }),
              HasSubstr("supported: Split, Digits"));
  EXPECT_THAT(complaint([](Json& t) { t["pre_tokenizer"] = nullptr; }), HasSubstr("no ByteLevel"));
  EXPECT_THAT(complaint([](Json& t) { t["decoder"]["type"] = "WordPiece"; }), HasSubstr("decoder \"WordPiece\""));
  EXPECT_THAT(complaint([](Json& t) { t["post_processor"]["type"] = "BertProcessing"; }), HasSubstr("post_processor"));
  EXPECT_THAT(complaint([](Json& t) { t["model"]["dropout"] = 0.1; }), HasSubstr("dropout"));
  EXPECT_THAT(complaint([](Json& t) { t["model"]["end_of_word_suffix"] = "</w>"; }), HasSubstr("end_of_word_suffix"));
}

TEST(Tokenizer, DamagedFilesAreRefusedInOneLine) {
  EXPECT_EQ(complaint([](Json&) {}), "");
  EXPECT_THAT(complaint([](Json& t) { t["model"]["merges"].push_back("a z"); }), HasSubstr("the vocabulary lacks"));
  EXPECT_THAT(complaint([](Json& t) { t["model"]["merges"].push_back("a b c"); }), HasSubstr("want two tokens"));
  EXPECT_THAT(complaint([](Json& t) { t["model"]["merges"].push_back(7); }), HasSubstr("want two tokens"));
  EXPECT_THAT(complaint([](Json& t) { t["model"]["vocab"]["z"] = -1; }), HasSubstr("no token id"));
  EXPECT_THAT(complaint([](Json& t) { t["model"]["vocab"]["z"] = 1u << 31; }), HasSubstr("no token id"));
  EXPECT_THAT(complaint([](Json& t) { t["model"]["vocab"]["z"] = 1.5; }), HasSubstr("no token id"));
  EXPECT_THAT(complaint([](Json& t) { t["model"]["vocab"]["z"] = 0; }), HasSubstr("share the id 0"));
  EXPECT_THAT(complaint([](Json& t) { t["added_tokens"][0]["id"] = 2; }), HasSubstr("share the id 2"));
  EXPECT_THAT(complaint([](Json& t) { t["added_tokens"][0].erase("content"); }),
              HasSubstr("want an object with its content"));
  EXPECT_THAT(complaint([](Json& t) {
                t["pre_tokenizer"] = {{"type", "Split"}, {"pattern", {{"Regex", "(["}}}, {"behavior", "Isolated"}};
              }),
              HasSubstr("not valid"));
  EXPECT_THAT(complaint([](Json& t) { t.erase("model"); }), HasSubstr("no model"));
  EXPECT_THAT(complaint([](Json&) {}, "[]"), HasSubstr("want an object"));
  EXPECT_THAT(complaint([](Json&) {}, R"({"added_tokens_decoder": {"x": {"content": "y"}}})"),
              HasSubstr("no token id"));
  EXPECT_THAT(complaint([](Json&) {}, R"({"bos_token": 7})"), HasSubstr("want a token"));
}

TEST(Tokenizer, FilesThatAreNoJsonAreRefused) {
  const ScratchFolder folder;
  const std::string whole = written_out().dump();
  EXPECT_THROW(load_tokenizer(folder.path()), UserError);
  for (const std::string& text : {std::string(), std::string("{"), whole.substr(0, whole.size() / 2),
                                  std::string(200'000, '['), std::string("\xFF\xFE\0\0", 4), std::string("null")})
    EXPECT_THROW(load(folder.path(), text), UserError);
}

TEST(Tokenizer, APatternThatBacktracksWithoutEndIsAnError) {
  const ScratchFolder folder;
  Json tree = written_out();
  tree["pre_tokenizer"] = parse_json(R"({"type": "Sequence", "pretokenizers": [
      {"type": "Split", "pattern": {"Regex": "(?:a+)+[cd]"}, "behavior": "Isolated"}, {"type": "ByteLevel", "use_regex": false}]})",
                                     "test");
  const auto t = load(folder.path(), tree.dump());
  EXPECT_THROW(t->encode(std::string(5000, 'a') + "b"), UserError);
}

TEST(Tokenizer, AFileThatIsNoSentencePieceModelIsRefused) {
  const ScratchFolder folder;
  for (const std::string& bytes :
       {std::string(), std::string("text"), std::string(100, '\xFF'), std::string("\x0A\xFF\xFF\xFF\x7F", 5)}) {
    write_file_atomically(folder / "tokenizer.model", bytes);
    EXPECT_THROW(load_tokenizer(folder.path()), UserError);
  }
}

}  // namespace
}  // namespace tessera::text
