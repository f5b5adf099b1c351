// `cmake --install` gives a tree that can be moved: the program starts from its new folder and finds its library there,
// and a program of somebody else builds against it with find_package(Tessera). What CPack packs names no folder of this
// machine and finds a LibTorch that is put beside it.
#include <gmock/gmock.h>
#include <stdlib.h>

#include <array>
#include <filesystem>
#include <sstream>

#include "core/files.h"
#include "core/json.h"
#include "tensor/safetensors.h"
#include "tests/support/process.h"

namespace tessera {
namespace {

using namespace std::string_literals;
using testing::Finished;
using ::testing::HasSubstr;
using ::testing::Not;

/// A model directory of two float tensors: small [2] of ones, large [3, 4] of twos.
void write_made_up_model(const Path& directory) {
  std::filesystem::create_directories(directory);
  write_file_atomically(directory / "config.json", R"({"model_type": "made-up"})");
  std::array<float, 2> ones;
  std::array<float, 12> twos;
  ones.fill(1);
  twos.fill(2);
  SafetensorsWriter writer;
  writer.add("small", Dtype::f32, {2}, {reinterpret_cast<const char*>(ones.data()), sizeof ones});
  writer.add("large", Dtype::f32, {3, 4}, {reinterpret_cast<const char*>(twos.data()), sizeof twos});
  write_file_atomically(directory / "model.safetensors", [&](WritableFile& file) { writer.write(file); });
}

/// The loader's lines about Tessera's own libraries while a program runs.
std::string own_libraries_of(const std::vector<std::string>& words) {
  std::istringstream trace(testing::run(words, {"LD_DEBUG=files"}).err);
  std::string kept;
  for (std::string line; std::getline(trace, line);) {
    if (line.find("libtessera") != std::string::npos) kept += line + "\n";
  }
  return kept;
}

/// An installed tree that has been moved once, in a folder of its own that goes with it.
class InstalledTree : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    std::string name = (std::filesystem::temp_directory_path() / "tessera-install-XXXXXX").string();
    ASSERT_NE(::mkdtemp(name.data()), nullptr);
    scratch_ = name;
    const Finished installed =
        testing::run({"cmake", "--install", build_tree().string(), "--prefix", (scratch_ / "first").string()});
    ASSERT_EQ(installed.status, 0) << installed.out << installed.err;
    installed_ = installed.out;
    std::filesystem::rename(scratch_ / "first", tree());
  }
  static void TearDownTestSuite() { std::filesystem::remove_all(scratch_); }

  static Path build_tree() { return Path(TESSERA_BINARY).parent_path(); }
  static Path tree() { return scratch_ / "moved"; }
  static Path scratch_;
  static std::string installed_;  // what the installation said
};
Path InstalledTree::scratch_;
std::string InstalledTree::installed_;

TEST_F(InstalledTree, RunsWhereItWasMovedToAndTakesNothingFromTheBuildTree) {
  const std::string program = (tree() / "bin" / "tessera").string();
  const Finished help = testing::run({program, "--help"});
  EXPECT_EQ(help.status, 0) << help.err;
  EXPECT_EQ(help.out, testing::tessera({"--help"}).out);

  const Finished devices = testing::run({program, "devices", "--json", "--device", "cpu"});
  EXPECT_EQ(devices.status, 0) << devices.err;
  EXPECT_EQ(parse_json(devices.out, "output")["device"], "cpu");

  const std::string own = own_libraries_of({program, "devices", "--device", "cpu"});
  for (const char* library : {"libtessera_core.so", "libtessera.so"}) {
    EXPECT_THAT(own, HasSubstr("calling init: " + (tree() / "bin/../lib" / library).string() + "\n"));
  }
  EXPECT_THAT(own, Not(HasSubstr(build_tree().string())));
}

