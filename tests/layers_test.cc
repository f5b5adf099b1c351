// The house keeps its own rules: layers point down, LibTorch stays out of what must start at once, every test is
// registered, files stay short, paths in pages exist. Each check is first shown to find a made-up violation.
#include <gmock/gmock.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <set>

#include "tests/support/house_rules.h"

namespace tessera::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;
namespace fs = std::filesystem;

/// Every source, header and CMakeLists.txt of the repository.
const SourceTree& repository() {
  static const SourceTree tree = [] {
    SourceTree found;
    const fs::path root = TESSERA_SOURCE_DIR;
    for (const char* folder : {"src", "tests", "bench", "examples"}) {
      if (!fs::exists(root / folder)) continue;
      for (const auto& entry : fs::recursive_directory_iterator(root / folder)) {
        const fs::path& path = entry.path();
        if (path.extension() != ".cc" && path.extension() != ".h" && path.filename() != "CMakeLists.txt") continue;
        std::ifstream file(path);
        found[path.lexically_relative(root).generic_string()] = {std::istreambuf_iterator<char>(file), {}};
      }
    }
    return found;
  }();
  return tree;
}

/// Every file of the repository's folders, and every Markdown page among them.
struct Pages {
  std::set<std::string> files;
  SourceTree pages;
};
Pages pages_of_the_repository() {
  Pages found;
  const fs::path root = TESSERA_SOURCE_DIR;
  const auto add = [&](const fs::path& path) {
    const std::string name = path.lexically_relative(root).generic_string();
    found.files.insert(name);
    if (path.extension() != ".md") return;
    std::ifstream file(path);
    found.pages[name] = {std::istreambuf_iterator<char>(file), {}};
  };
  for (const auto& entry : fs::directory_iterator(root)) {
    if (entry.is_regular_file()) add(entry.path());
  }
  for (const char* folder : {"src", "tests", "docs", "recipes", "models", "tools", "bench", "examples"}) {
    if (!fs::exists(root / folder)) continue;
    for (auto entry = fs::recursive_directory_iterator(root / folder); entry != fs::end(entry); ++entry) {
      if (entry->path().filename() == "node_modules") entry.disable_recursion_pending();  // what ./dev pages installed
      else if (entry->is_regular_file()) add(entry->path());
    }
  }
  return found;
}

TEST(HouseRules, PathsAndHeadingsNamedInPagesExist) {
  const Pages repository = pages_of_the_repository();
  ASSERT_GT(repository.pages.size(), 5u);
  EXPECT_THAT(path_faults(repository.pages, repository.files), IsEmpty());
}

TEST(HouseRules, EveryIncludePointsDown) {
  ASSERT_GT(repository().size(), 30u);
  EXPECT_THAT(layer_faults(repository()), IsEmpty());
}

TEST(HouseRules, NobodyOutsideAModelsFolderKnowsItsName) { EXPECT_THAT(model_name_faults(repository()), IsEmpty()); }

TEST(HouseRules, SourcesThatStartWithoutLibTorchReachNoneOfItsHeaders) {
  EXPECT_THAT(libtorch_faults(repository()), IsEmpty());
}

TEST(HouseRules, EveryTestIsRegistered) { EXPECT_THAT(registration_faults(repository()), IsEmpty()); }

TEST(HouseRules, FilesAreShortAndOpenWithAComment) { EXPECT_THAT(page_faults(repository()), IsEmpty()); }

TEST(HouseRulesChecker, FindsUpwardSidewaysAndCrossModelIncludes) {
  const SourceTree tree = {
      {"src/core/a.h", "// a\n#include \"nn/b.h\"\n"},
      {"src/nn/b.h", "// b\n#include \"core/a.h\"\n#include <core/a.h>\n"},
      {"src/nn/c.cc", "// c\n  # include \"data/d.h\"\n"},
      {"src/data/d.h", "// d\n"},
      {"src/plan/e.cc", "// e\n#include \"core/a.h\"\n#include \"media/f.h\"\n"},
      {"src/media/f.h", "// f\n#include \"media/g.h\"\n"},
      {"src/media/g.h", "// #include \"nn/b.h\"\n"},
      {"src/models/one/h.cc",
       "// h\n#include \"models/two/i.h\"\n#include \"models/one/j.h\"\n#include \"models/k.h\"\n"},
      {"src/models/two/i.h", "// i\n"},
      {"src/models/one/j.h", "// j\n"},
      {"src/models/k.h", "// k\n"},
      {"src/cellar/l.cc", "// l\n#include \"core/a.h\"\n"},
  };
  EXPECT_THAT(layer_faults(tree),
              UnorderedElementsAre("src/core/a.h includes nn/b.h: upward", "src/nn/c.cc includes data/d.h: sideways",
                                   "src/plan/e.cc includes media/f.h: plan/ stands on core/ alone",
                                   "src/models/one/h.cc includes models/two/i.h: one model's folder into another's",
                                   HasSubstr("room 'cellar' has no floor")));
}

