// What keeping a text to a JSON schema costs at each token: tessera_json_bench DIR [DIR...] steps through a document with the
// tokenizer of each directory and prints microseconds of processor time.
#include <algorithm>
#include <cstdio>
#include <ctime>
#include <unordered_map>

#include <ATen/ops/zeros.h>

#include "core/error.h"
#include "generate/json/json_constraint.h"

namespace {

using tessera::Json;
using namespace tessera::generate;

/// Of this thread's own time, which others who use the machine do not lengthen.
double now() {
  timespec time{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) * 1e6 + static_cast<double>(time.tv_nsec) / 1e3;
}

/// 40 people with texts, numbers and lists, printed as models do.
std::string document() {
  Json people = Json::array();
  for (int i = 0; i < 40; ++i) {
    people.push_back(
        {{"name", "Person Number " + std::to_string(i)},
         {"age", 20 + i},
         {"about", "Likes long walks, the sea; and said: \"tiles are a mosaic's letters\" \xE2\x80\x94 twice."},
         {"tags", {"red", "gr\xC3\xBCn", "blue"}},
         {"score", 0.25 * i}});
  }
  return Json({{"people", people}}).dump(2);
}

const char* const schema =
    R"({"type":"object","properties":{"people":{"type":"array","items":{"type":"object","properties":{
  "name":{"type":"string","minLength":1,"maxLength":60},"age":{"type":"integer","minimum":0,"maximum":150},"about":{"type":"string"},
  "tags":{"type":"array","items":{"type":"string"},"maxItems":5},"score":{"type":"number"}},
  "required":["name","age","about","tags","score"],"additionalProperties":false}}},"required":["people"],"additionalProperties":false})";

/// The text as tokens, each time the longest that fits.
std::vector<int32_t> longest_tokens(const TokenTrie& tokens, const std::string& text) {
  std::unordered_map<std::string, int32_t> known;
  for (int32_t id = 0; id < tokens.vocabulary(); ++id) known[tokens.text(id)] = id;
  std::vector<int32_t> ids;
  for (size_t at = 0; at < text.size();) {
    size_t length = std::min(text.size() - at, static_cast<size_t>(tokens.longest()));
    while (length > 1 && known.count(text.substr(at, length)) == 0) --length;
    ids.push_back(known.at(text.substr(at, length)));
    at += length;
  }
  return ids;
}

/// Microseconds of mask() and advance() at each token.
void walk(const ConstraintMaker& make, const std::vector<int32_t>& ids, int64_t vocabulary, const char* name) {
  const auto constraint = make({});
  constraint->begin({.sampling = {}, .end_tokens = {}}, 1 << 20);
  std::vector<double> masks;
  double advances = 0;
  for (const int32_t id : ids) {
    tessera::Tensor logits = at::zeros({vocabulary});
    const double before = now();
    constraint->mask(logits);
    const double between = now();
    constraint->advance(id);
    advances += now() - between;
    masks.push_back(between - before);
  }
  double sum = 0;
  for (const double each : masks) sum += each;
  std::sort(masks.begin(), masks.end());
  const auto n = static_cast<double>(masks.size());
  const auto at = [&](double share) { return masks[static_cast<size_t>(share * (n - 1))]; };
  std::printf("  %-26s mask: mean %6.1f, median %6.1f, 99%% %7.1f, most %8.1f us; advance: mean %4.1f us\n", name,
              sum / n, at(0.5), at(0.99), at(1), advances / n);
}

}  // namespace

int main(int argc, char** argv) {
  try {
    for (int i = 1; i < argc; ++i) {
      const auto tokenizer = tessera::text::load_tokenizer(argv[i]);
      const double before = now();
      const auto tokens = std::make_shared<const TokenTrie>(*tokenizer);
      const double made = now();
      const auto ids = longest_tokens(*tokens, document());
      std::printf("%s: %lld tokens, tree of %zu nodes (%zu KB) made in %.1f ms; document of %zu tokens\n", argv[i],
                  static_cast<long long>(tokenizer->vocabulary()), tokens->nodes().size(),
                  tokens->nodes().size() * sizeof(TokenTrie::Node) / 1024, (made - before) / 1000, ids.size());
      for (const bool any : {false, true}) {
        const double start = now();
        const auto grammar =
            any ? JsonGrammar::any_object() : JsonGrammar::of_schema(tessera::parse_json(schema, "schema"));
        const double compiled = now();
        std::printf(" %s, compiled in %.2f ms\n", any ? "any object" : "a schema", (compiled - start) / 1000);
        const ConstraintMaker make = json_constraint(grammar, tokens);
        walk(make, ids, tokenizer->vocabulary(), "first text");
        walk(make, ids, tokenizer->vocabulary(), "further text");
      }
    }
  } catch (const tessera::Error& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return error.exit_status();
  }
  return argc > 1 ? 0 : 2;
}
