// Mutated chat templates: each is rendered or refused by one line, within its budget, and what people typed stays theirs.
#include <gtest/gtest.h>

#include <stdexcept>

#include "core/error.h"
#include "core/json.h"
#include "tests/fuzz/mutate.h"
#include "text/chat_template.h"
#include "text/unicode.h"

namespace tessera::testing {
namespace {

const std::string rune = "\xE1\x9A\xA0";  // stands in no template

std::vector<std::string> template_corpus() {
  const Json tree = read_json_file(Path(TESSERA_SOURCE_DIR) / "tests/golden/data/text/templates.json");
  std::vector<std::string> corpus;
  for (const auto& [name, one] : tree.at("templates").items()) {
    if (const std::string source = one.at("source").get<std::string>(); source.size() < 5000) corpus.push_back(source);
  }
  for (const Json& one : tree.at("snippets")) corpus.push_back(one[0].get<std::string>());
  return corpus;
}

const std::vector<std::string> template_words = {"{{",
                                                 "}}",
                                                 "{%",
                                                 "%}",
                                                 "{#",
                                                 "#}",
                                                 "-%}",
                                                 "{%-",
                                                 " for ",
                                                 " in ",
                                                 " if ",
                                                 "{% else %}",
                                                 "{% endif %}",
                                                 "{% endfor %}",
                                                 "{% set x = x + x %}",
                                                 "messages",
                                                 ".content",
                                                 "['role']",
                                                 "|tojson",
                                                 "|trim",
                                                 "[::-1]",
                                                 "[-1]",
                                                 "range(99999)",
                                                 " * 99999999",
                                                 "namespace()",
                                                 "loop",
                                                 "loop.index",
                                                 "'",
                                                 "\"",
                                                 "\\",
                                                 "(",
                                                 ")",
                                                 "[",
                                                 "]",
                                                 "not ",
                                                 " is defined",
                                                 "|map('upper')",
                                                 "|list",
                                                 "|join",
                                                 "m()",
                                                 "{% macro m() %}",
                                                 "{% endmacro %}",
                                                 "{{ m(m) }}",
                                                 "{% call m() %}",
                                                 "{% endcall %}",
                                                 "**",
                                                 "//",
                                                 "~",
                                                 "\xE1\x9A",
                                                 "\xFF",
                                                 "{% raw %}",
                                                 "{% generation %}",
                                                 "{% endgeneration %}",
                                                 "{% break %}",
                                                 ".format(1)",
                                                 "%s",
                                                 "none",
                                                 "1e999",
                                                 "99999999999999999999"};

/// True when a conversation was rendered.
bool renders(const std::string& source) {
  text::TemplateInputs inputs;
  inputs.tools = Json::array({{{"name", rune}, {"parameters", {{"n", 1.5}}}}});
  inputs.now = 0;
  try {
    const auto chat = text::ChatTemplate::of_source(source, {{"bos_token", "<s>"}, {"eos_token", "</s>"}}, "t");
    const std::vector<text::Message> talk = {{"user", rune + " x " + rune}, {"assistant", rune}, {"user", ""}};
    for (const text::ChatPiece& piece : chat.pieces(talk, true, inputs)) {
      if (piece.text != text::to_utf8(piece.text)) throw std::logic_error("a piece is no UTF-8");
      if (piece.control && piece.text.find(rune) != std::string::npos)
        throw std::logic_error("typed text became control");
    }
    return true;
  } catch (const UserError& error) {
    const std::string message = error.what();
    if (!message.starts_with("[text] t") || message.size() > 500) throw std::logic_error(message);
    for (const char c : message) {
      if (static_cast<unsigned char>(c) < ' ') throw std::logic_error("a message of more than one line: " + message);
    }
    if (message != text::to_utf8(message)) throw std::logic_error("a message is no UTF-8");
    return false;
  }
}

TEST(Fuzz, MutatedChatTemplatesAreRenderedOrRefused) {
  const std::vector<std::string> corpus = template_corpus();
  int rendered = 0;
  Rng rng(23);
  for (int round = 0; round < 3000; ++round) {
    const std::string source = mutate(corpus, template_words, rng);
    try {
      rendered += renders(source) ? 1 : 0;
    } catch (const std::exception& error) {
      FAIL() << "round " << round << ": " << error.what() << "\n" << ::testing::PrintToString(source);
    }
  }
  EXPECT_GT(rendered, 200);
  EXPECT_LT(rendered, 2900);
}

}  // namespace
}  // namespace tessera::testing
