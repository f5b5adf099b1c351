// Models by name: the layout of Hugging Face's cache, what of the environment says where it is, and names that are
// none.
#include "core/model_cache.h"

#include <gmock/gmock.h>

#include <cstdlib>
#include <map>

#include "core/error.h"
#include "tests/support/scratch.h"

namespace tessera {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

const std::string commit(40, 'c');

/// The variables of the cache for one test; all others of them are unset.
class Environment {
 public:
  explicit Environment(const std::map<std::string, std::string>& values) {
    for (const char* name : {"HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "HF_HOME", "XDG_CACHE_HOME", "HOME"}) {
      if (const char* value = std::getenv(name)) before_[name] = value;
      else before_[name] = std::nullopt;
      ::unsetenv(name);
    }
    for (const auto& [name, value] : values) ::setenv(name.c_str(), value.c_str(), 1);
  }
  ~Environment() {
    for (const auto& [name, value] : before_) {
      if (value) ::setenv(name.c_str(), value->c_str(), 1);
      else ::unsetenv(name.c_str());
    }
  }
  Environment(const Environment&) = delete;
  Environment& operator=(const Environment&) = delete;

 private:
  std::map<std::string, std::optional<std::string>> before_;
};

/// A cache with org/tiny at `commit` as main, laid out as huggingface_hub does.
class ModelCache : public ::testing::Test {
 protected:
  ModelCache() { put("config.json", "{}"); }
  Path folder() const { return cache_ / "models--org--tiny"; }
  Path snapshot() const { return folder() / "snapshots" / commit; }
  void put(const Path& name, const std::string& bytes) {
    const std::string blob(40, static_cast<char>('0' + blobs_++));
    for (const Path& each : {folder() / "refs", folder() / "blobs", snapshot()})
      std::filesystem::create_directories(each);
    write_file_atomically(folder() / "blobs" / blob, bytes);
    write_file_atomically(folder() / "refs" / "main", commit);
    std::filesystem::create_symlink(Path("../../blobs") / blob, snapshot() / name);
  }
  static std::string complaint(const Path& given) {
    try {
      find_model(given);
    } catch (const UserError& error) {
      return error.what();
    }
    return "none";
  }

  testing::ScratchFolder cache_;
  Environment environment_{{{"HF_HUB_CACHE", cache_.path().string()}}};
  int blobs_ = 0;
};

TEST_F(ModelCache, AModelIsFoundByItsName) {
  EXPECT_EQ(find_model("org/tiny"), snapshot());
  EXPECT_EQ(find_model("org/tiny@main"), snapshot());
  EXPECT_EQ(find_model("org/tiny@" + commit), snapshot());
  EXPECT_EQ(read_file(find_model("org/tiny/config.json")), "{}");
}

TEST_F(ModelCache, APathThatExistsWins) {
  const testing::ScratchFolder here;
  const Path before = std::filesystem::current_path();
  std::filesystem::create_directories(here / "org/tiny");
  std::filesystem::current_path(here.path());
  EXPECT_EQ(find_model("org/tiny"), "org/tiny");
  std::filesystem::current_path(before);
}

TEST_F(ModelCache, ANameInAFolderThatIsHereIsAPathWithASlip) {
  const testing::ScratchFolder here;
  const Path before = std::filesystem::current_path();
  std::filesystem::create_directories(here / "models/tiny");
  std::filesystem::current_path(here.path());
  EXPECT_EQ(find_model("models/tin"), "models/tin");
  EXPECT_EQ(find_model("runs/gone"), "runs/gone") << "also where there are no runs yet";
  std::filesystem::create_directories("org");
  EXPECT_EQ(find_model("org/tiny"), snapshot()) << "the cache comes first";
  std::filesystem::current_path(before);
}

TEST_F(ModelCache, WhatIsNoNameIsLeftToWhoeverReadsIt) {
  for (const char* path :
       {"models", "/no/where", "./org/tiny", "../org/tiny", "org/tiny/", "a//b", "~/org", "org/.tiny", "or--g/tiny",
        "org/tiny@", "org/tiny@../../x", "org/tiny@/x", "org/tiny/../../x", "one/two/three"})
    EXPECT_EQ(find_model(path), path);
}

TEST_F(ModelCache, AModelInNeitherPlaceIsRefusedWithTheCommandThatFetchesIt) {
  EXPECT_THAT(complaint("org/none"), AllOf(HasSubstr("org/none is neither a path here nor a model in"),
                                           HasSubstr(cache_.path().string()), HasSubstr("`tessera pull org/none`")));
  EXPECT_THAT(complaint("org/tiny@v2"), HasSubstr("`tessera pull org/tiny --revision v2`"));
  EXPECT_THAT(complaint("org/tiny/more.gguf"), HasSubstr("`tessera pull org/tiny --include 'more.gguf'`"));
}

TEST_F(ModelCache, ARevisionThatNamesNoCommitIsNotFollowed) {
  write_file_atomically(folder() / "refs" / "main", "../../..");
  EXPECT_THAT(complaint("org/tiny"), HasSubstr("neither a path here"));
}

TEST_F(ModelCache, AFolderOfOneGgufFileStandsForThatFile) {
  std::filesystem::remove(snapshot() / "config.json");
  put("tiny.Q4_1.gguf", "GGUF");
  EXPECT_EQ(find_model("org/tiny"), snapshot() / "tiny.Q4_1.gguf");
  put("tiny.Q8_0.gguf", "GGUF");
  EXPECT_THAT(complaint("org/tiny"), HasSubstr("want one: org/tiny/tiny.Q4_1.gguf, org/tiny/tiny.Q8_0.gguf"));
  EXPECT_EQ(find_model("org/tiny/tiny.Q8_0.gguf"), snapshot() / "tiny.Q8_0.gguf");
}

TEST(HubCache, TheEnvironmentSaysWhereItIsAsForHuggingfaceHub) {
  std::map<std::string, std::string> values = {{"HOME", "/home/a"}};
  const auto cache = [&] {
    const Environment environment(values);
    return hub_cache().string();
  };
  EXPECT_EQ(cache(), "/home/a/.cache/huggingface/hub");
  values["XDG_CACHE_HOME"] = "/x";
  EXPECT_EQ(cache(), "/x/huggingface/hub");
  values["HF_HOME"] = "~/hf";
  EXPECT_EQ(cache(), "/home/a/hf/hub");
  values["HUGGINGFACE_HUB_CACHE"] = "/old";
  EXPECT_EQ(cache(), "/old");
  values["HF_HUB_CACHE"] = "/new";
  EXPECT_EQ(cache(), "/new");
  const Environment none({});
  EXPECT_EQ(hub_cache(), Path());
}

TEST(ModelName, ARevisionMayHoldSlashes) {
  const auto name = parse_model_name("org/tiny@refs/pr/1");
  ASSERT_TRUE(name);
  EXPECT_EQ(name->repository, "org/tiny");
  EXPECT_EQ(name->revision, "refs/pr/1");
  EXPECT_EQ(repository_folder("/c", name->repository), "/c/models--org--tiny");
}

}  // namespace
}  // namespace tessera
