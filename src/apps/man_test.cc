// The manual page: it holds every verb and option, and troff takes it without a warning.
#include "apps/man.h"

#include <gmock/gmock.h>

#include "core/files.h"
#include "tests/support/process.h"
#include "tests/support/scratch.h"

namespace tessera::apps {
namespace {

using ::testing::HasSubstr;

/// A dash as the page writes it.
std::string dashes(std::string text) {
  for (size_t at = 0; (at = text.find('-', at)) != std::string::npos; at += 2) text.insert(at, "\\");
  return text;
}

TEST(Man, NamesEveryVerbAndEveryOption) {
  const std::string page = manual_page(verbs(), "1.2.3");
  EXPECT_THAT(page, HasSubstr(".TH TESSERA 1 \"\" \"tessera 1.2.3\""));
  for (const Verb& verb : verbs()) {
    const size_t begin = page.find("\n.SS " + dashes(verb.line.verb) + "\n");
    ASSERT_NE(begin, std::string::npos) << verb.line.verb;
    const std::string section = page.substr(begin, page.find("\n.S", begin + 1) - begin);
    for (const detail::Option& option : verb.options()) {
      if (detail::is_positional(verb.line, option)) continue;
      const std::string name = detail::kebab(option.field);
      EXPECT_THAT(section, HasSubstr(dashes((option.on_by_default ? "--[no-]" : "--") + name))) << verb.line.verb;
    }
  }
}

TEST(Man, NoTextBecomesARequestOrAnEscape) {
  struct Odd {
    static std::vector<detail::Option> options() {
      return {{.field = "odd", .help = ".so /etc/passwd \\n ends", .placeholder = "TEXT"}};
    }
  };
  const std::vector<Verb> verbs = {
      {.line = {.verb = "odd", .summary = "'quoted' first", .examples = {".TH x"}}, .options = Odd::options}};
  const std::string page = manual_page(verbs, "0");
  EXPECT_THAT(page, HasSubstr("\n\\&.so /etc/passwd \\en ends\n"));
  EXPECT_THAT(page, HasSubstr("\n\\&'quoted' first\n"));
  EXPECT_THAT(page, HasSubstr("\n\\&.TH x\n"));
}

TEST(Man, TroffTakesThePageWithoutAWarning) {
  if (testing::run({"/bin/sh", "-c", "command -v groff"}).status != 0) GTEST_SKIP() << "no groff here";
  const testing::ScratchFolder folder;
  const testing::Finished page = testing::tessera({"man"});
  ASSERT_EQ(page.status, 0) << page.err;
  write_file_atomically(folder / "tessera.1", page.out);
  const testing::Finished set =
      testing::run({"groff", "-man", "-Tascii", "-P-cbou", "-ww", (folder / "tessera.1").string()});
  EXPECT_EQ(set.status, 0);
  EXPECT_EQ(set.err, "");
  EXPECT_THAT(set.out, HasSubstr("       tessera draw [options] [PROMPT...]\n"));
  EXPECT_THAT(set.out, HasSubstr("       --[no-]echo\n"));
}

}  // namespace
}  // namespace tessera::apps
