// Under a limit of memory models come and go as they are asked for, and never while they work.
#include "serve/models.h"

#include <gmock/gmock.h>

#include <cstring>

#include "core/error.h"
#include "core/log.h"
#include "serve/api_error.h"
#include "serve/testing.h"

namespace tessera::serve {
namespace {

using ::testing::HasSubstr;
using testing::post_request;
using ::testing::ThrowsMessage;

const Path shipped = Path(TESSERA_SOURCE_DIR) / "models";

/// Room for one of two language models.
class ModelsTest : public ::testing::Test {
 protected:
  static ModelsOptions options() {
    return {.paths = {shipped / "books-lm", shipped / "books-lm-hyperfit"}, .cache_bytes = 4 << 20, .memory = 14 << 20};
  }
  static Json body(const std::string& model, int64_t tokens = 8) {
    return {{"model", model}, {"prompt", "Once upon a time"}, {"max_tokens", tokens}, {"temperature", 0}};
  }
  HttpReply post(const Json& json) { return begin(json)->wait(); }
  std::shared_ptr<testing::MemoryExchange> begin(const Json& json) {
    auto exchange = std::make_shared<testing::MemoryExchange>(post_request("/v1/completions", json.dump()));
    api.handle(exchange);
    return exchange;
  }
  Metrics metrics;
  Models models{options(), metrics};
  Api api{models, metrics, {}};
};

TEST_F(ModelsTest, TheOneThatIsAskedForTakesTheOthersPlace) {
  EXPECT_EQ(models.loaded(), 1u);
  std::string first;
  for (int turn = 0; turn < 3; ++turn) {
    for (const char* name : {"books-lm", "books-lm-hyperfit"}) {
      const HttpReply reply = post(body(name));
      ASSERT_EQ(reply.status, 200) << reply.body;
      EXPECT_TRUE(models.is_loaded(name));
      EXPECT_EQ(models.loaded(), 1u);
      const std::string text = Json::parse(reply.body)["choices"][0]["text"];
      if (std::string_view(name) != "books-lm") continue;
      if (first.empty()) first = text;
      EXPECT_EQ(text, first);
    }
  }
}

TEST_F(ModelsTest, AModelThatWorksIsNotUnloaded) {
  const auto long_one = begin(body("books-lm", 300));
  const HttpReply other = post(body("books-lm-hyperfit"));
  EXPECT_EQ(other.status, 200) << other.body;
  const Json answer = Json::parse(long_one->wait().body);
  EXPECT_EQ(answer["usage"]["completion_tokens"], 300) << answer;
}

TEST_F(ModelsTest, RoomIsMadeBeforeTheNextModelIsLoaded) {
  set_log_level(LogLevel::info);  // whatever other tests of the same process wanted
  ::testing::internal::CaptureStderr();
  const Models others(options(), metrics);
  const std::string log = ::testing::internal::GetCapturedStderr();
  const size_t left = log.find("unloaded books-lm\n"), came = log.find("loaded books-lm-hyperfit");
  ASSERT_NE(left, std::string::npos) << log;
  EXPECT_LT(left, came) << log;
}

TEST_F(ModelsTest, AbilitiesAreKnownOfModelsThatAreNotInMemory) {
  for (const ModelCard& card : models.cards()) EXPECT_EQ(card.context, 512) << card.name;
}

TEST(Models, MistakesShowAtTheStart) {
  Metrics metrics;
  const auto start = [&](ModelsOptions options) { return [&metrics, options] { Models models(options, metrics); }; };
  EXPECT_THAT(start({.paths = {shipped / "books-lm", shipped / "books-lm/"}}),
              ThrowsMessage<UserError>(HasSubstr("rename one")));
  EXPECT_THAT(start({.paths = {shipped / "books-lm"}, .memory = 1 << 20}),
              ThrowsMessage<UserError>(HasSubstr("--memory allows 1 MiB")));
  EXPECT_THAT(start({.paths = {shipped / "absent"}}), ThrowsMessage<UserError>(HasSubstr("absent")));
}

/// Numbers in a file of weights, by its header alone.
int64_t numbers_in(const Path& file) {
  const std::string bytes = read_file(file);
  uint64_t length = 0;
  std::memcpy(&length, bytes.data(), sizeof length);
  const Json header = Json::parse(bytes.substr(sizeof length, length));
  int64_t all = 0;
  for (const auto& [name, tensor] : header.items()) {
    if (name == "__metadata__") continue;
    int64_t numbers = 1;
    for (const Json& size : tensor["shape"]) numbers *= size.get<int64_t>();
    all += numbers;
  }
  return all;
}

TEST(Models, MemoryIsThatOfTheWeightsAsTheyAreHeld) {
  const Path path = shipped / "emoji-infinity";
  Metrics metrics;
  ModelsOptions options{.paths = {path}, .load = {.dtype = "fp32"}};
  const int64_t held = Models(options, metrics).bytes();
  EXPECT_EQ(held, 4 * (numbers_in(path / "model.safetensors") + numbers_in(path / "codec/model.safetensors")));
  const auto files = static_cast<int64_t>(std::filesystem::file_size(path / "model.safetensors") +
                                          std::filesystem::file_size(path / "codec/model.safetensors"));
  ASSERT_LT(files, held);  // stored in fewer bits
  options.memory = (files + held) / 2;
  EXPECT_THAT([&] { Models(options, metrics); }, ThrowsMessage<UserError>(HasSubstr("emoji-infinity takes")));
  options.memory = held;
  EXPECT_EQ(Models(options, metrics).bytes(), held);
}

TEST(Models, MemoryCountsTheCacheOfKeysAndValues) {
  Metrics metrics;
  const auto bytes = [&](int64_t cache) {
    return Models({.paths = {shipped / "books-lm"}, .cache_bytes = cache}, metrics).bytes();
  };
  EXPECT_NEAR(static_cast<double>(bytes(24 << 20) - bytes(8 << 20)), 16 << 20, 1 << 18);  // whole blocks of positions
  EXPECT_GT(bytes(8 << 20), int64_t{15} << 20);
}

TEST(Models, AreNamedByTheirFolderOrFile) {
  EXPECT_EQ(served_name("a/b/model.Q4_1.gguf"), "model.Q4_1");
  EXPECT_EQ(served_name("a/qwen/"), "qwen");
  EXPECT_EQ(served_name("a/qwen/."), "qwen");
}

TEST(Models, SizesAreReadWithTheirUnits) {
  EXPECT_EQ(parse_bytes("8G", "--memory"), int64_t{8} << 30);
  EXPECT_EQ(parse_bytes("1.5M", "--memory"), 3 << 19);
  EXPECT_EQ(parse_bytes("", "--memory"), 0);
  for (const char* wrong : {"G", "-1G", "8X", "nan", "1e30G", "0"})
    EXPECT_THROW(parse_bytes(wrong, "--memory"), UserError) << wrong;
}

TEST(Models, AHashIsThatOfTheFiles) {
  EXPECT_EQ(hash_of_model(shipped / "books-lm").size(), 64u);
  EXPECT_EQ(hash_of_model(shipped / "books-lm"), hash_of_model(shipped / "books-lm/"));
  EXPECT_NE(hash_of_model(shipped / "books-lm"), hash_of_model(shipped / "books-lm-hyperfit"));
}

}  // namespace
}  // namespace tessera::serve
