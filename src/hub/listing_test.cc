// Listings of the hub: hostile names are refused by name, and what is fetched without being asked for is what Tessera
// reads.
#include "hub/listing.h"

#include <gmock/gmock.h>

#include "core/error.h"
#include "core/json.h"

namespace tessera::hub {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

Json entry(const std::string& path) {
  return {{"type", "file"}, {"path", path}, {"size", 3}, {"oid", std::string(40, 'a')}};
}

std::string fault_of(const std::string& page) {
  std::vector<RemoteFile> files;
  try {
    read_tree_page(page, files);
    require_distinct_paths(files);
  } catch (const FaultError& fault) {
    return fault.what();
  }
  return "none";
}
std::string fault_of_names(const std::vector<std::string>& paths) {
  Json page = Json::array();
  for (const auto& path : paths) page.push_back(entry(path));
  return fault_of(page.dump());
}

std::vector<RemoteFile> named(const std::vector<std::string>& paths) {
  std::vector<RemoteFile> files;
  for (const auto& path : paths) files.push_back({.path = path, .bytes = 2'000'000'000, .hash = std::string(40, 'a')});
  return files;
}
std::vector<std::string> chosen(const std::vector<std::string>& paths, const std::vector<std::string>& include = {},
                                const std::vector<std::string>& exclude = {}) {
  std::vector<std::string> names;
  for (const RemoteFile& file : choose_files(named(paths), include, exclude, "org/tiny").files)
    names.push_back(file.path);
  return names;
}
std::string complaint(const std::vector<std::string>& paths, const std::vector<std::string>& include = {}) {
  try {
    chosen(paths, include);
  } catch (const UserError& error) {
    return error.what();
  }
  return "none";
}

TEST(Listing, FilesAreReadWithTheirSizesAndHashes) {
  const Json page = {{{"type", "directory"}, {"path", "text"}, {"oid", std::string(40, '1')}, {"size", 0}},
                     entry("text/a.txt"),
                     {{"type", "file"},
                      {"path", "w"},
                      {"size", 9},
                      {"oid", std::string(40, '2')},
                      {"lfs", {{"oid", std::string(64, 'b')}, {"size", 9}, {"pointerSize", 134}}}}};
  std::vector<RemoteFile> files;
  read_tree_page(page.dump(), files);
  ASSERT_EQ(files.size(), 2u);
  EXPECT_EQ(files[0].path, "text/a.txt");
  EXPECT_EQ(files[0].bytes, 3);
  EXPECT_EQ(files[0].hash, std::string(40, 'a'));
  EXPECT_EQ(files[1].hash, std::string(64, 'b'));
  EXPECT_EQ(files[1].bytes, 9);
}

TEST(Listing, NamesThatLeadElsewhereAreRefusedByName) {
  for (const char* name : {"../x", "a/../../x", "a/..", "./x", "a//b", "a/"})
    EXPECT_THAT(fault_of_names({name}), AllOf(HasSubstr("leading elsewhere"), HasSubstr(name)));
  EXPECT_THAT(fault_of_names({"/etc/passwd"}), AllOf(HasSubstr("absolute"), HasSubstr("/etc/passwd")));
  EXPECT_THAT(fault_of_names({""}), HasSubstr("empty"));
  EXPECT_THAT(fault_of_names({"a\nb"}), AllOf(HasSubstr("control characters"), HasSubstr("a\\nb")));
  EXPECT_THAT(fault_of_names({std::string("a\0b", 3)}), HasSubstr("control characters"));
  EXPECT_THAT(fault_of_names({std::string(300, 'n')}), HasSubstr("too long"));
}

TEST(Listing, AFileThatIsTheFolderOfAnotherIsRefused) {
  EXPECT_THAT(fault_of_names({"a", "a/b"}), AllOf(HasSubstr("\"a\""), HasSubstr("\"a/b\"")));
  EXPECT_THAT(fault_of_names({"a/b/c", "x", "a/b"}), HasSubstr("\"a/b\""));
  EXPECT_THAT(fault_of_names({"a", "a"}), HasSubstr("twice"));
  EXPECT_EQ(fault_of_names({"a/b", "a/c", "ab"}), "none");
}

TEST(Listing, HashesAndSizesThatNoFileHasAreRefused) {
  const auto with = [](const char* key, const Json& value) {
    Json changed = entry("x");
    changed[key] = value;
    return fault_of(Json::array({changed}).dump());
  };
  EXPECT_THAT(with("oid", "../../../x"), HasSubstr("want 40 hexadecimal digits"));
  EXPECT_THAT(with("lfs", {{"oid", std::string(40, 'a')}, {"size", 3}}), HasSubstr("want 64 hexadecimal digits"));
  for (const Json& size : {Json(-1), Json(1.5), Json("3"), Json(nullptr), Json(uint64_t{1} << 60)})
    EXPECT_THAT(with("size", size), HasSubstr("no size"));
}

TEST(Listing, AnotherTextThanAListIsRefused) {
  for (const char* text : {"", "{}", "[1]", "[", "<html>busy</html>", "[null]"})
    EXPECT_NE(fault_of(text), "none") << text;
}

TEST(Listing, BesideSafetensorsNoSecondCopyOfTheWeightsIsFetched) {
  EXPECT_THAT(
      chosen({"config.json", "model-00001-of-00002.safetensors", "model.safetensors.index.json", "tokenizer.model",
              "consolidated.safetensors", "flax_model.msgpack", "onnx/model.onnx", "original/consolidated.00.pth",
              "original/params.json", "pytorch_model.bin", "tf_model.h5", "tiny.gguf"}),
      ElementsAre("config.json", "model-00001-of-00002.safetensors", "model.safetensors.index.json",
                  "tokenizer.model"));
  EXPECT_THAT(chosen({"consolidated.safetensors", "params.json"}),
              ElementsAre("consolidated.safetensors", "params.json"));
}

TEST(Listing, WhereOnlyPicklesAreTheyAreFetched) {
  EXPECT_THAT(chosen({"config.json", "pytorch_model.bin", "tf_model.h5"}),
              ElementsAre("config.json", "pytorch_model.bin"));
}

TEST(Listing, OfSeveralGgufModelsOneHasToBeNamed) {
  const std::vector<std::string> files = {"README.md", "m-Q4_K_M.gguf", "m-Q8_0-00001-of-00002.gguf",
                                          "m-Q8_0-00002-of-00002.gguf"};
  EXPECT_THAT(complaint(files), AllOf(HasSubstr("2 models"), HasSubstr("--include"),
                                      HasSubstr("\"m-Q4_K_M.gguf\" (2.0 GB)"), HasSubstr("\"m-Q8_0\" (4.0 GB)")));
  EXPECT_THAT(chosen(files, {"*Q4_K_M*"}), ElementsAre("m-Q4_K_M.gguf"));
  EXPECT_THAT(chosen({"README.md", "m-00001-of-00002.gguf", "m-00002-of-00002.gguf"}),
              ElementsAre("README.md", "m-00001-of-00002.gguf", "m-00002-of-00002.gguf"));
}

TEST(Listing, PatternsAreThoseOfPythonsFnmatch) {
  EXPECT_THAT(chosen({"a/b.json", "a/c.txt", "d.json"}, {"*.json"}), ElementsAre("a/b.json", "d.json"));
  EXPECT_THAT(chosen({"a/b.json", "a/c.txt", "d.json"}, {"a/"}), ElementsAre("a/b.json", "a/c.txt"));
  EXPECT_THAT(chosen({"a/b.json", "a/c.txt", "d.json"}, {"*.json", "a/*"}, {"d.*", "*c*"}), ElementsAre("a/b.json"));
}

TEST(Listing, PatternsThatLeaveNothingAreTheCallersMistake) {
  EXPECT_THAT(complaint({"a.json", "b.txt"}, {"*.gguf"}),
              AllOf(HasSubstr("no file of org/tiny"), HasSubstr("\"a.json\"")));
  EXPECT_THAT(complaint({}), HasSubstr("org/tiny is empty"));
}

}  // namespace
}  // namespace tessera::hub
