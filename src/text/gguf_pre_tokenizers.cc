// How llama.cpp names pre-tokenizers: each name stands for the expression that the family's own tokenizer.json has.
#include <algorithm>
#include <array>

#include "text/gguf_tokenizer.h"

namespace tessera::text {

namespace {

/// The ways of cutting, each as the steps of a tokenizer.json.
enum class Cut { gpt2, digits, cl100k, cl100k_single, qwen35, tekken, o200k };

struct NamedCut {
  std::string_view name;
  Cut cut;
  bool ignore_merges = false;
};

// The first name of a way is the one that is written.
constexpr std::array named_cuts{
    NamedCut{"gpt-2", Cut::gpt2},
    NamedCut{"olmo", Cut::gpt2},
    NamedCut{"phi-2", Cut::gpt2},
    NamedCut{"mpt", Cut::gpt2},
    NamedCut{"exaone4", Cut::gpt2},
    NamedCut{"smollm", Cut::digits},
    NamedCut{"starcoder", Cut::digits},
    NamedCut{"refact", Cut::digits},
    NamedCut{"codeshell", Cut::digits},
    NamedCut{"command-r", Cut::digits},
    NamedCut{"exaone", Cut::digits},
    NamedCut{"minerva-7b", Cut::digits},
    NamedCut{"dbrx", Cut::cl100k},
    NamedCut{"smaug-bpe", Cut::cl100k},
    NamedCut{"chatglm-bpe", Cut::cl100k},
    NamedCut{"glm4", Cut::cl100k},
    NamedCut{"llama-bpe", Cut::cl100k, true},
    NamedCut{"llama3", Cut::cl100k, true},
    NamedCut{"llama-v3", Cut::cl100k, true},
    NamedCut{"falcon3", Cut::cl100k, true},
    NamedCut{"pixtral", Cut::cl100k, true},
    NamedCut{"lfm2", Cut::cl100k, true},
    NamedCut{"qwen2", Cut::cl100k_single},
    NamedCut{"deepseek-r1-qwen", Cut::cl100k_single},
    NamedCut{"stablelm2", Cut::cl100k_single},
    NamedCut{"megrez", Cut::cl100k_single},
    NamedCut{"hunyuan", Cut::cl100k_single},
    NamedCut{"qwen35", Cut::qwen35},
    NamedCut{"tekken", Cut::tekken, true},
    NamedCut{"gpt-4o", Cut::o200k},
    NamedCut{"llama4", Cut::o200k},
};

constexpr const char* contractions = "(?i:'s|'t|'re|'ve|'m|'ll|'d)";
constexpr const char* ends = "|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";

/// "" where the cut is ByteLevel's own expression.
std::string expression(Cut cut) {
  const std::string marks = "| ?[^\\s\\p{L}\\p{N}]+";
  const std::string upper = "[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]", lower = "[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]";
  const std::string before = "[^\\r\\n\\p{L}\\p{N}]?";
  switch (cut) {
    case Cut::gpt2:
    case Cut::digits:
      return "";
    case Cut::cl100k:
      return std::string(contractions) + "|" + before + "\\p{L}+|\\p{N}{1,3}" + marks + "[\\r\\n]*" + ends;
    case Cut::cl100k_single:
      return std::string(contractions) + "|" + before + "\\p{L}+|\\p{N}" + marks + "[\\r\\n]*" + ends;
    case Cut::qwen35:
      return std::string(contractions) + "|" + before + "[\\p{L}\\p{M}]+|\\p{N}| ?[^\\s\\p{L}\\p{M}\\p{N}]+[\\r\\n]*" +
             ends;
    case Cut::tekken:
      return before + upper + "*" + lower + "+|" + before + upper + "+" + lower + "*|\\p{N}" + marks + "[\\r\\n/]*" +
             ends;
    case Cut::o200k: {
      const std::string maybe = std::string(contractions) + "?";
      return before + upper + "*" + lower + "+" + maybe + "|" + before + upper + "+" + lower + "*" + maybe +
             "|\\p{N}{1,3}" + marks + "[\\r\\n/]*" + ends;
    }
  }
  return "";
}

LooseJson byte_level(bool with_expression) {
  return {{"type", "ByteLevel"}, {"add_prefix_space", false}, {"trim_offsets", true}, {"use_regex", with_expression}};
}

LooseJson steps_of(Cut cut) {
  if (cut == Cut::gpt2) return byte_level(true);
  LooseJson first = {{"type", "Digits"}, {"individual_digits", true}};
  if (cut != Cut::digits)
    first = {{"type", "Split"}, {"pattern", {{"Regex", expression(cut)}}}, {"behavior", "Isolated"}, {"invert", false}};
  return {{"type", "Sequence"}, {"pretokenizers", {first, byte_level(cut == Cut::digits)}}};
}

/// What of a pre_tokenizer decides where it cuts: "Digits", the expressions of Splits, and whether ByteLevel has its own.
std::vector<std::string> essence(const LooseJson& tree) {
  std::vector<std::string> all;
  const std::string type = member(tree, "type").is_string() ? member(tree, "type").get<std::string>() : "";
  if (type == "Sequence") {
    for (const LooseJson& step : member(tree, "pretokenizers")) {
      for (std::string& each : essence(step)) all.push_back(std::move(each));
    }
  } else if (type == "Split") {
    const LooseJson& pattern = member(member(tree, "pattern"), "Regex");
    all.push_back("Split " + (pattern.is_string() ? pattern.get<std::string>() : std::string("?")));
  } else if (type == "ByteLevel") {
    if (member(tree, "use_regex") != false) all.push_back("ByteLevel");
    if (member(tree, "add_prefix_space") == true) all.push_back("blank");
  } else {
    all.push_back(type + (member(tree, "individual_digits") == true ? " one by one" : ""));
  }
  return all;
}

}  // namespace

LooseJson pre_tokenizer_named(std::string_view name) {
  const auto* found = std::ranges::find(named_cuts, name, &NamedCut::name);
  return found == named_cuts.end() ? LooseJson() : steps_of(found->cut);
}

std::string name_of_pre_tokenizer(const LooseJson& pre_tokenizer, bool ignore_merges) {
  const std::vector<std::string> wanted = essence(pre_tokenizer);
  for (const bool exactly : {true, false}) {  // cl100k has names with and without; a cut that has one name takes it
    for (const NamedCut& each : named_cuts) {
      if ((!exactly || each.ignore_merges == ignore_merges) && essence(steps_of(each.cut)) == wanted)
        return std::string(each.name);
    }
  }
  return "";
}

bool ignores_merges(std::string_view name) {
  const auto* found = std::ranges::find(named_cuts, name, &NamedCut::name);
  return found != named_cuts.end() && found->ignore_merges;
}

std::vector<std::string_view> pre_tokenizer_names() {
  std::vector<std::string_view> all;
  for (const NamedCut& each : named_cuts) all.push_back(each.name);
  return all;
}

}  // namespace tessera::text