TEST_F(InstalledTree, ProgramsOfOnesOwnBuildAgainstItAndLoadWriteDrawAndSee) {
  const std::string build = (scratch_ / "embed").string();
  const std::string source = (tree() / "share/tessera/examples/embed").string();
  const Finished configured = testing::run(
      {"cmake", "-S", source, "-B", build, "-DCMAKE_BUILD_TYPE=Release", "-DCMAKE_PREFIX_PATH=" + tree().string()});
  ASSERT_EQ(configured.status, 0) << configured.out << configured.err;
  const Finished built = testing::run({"cmake", "--build", build});
  ASSERT_EQ(built.status, 0) << built.out << built.err;

  const Path model = scratch_ / "model", models = tree() / "share/tessera/models";
  write_made_up_model(model);
  const Finished loaded = testing::run({build + "/load", model.string()});
  EXPECT_EQ(loaded.status, 0) << loaded.err;
  EXPECT_THAT(loaded.out, HasSubstr("made-up: 14 parameters in 2 tensors\n"));
  EXPECT_THAT(loaded.out, ::testing::ContainsRegex("large +12  rms 2\\.0000\n +small +2  rms 1\\.0000"));

  const Finished wrote = testing::run({build + "/write", (models / "books-lm").string(), "Once"});
  EXPECT_EQ(wrote.status, 0) << wrote.err;
  EXPECT_THAT(wrote.out, ::testing::ContainsRegex("\n[0-9]+ tokens, ended by [a-z]+"));

  const std::string picture = (scratch_ / "apple.png").string();
  const Finished drew = testing::run({build + "/draw", (models / "emoji-infinity").string(), "red apple", picture});
  EXPECT_EQ(drew.status, 0) << drew.err;
  EXPECT_THAT(drew.out, HasSubstr("scale 4 of 4\n" + picture + ": 128 x 128\n"));

  const Finished saw = testing::run({build + "/see", (models / "emoji-nvila").string(), picture, "What is this?"});
  EXPECT_EQ(saw.status, 0) << saw.err;
  EXPECT_THAT(saw.out, HasSubstr("red apple"));

  for (const char* program : {"/load", "/write", "/draw", "/see"}) {
    const Finished wrong = testing::run({build + program, (scratch_ / "nothing").string(), "x", "y"});
    EXPECT_EQ(wrong.status, 2) << program;
    EXPECT_THAT(wrong.err, HasSubstr(std::string(program).substr(1) + ": [")) << program;
  }
}

TEST_F(InstalledTree, HeadersLieBelowTesseraAloneAndIncludeEachOtherThere) {
  std::vector<std::string> folders;
  for (const auto& entry : std::filesystem::directory_iterator(tree() / "include"))
    folders.push_back(entry.path().filename().string());
  EXPECT_THAT(folders, ::testing::ElementsAre("tessera"));
  size_t headers = 0;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(tree() / "include/tessera")) {
    if (!entry.is_regular_file()) continue;
    ++headers;
    EXPECT_THAT(entry.path().string(), Not(HasSubstr("testing")));
    std::istringstream lines(read_file(entry.path()));
    for (std::string line; std::getline(lines, line);) {
      if (!line.starts_with("#include \"")) continue;
      const std::string included = line.substr(10, line.rfind('"') - 10);
      EXPECT_THAT(included, ::testing::StartsWith("tessera/")) << entry.path();
      EXPECT_TRUE(std::filesystem::exists(tree() / "include" / included)) << entry.path() << ": " << included;
    }
  }
  EXPECT_GT(headers, 100u);
}

TEST_F(InstalledTree, ShellsAndManFindWhatTheyReadAndItIsWhatTheProgramSays) {
  const std::pair<const char*, std::vector<std::string>> files[] = {
      {"bash-completion/completions/tessera", {"completion", "bash"}},
      {"zsh/site-functions/_tessera", {"completion", "zsh"}},
      {"zsh/vendor-completions/_tessera", {"completion", "zsh"}},
      {"fish/vendor_completions.d/tessera.fish", {"completion", "fish"}},
      {"man/man1/tessera.1", {"man"}}};
  for (const auto& [file, words] : files)
    EXPECT_EQ(read_file(tree() / "share" / file), testing::tessera(words).out) << file;
}

TEST_F(InstalledTree, SaysWhereLibTorchIsLookedForAndWhereItWasFound) {
  EXPECT_THAT(installed_, HasSubstr("is not part of the tree"));
  EXPECT_THAT(installed_, HasSubstr("in " TESSERA_LIBTORCH_DIR ", where this build found it"));
  const Finished devices =
      testing::run({(tree() / "bin/tessera").string(), "devices", "--json", "--device", "cpu"}, {"TESSERA_LIBTORCH="});
  const Path folder = parse_json(devices.out, "output")["libtorch_folder"].get<std::string>();
  EXPECT_TRUE(std::filesystem::equivalent(folder, TESSERA_LIBTORCH_DIR)) << folder;
}