TEST(HouseRulesChecker, FindsModelsNamedOutsideTheirFolders) {
  const SourceTree tree = {
      {"src/models/registry.cc", "// r\nnamespace one { int registration(); } const int a = one::registration();\n"},
      {"src/models/one/a.cc", "// a\n#include \"models/one/a.h\"\nint one::a() { return lm::b(); }\n"},
      {"src/models/lm/b.cc", "// b\nint lm::b() { return 1; }\n"},
      {"src/models/lm/c.cc", "// c\nint c() { return one::a(); }\n"},
      {"src/eval/d.cc", "// d\n#include \"models/one/a.h\"\n"},
      {"src/apps/e.cc", "// e\nint e() { return tessera::one::a() + someone::a(); }\n"},
      {"src/apps/f.cc", "// f\nbool f(std::string s) { return s == \"one\"; }\n"},
      {"src/apps/g.cc", "// one::a and \"one\" in a comment\nint g = someone::a();\n"},
      {"src/apps/e_test.cc", "// t\nint t = one::a();\n"},
      {"src/text/named_templates.cc", "// x\nint x;\n"},
  };
  EXPECT_THAT(model_name_faults(tree),
              UnorderedElementsAre("src/models/lm/c.cc names the model 'one' (one::); ask models/registry.h",
                                   "src/eval/d.cc names the model 'one' (\"models/one/); ask models/registry.h",
                                   "src/apps/e.cc names the model 'one' (one::); ask models/registry.h",
                                   "src/apps/f.cc names the model 'one' (\"one\"); ask models/registry.h",
                                   "src/text/named_templates.cc names no model; take it off the exceptions"));
}

TEST(HouseRulesChecker, FindsLibTorchThroughAChainOfIncludes) {
  const SourceTree tree = {
      {"src/tensor/CMakeLists.txt",
       "tessera_sources(tessera_core files.cc)\ntessera_sources(tessera_plan fit.cc)\ntessera_sources(tessera "
       "heavy.cc)\n"},
      {"src/apps/CMakeLists.txt",
       "add_library(tessera_light_verbs STATIC verbs.cc)\nadd_executable(tessera_cli main.cc)\n"},
      {"src/tensor/fit.cc", "// f\n"},
      {"src/apps/verbs.cc", "// v\n#include <vector>\n"},
      {"src/apps/main.cc", "// m\n"},
      {"src/tensor/files.cc", "// f\n#include \"tensor/files.h\"\n"},
      {"src/tensor/files.h", "// f\n#include \"tensor/files.h\"\n#include \"tensor/tensor.h\"\n"},
      {"src/tensor/tensor.h", "// t\n#include <ATen/core/Tensor.h>\n"},
      {"src/tensor/heavy.cc", "// h\n#include <ATen/ATen.h>\n"},
  };
  EXPECT_THAT(libtorch_faults(tree),
              ElementsAre("src/tensor/files.cc -> src/tensor/files.h -> src/tensor/tensor.h -> ATen/core/Tensor.h"));
  EXPECT_THAT(libtorch_faults({}), ::testing::Each(HasSubstr("no sources found")));
}

TEST(HouseRulesChecker, FindsUnregisteredTestsAndRegisteredOnesThatDoNotExist) {
  const SourceTree tree = {
      {"src/nn/CMakeLists.txt", "tessera_tests(engine\n  rope_test.cc\n  sub/deep_test.cc gone_test.cc)\n"},
      {"src/nn/rope_test.cc", ""},
      {"src/nn/sub/deep_test.cc", ""},
      {"src/nn/norm_test.cc", ""},
      {"src/data/rope_test.cc", ""},
  };
  EXPECT_THAT(registration_faults(tree), ElementsAre(HasSubstr("src/data/rope_test.cc is registered nowhere"),
                                                     HasSubstr("src/nn/norm_test.cc is registered nowhere"),
                                                     "src/nn/gone_test.cc is registered and does not exist"));
}

TEST(HouseRulesChecker, FindsPathsAndHeadingsThatPagesNameAndThatDoNotExist) {
  const std::set<std::string> files = {"src/nn/layers/rope.h", "docs/a.md", "docs/b.md", "docs/images/sheet.png"};
  const auto faults = [&](const std::string& text) {
    return path_faults({{"docs/a.md", text}, {"docs/b.md", "# B\n## On a card, twice\n"}}, files);
  };
  EXPECT_THAT(faults("`src/nn/rope.h` and `nn/`, `src/nn/layers/rope.h`"),
              ElementsAre("docs/a.md names src/nn/rope.h, which does not exist"));
  EXPECT_THAT(faults("`rope.h`, `layers/rope.h`, `places.cc`"),
              ElementsAre("docs/a.md names places.cc, which does not exist"));
  EXPECT_THAT(faults("```sh\ntessera train recipes/gone.toml runs/mine # `nn/cache/`\n```\nrecipes/prose.toml"),
              UnorderedElementsAre("docs/a.md names recipes/gone.toml, which does not exist",
                                   "docs/a.md names nn/cache/, which does not exist"));
  EXPECT_THAT(
      faults("[b](b.md#on-a-card-twice) ![s](images/sheet.png) [w](https://a.b/c) `src/models/NAME/` `src/*/x`"),
      IsEmpty());
  EXPECT_THAT(faults("[b](b.md#on-a-card) [c](../c.md) [own](#none)"),
              UnorderedElementsAre("docs/a.md links to b.md#on-a-card, a heading that does not exist",
                                   "docs/a.md links to ../c.md, which does not exist",
                                   "docs/a.md links to #none, a heading that does not exist"));
}

TEST(HouseRulesChecker, FindsLongFilesAndFilesWithoutAnOpening) {
  std::string page = "// long\n";
  for (int line = 0; line < 400; ++line) page += "\n";
  EXPECT_THAT(page_faults({{"src/nn/long.cc", page}}), ElementsAre("src/nn/long.cc has 401 lines, want at most 400"));
  EXPECT_THAT(page_faults({{"src/nn/bare.h", "#pragma once\n"}}),
              ElementsAre(HasSubstr("does not open with a comment")));
  page.pop_back();
  EXPECT_THAT(page_faults({{"src/nn/long.cc", page}}), IsEmpty());
}

}  // namespace
}  // namespace tessera::testing
