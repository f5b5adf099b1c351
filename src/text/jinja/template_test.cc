// Hostile templates end soon in one fault; faults name their line. What templates mean is compared with Jinja itself in tests/golden.
#include "text/jinja/template.h"

#include <gmock/gmock.h>

namespace tessera::text::jinja {
namespace {

using ::testing::HasSubstr;

/// The rendering, or "line N: what went wrong".
std::string rendered(const std::string& source, Variables variables = {}, const Limits& limits = {}) {
  try {
    Budget budget(limits);
    return Template(source).render(variables, budget, 0).bytes();
  } catch (const TemplateFault& fault) {
    return "line " + std::to_string(fault.line()) + ": " + fault.what();
  }
}

TEST(Template, FaultsNameTheirLine) {
  EXPECT_EQ(rendered("a\n{{ b.c }}"), "line 2: 'b' is undefined, but is used by .c");
  EXPECT_EQ(rendered("a\n\n{% if %}"), "line 3: got the end of the tag, want an expression");
  EXPECT_EQ(rendered("\n{% macro m() %}\n{{ 1 / 0 }}{% endmacro %}\n{{ m() }}"), "line 3: division by zero");
  EXPECT_EQ(rendered("{{ raise_exception('no ' ~ 1) }}"), "line 1: no 1");
}

TEST(Template, WhatIsNotSupportedIsRefusedByItsName) {
  EXPECT_EQ(rendered("{% include 'x' %}"), "line 1: the tag 'include' is not supported");
  EXPECT_EQ(rendered("{{ x | groupby('a') }}"), "line 1: the filter 'groupby' is not supported");
  EXPECT_EQ(rendered("{% for a in b recursive %}{% endfor %}"), "line 1: 'recursive' loops are not supported");
  EXPECT_EQ(rendered("{{ 'x'.encode() }}"), "line 1: the method 'encode' of a text is not supported");
  EXPECT_EQ(rendered("{{ joiner(',') }}"), "line 1: the function 'joiner' is not supported");
  EXPECT_THAT(rendered("{{ [].append(1) }}"), HasSubstr("which the sandbox does not allow"));
}

TEST(Template, LoopsThatGrowEndWithinTheirBudget) {
  const std::string doubling =
      "{% set ns = namespace(s='x') %}{% for i in range(90) %}{% set ns.s = ns.s + ns.s %}{% endfor %}";
  EXPECT_THAT(rendered(doubling), HasSubstr("MiB of memory"));
  EXPECT_THAT(rendered("{{ 'x' * 10000000000 }}"), HasSubstr("memory"));
  EXPECT_THAT(rendered("{{ ([0] * 100000) | map('string') | list | join('x' * 100000) }}"), HasSubstr("memory"));
  EXPECT_THAT(rendered("{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}"),
              HasSubstr("takes more than"));
  EXPECT_THAT(rendered("{{ range(1000000000) }}"), HasSubstr("range of more than 100000"));
  EXPECT_THAT(rendered("{{ 'a'.center(10 ** 15) }}{{ '%999999d' % 1 }}"), HasSubstr("memory"));
  EXPECT_THAT(rendered("{{ ('ab' * 1000000).replace('', 'x' * 1000) }}"), HasSubstr("memory"));
}

TEST(Template, RecursionEndsInAFault) {
  EXPECT_THAT(rendered("{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}"), HasSubstr("macros"));
  EXPECT_THAT(rendered("{{ " + std::string(5000, '(') + "1" + std::string(5000, ')') + " }}"),
              HasSubstr("nested deeper"));
  EXPECT_THAT(rendered("{{ " + std::string(5000, '-') + "1 }}"), HasSubstr("nested deeper"));
  std::string nots = "{{ ", ifs, sums = "{{ 1", elses = "{{ 1";
  for (int i = 0; i < 5000; ++i) {
    nots += "not ";
    ifs += "{% if 1 %}";
    sums += " + 1";
    elses += " if 0 else 1";
  }
  EXPECT_THAT(rendered(nots + "1 }}"), HasSubstr("nested deeper"));
  EXPECT_THAT(rendered(ifs), HasSubstr("nested deeper"));
  EXPECT_THAT(rendered(sums + " }}"), HasSubstr("nested deeper"));
  EXPECT_THAT(rendered(elses + " }}"), HasSubstr("nested deeper"));
  const std::string deep =
      "{% set ns = namespace(l=[]) %}{% for i in range(9999) %}{% set ns.l = [ns.l] %}{% endfor %}";
  EXPECT_THAT(rendered(deep), HasSubstr("nested deeper than 200"));
  const std::string loops =
      "{% set ns = namespace(l=[1]) %}{% for i in range(999) %}{% for j in ns.l %}{% set ns.l = [loop] %}{% endfor "
      "%}{% endfor %}";
  EXPECT_THAT(rendered(loops), HasSubstr("nested deeper than 200"));
}

TEST(Template, NamespacesThatHoldEachOtherAreLetGo) {
  EXPECT_EQ(
      rendered(
          "{% set a = namespace() %}{% set b = namespace(a=[a]) %}{% set a.b = [b] %}{{ a.b[0].a[0].b | length }}"),
      "1");
}

TEST(Template, MacrosThatOutliveTheirScopeStillSeeIt) {
  EXPECT_EQ(rendered("{% set ns = namespace(f=none) %}{% for i in [1, 2] %}{% macro f() %}{{ i }}{% endmacro %}"
                     "{% set ns.f = f %}{% endfor %}{{ ns.f() }}"),
            "2");
}

TEST(Template, GenerationMarksWhatAnAssistantSays) {
  Budget budget{Limits()};
  const Template made("a{% generation %}b{% endgeneration %}c");
  EXPECT_TRUE(made.marks_generation());
  const MarkedText text = made.render({}, budget, 0);
  ASSERT_EQ(text.runs().size(), 3u);
  EXPECT_TRUE(text.runs()[1].origin.generated);
  EXPECT_FALSE(Template("ab").marks_generation());
}

TEST(Template, OneTemplateRendersTheSameAgain) {
  const Template made(
      "{% set ns = namespace(n=0) %}{% for i in range(3) %}{% set ns.n = ns.n + i %}{% endfor %}{{ ns.n }}");
  for (int i = 0; i < 2; ++i) {
    Budget budget{Limits()};
    EXPECT_EQ(made.render({}, budget, 0).bytes(), "3");
  }
}

}  // namespace
}  // namespace tessera::text::jinja
