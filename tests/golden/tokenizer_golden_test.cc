// Ids of hard lines equal the reference libraries' (tools/golden/tokenizer_twin.py), conversations equal
// transformers' rendering.
#include <gtest/gtest.h>

#include <cstring>
#include <sstream>

#include "core/error.h"
#include "core/json.h"
#include "text/chat_template.h"
#include "text/tokenizer.h"
#include "text/unicode.h"

namespace tessera::golden {
namespace {

const Path data = Path(TESSERA_SOURCE_DIR) / "tests/golden/data/text";

std::vector<std::string> hard_lines() {
  const std::string bytes = read_file(data / "lines.bin");
  std::vector<std::string> lines;
  for (size_t at = 0; at < bytes.size();) {
    uint32_t length = 0;
    std::memcpy(&length, bytes.data() + at, sizeof length);
    lines.push_back(bytes.substr(at + sizeof length, length));
    at += sizeof length + length;
  }
  return lines;
}

TEST(TokenizerGolden, SpecialTokensOfAllFilesHaveTheReferencesIds) {
  const Json twin = read_json_file(data / "special_tokens.json");
  const std::string line = twin["line"].get<std::string>();
  for (const Json& row : twin["layouts"]) {
    const std::string layout = row["layout"].get<std::string>();
    const Path folder = Path(::testing::TempDir()) / "special_tokens" / layout;
    std::filesystem::remove_all(folder);
    std::filesystem::create_directories(folder);
    for (const auto& [name, content] : row["files"].items()) write_file_atomically(folder / name, content.dump());
    const auto tokenizer = text::load_tokenizer(folder);
    EXPECT_EQ(tokenizer->encode(line), row["ids"].get<std::vector<int32_t>>()) << layout;
    std::vector<int32_t> special;
    for (int32_t id = 0; id < tokenizer->vocabulary(); ++id) {
      if (tokenizer->is_special(id)) special.push_back(id);
    }
    EXPECT_EQ(special, row["special"].get<std::vector<int32_t>>()) << layout;
    const auto id = [&](const char* key) {
      return row[key].is_null() ? std::nullopt : std::optional(row[key].get<int32_t>());
    };
    EXPECT_EQ(tokenizer->begin_token(), id("begin")) << layout;
    EXPECT_EQ(tokenizer->end_token(), id("end")) << layout;
    EXPECT_EQ(tokenizer->vocabulary(), row["size"].get<int64_t>()) << layout;
  }
}

/// FNV-1a over little-endian 32-bit ids.
std::string fnv(const std::vector<int32_t>& ids) {
  uint64_t value = 0xCBF29CE484222325ull;
  for (const int32_t id : ids) {
    for (int shift = 0; shift < 32; shift += 8)
      value = (value ^ (static_cast<uint32_t>(id) >> shift & 0xFF)) * 0x100000001B3ull;
  }
  return fmt::format("{:016x}", value);
}

class TokenizerTwin : public ::testing::TestWithParam<const char*> {};

TEST_P(TokenizerTwin, GivesTheReferencesIdsForEveryLine) {
  const auto tokenizer = text::load_tokenizer(data / GetParam());
  const auto lines = hard_lines();
  ASSERT_GE(lines.size(), 2000u);
  std::istringstream hashes(read_file(data / GetParam() / "ids.txt"));
  size_t different = 0, compared = 0;
  for (size_t i = 0; i < lines.size(); ++i) {
    std::string whole, typed;
    ASSERT_TRUE(hashes >> whole >> typed) << i;
    const auto compare = [&](const std::string& want, const text::EncodeOptions& options) {
      if (want == "-") return;  // a typed control token that the reference lets through
      ++compared;
      if (fnv(tokenizer->encode(lines[i], options)) == want) return;
      if (++different <= 5)
        ADD_FAILURE() << GetParam() << " line " << i << (options.parse_special ? "" : " typed") << ": " << lines[i];
    };
    compare(whole, {});
    compare(typed, {.add_special = false, .parse_special = false});
  }
  EXPECT_EQ(different, 0u) << "of " << compared;
  EXPECT_GE(compared, 2 * lines.size() - 200);
}

TEST_P(TokenizerTwin, TreatsTypedControlTokensAsTextAndStreamsTheWholeText) {
  const auto tokenizer = text::load_tokenizer(data / GetParam());
  const bool lossless = std::string(GetParam()) != "t5";
  const bool prefix_blank = std::string(GetParam()) == "gpt2", composes = std::string(GetParam()) == "qwen2";
  for (const std::string& line : hard_lines()) {
    const auto ids = tokenizer->encode(line, {.add_special = false, .parse_special = false});
    text::StreamDecoder stream(*tokenizer);
    std::string shown;
    for (const int32_t id : ids) {
      EXPECT_TRUE(!tokenizer->is_special(id) || tokenizer->token_of(id) == "<unk>") << line;
      shown += stream.push(id);
    }
    shown += stream.finish();
    EXPECT_EQ(shown, text::to_utf8(tokenizer->decode(ids))) << line;
    const std::string valid = text::to_utf8(line);
    if (lossless && !prefix_blank && line.find("\xE2\x96\x81") == std::string::npos) {
      EXPECT_EQ(shown, composes ? text::nfc(valid) : valid);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Families, TokenizerTwin, ::testing::Values("qwen2", "llama3", "olmo2", "gpt2", "gemma", "t5"),
                         [](const auto& info) { return std::string(info.param); });

TEST(ChatTwin, ConversationsAreRenderedAsTransformersRendersThem) {
  const Json cases = read_json_file(data / "chat.json");
  ASSERT_GT(cases.size(), 100u);
  for (const Json& one : cases) {
    std::vector<text::Message> messages;
    for (const Json& m : one.at("messages"))
      messages.push_back({m.at("role").get<std::string>(), m.at("content").get<std::string>()});
    const auto chat = text::ChatTemplate::named(one.at("template").get<std::string>());
    const bool open = one.at("open").get<bool>();
    if (one.at("text").is_null()) {
      EXPECT_THROW(chat.render(messages, open), UserError) << one.dump();
    } else {
      EXPECT_EQ(chat.render(messages, open), one.at("text").get<std::string>()) << one.dump();
    }
  }
}

}  // namespace
}  // namespace tessera::golden