TEST_F(InstalledTree, PlanningAloneNeedsNoLibTorch) {
  const std::string build = (scratch_ / "own-plan").string(), root = TESSERA_SOURCE_DIR;
  const Finished configured = testing::run({"cmake", "-S", root + "/examples/plan", "-B", build,
                                            "-DCMAKE_BUILD_TYPE=Release", "-DCMAKE_PREFIX_PATH=" + tree().string()});
  ASSERT_EQ(configured.status, 0) << configured.out << configured.err;
  const Finished built = testing::run({"cmake", "--build", build});
  ASSERT_EQ(built.status, 0) << built.out << built.err;

  const std::string table = root + "/examples/ladder/ladder_checkpoints.csv";
  const Finished planned = testing::run({build + "/own_plan", table, "7B=6.9B:3.9T"});
  EXPECT_EQ(planned.status, 0) << planned.err;
  EXPECT_THAT(planned.out, ::testing::ContainsRegex("mmlu +0\\.4[0-9]+ \\(0\\.4[0-9]+ to 0\\.[45][0-9]+\\)\n"));
  EXPECT_EQ(testing::run({build + "/own_plan", table, "7B=6.9B"}).status, 2);
}

/// The archive of `./dev package`, unpacked in a folder of its own. The library in it knows no LibTorch of this machine.
class UnpackedArchive : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string name = (std::filesystem::temp_directory_path() / "tessera-package-XXXXXX").string();
    ASSERT_NE(::mkdtemp(name.data()), nullptr);
    scratch_ = name;
    const Path config = Path(TESSERA_BINARY).parent_path() / "CPackConfig.cmake";
    const Finished packed = testing::run({"cpack", "-G", "TGZ", "--config", config.string(), "-B", name});
    ASSERT_EQ(packed.status, 0) << packed.out << packed.err;
    std::filesystem::remove_all(scratch_ / "_CPack_Packages");
    const Path archive = std::filesystem::directory_iterator(scratch_)->path();
    const Finished unpacked = testing::run({"tar", "-xzf", archive.string(), "-C", name});
    ASSERT_EQ(unpacked.status, 0) << unpacked.err;
    tree_ = scratch_ / archive.stem().stem();
  }
  void TearDown() override { std::filesystem::remove_all(scratch_); }

  Finished devices(const std::vector<std::string>& environment = {}) {
    return testing::run({(tree_ / "bin" / "tessera").string(), "devices", "--device", "cpu"}, environment);
  }
  Path scratch_, tree_;
};

TEST_F(UnpackedArchive, SaysHowToNameLibTorchWhenItIsNowhere) {
  if (std::filesystem::exists("/opt/libtorch")) GTEST_SKIP() << "a LibTorch is in /opt/libtorch";
  const Finished missing = devices();
  EXPECT_EQ(missing.status, 1);
  EXPECT_THAT(missing.err, HasSubstr("is not found"));
  EXPECT_THAT(missing.err, HasSubstr("set TESSERA_LIBTORCH to its folder"));
  EXPECT_EQ(testing::run({(tree_ / "bin" / "tessera").string(), "--help"}).status, 0);
}

TEST_F(UnpackedArchive, FindsLibTorchInsideTheTreeBesideItAndWhereTheEnvironmentSays) {
  const Finished named = devices({"TESSERA_LIBTORCH=" TESSERA_LIBTORCH_DIR});
  EXPECT_EQ(named.status, 0) << named.err;
  for (const Path& folder : {tree_, scratch_}) {
    std::filesystem::create_directory_symlink(TESSERA_LIBTORCH_DIR, folder / "libtorch");
    const Finished found = devices();
    EXPECT_EQ(found.status, 0) << found.err;
    std::filesystem::remove(folder / "libtorch");
  }
}

TEST_F(UnpackedArchive, NamesNoFolderOfLibrariesOnTheMachineThatBuiltIt) {
  for (const std::string& folder : {Path(TESSERA_BINARY).parent_path().string(), TESSERA_LIBTORCH_DIR "/lib"s}) {
    const Finished found = testing::run({"grep", "-rlF", folder, tree_.string()});
    EXPECT_EQ(found.status, 1) << folder << " is in\n" << found.out;
  }
}

}  // namespace
}  // namespace tessera
