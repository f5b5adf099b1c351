// Other words claim what the plain ones claim.
#include "data/wording.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <set>

namespace tessera::data {
namespace {
using ::testing::AnyOf, ::testing::HasSubstr, ::testing::StartsWith;

Scene scene_of(SceneKind kind, std::vector<std::string> names) {
  Scene scene{.kind = kind};
  for (size_t i = 0; i < names.size(); ++i) scene.objects.push_back({.id = i, .name = names[i]});
  return scene;
}

std::set<std::string> forms(const Scene& scene) {
  std::set<std::string> found;
  for (uint64_t i = 0; i < 200; ++i) {
    Rng rng(1, i);
    found.insert(in_other_words(scene, rng));
  }
  return found;
}

TEST(Wording, AShuffledNameHasTheWordsOfTheName) {
  std::set<std::string> found;
  for (uint64_t i = 0; i < 200; ++i) {
    Rng rng(1, i);
    found.insert(in_other_words("flag: Japan", rng));
  }
  EXPECT_THAT(found, ::testing::IsSupersetOf({"flag Japan", "Japan flag", "a flag: Japan", "flag: Japan emoji",
                                              "picture of a flag: Japan"}));
}

TEST(Wording, ASideIsTheSameSideFromTheOtherThing) {
  Scene scene = scene_of(SceneKind::position, {"cat", "owl"});
  for (const Relation relation : {Relation::left, Relation::right, Relation::above, Relation::below}) {
    scene.relation = relation;
    const std::array<std::string, 4> cat_first{"left", "right", "top", "bottom"};
    const std::array<std::string, 4> owl_first{"right", "left", "bottom", "top"};
    const std::array<std::string, 4> cat_plain{"left of", "right of", "above", "under"};
    const std::array<std::string, 4> owl_plain{"right of", "left of", "below", "on top of"};
    const auto at = static_cast<size_t>(relation);
    for (const std::string& text : forms(scene)) {
      const bool cat = text.find("cat") < text.find("owl");
      if (text.find(',') != std::string::npos) {
        EXPECT_LT(text.find(cat ? cat_first[at] : owl_first[at]), text.find(',')) << text;
      } else if (at == 0 || at == 1) {
        EXPECT_THAT(text, HasSubstr(cat ? cat_plain[at] : owl_plain[at]));
      } else {
        const bool over = text.find("above") != std::string::npos || text.find("on top of") != std::string::npos;
        EXPECT_EQ(over, (relation == Relation::above) == cat) << text;
      }
    }
  }
}

TEST(Wording, NothingIsLeftOutAndTheOrderChanges) {
  const std::set<std::string> found = forms(scene_of(SceneKind::crowd, {"cat", "owl", "ice cream"}));
  std::set<size_t> firsts;
  for (const std::string& text : found) {
    for (const char* name : {"cat", "owl", "ice cream"}) EXPECT_THAT(text, HasSubstr(name));
    firsts.insert(std::min({text.find("cat"), text.find("owl"), text.find("ice")}) == text.find("cat"));
  }
  EXPECT_EQ(firsts.size(), 2u);
}

TEST(Wording, NumbersAndGroundsAreKept) {
  Scene scene = scene_of(SceneKind::counting, {"cat", "cat", "cat"});
  scene.ground = 2;
  for (const std::string& text : forms(scene)) {
    EXPECT_THAT(text, AnyOf(HasSubstr("3"), HasSubstr("three")));
    EXPECT_THAT(text, AnyOf(StartsWith("yellow background: "), ::testing::EndsWith(" on yellow")));
  }
}

}  // namespace
}  // namespace tessera::data
