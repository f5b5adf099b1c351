// Keys are looked for in a fixed order; what a row lacks is reported with its file and line.
#include "eval/choice.h"

#include <algorithm>
#include <optional>

#include "core/error.h"
#include "core/json_rows.h"
#include "core/text_file.h"

namespace tessera::eval {

namespace {
/// One blank stands between a prompt and a choice, however many are written: two would be other tokens.
std::string without_blanks_behind(std::string text) {
  while (text.ends_with(' ')) text.pop_back();
  return text;
}
std::string without_blanks(std::string text) {
  text.erase(0, std::min(text.find_first_not_of(' '), text.size()));
  return without_blanks_behind(std::move(text));
}

/// A row being read; `fail` names it.
struct Row {
  const Json& json;
  std::string_view where;

  [[noreturn]] void fail(const std::string& what) const { throw UserError("[eval] {}: {}", where, what); }
  const Json* find(const char* key) const {
    const auto found = json.find(key);
    return found == json.end() || found->is_null() ? nullptr : &*found;
  }
  std::string text(const Json& value, const char* key) const {
    if (!value.is_string()) fail(fmt::format("'{}' is {}, want a text", key, value.type_name()));
    return value.get<std::string>();
  }
  /// A text, or a number as it is written.
  std::string text_or_number(const Json& value, const char* key) const {
    return value.is_number() ? value.dump() : text(value, key);
  }
};

std::string asked(const std::string& question) { return "Question: " + question + "\nAnswer:"; }

std::string prompt_of(const Row& row) {
  const Json* question = row.find("question");
  if (const Json* prompt = row.find("prompt")) return row.text(*prompt, "prompt");
  if (const Json* context = row.find("context"); context != nullptr && question != nullptr) {
    return asked(row.text(*context, "context") + " " + row.text(*question, "question"));
  }
  for (const char* key : {"ctx", "goal"}) {
    if (const Json* found = row.find(key)) return key[0] == 'c' ? row.text(*found, key) : asked(row.text(*found, key));
  }
  if (question != nullptr && question->is_object()) {
    const auto stem = question->find("stem");
    if (stem == question->end()) row.fail("'question' has no 'stem'");
    return asked(row.text(*stem, "question.stem"));
  }
  for (const char* key : {"query", "question", "question_stem"}) {
    if (const Json* found = row.find(key)) return asked(row.text(*found, key));
  }
  row.fail("has no prompt; want 'prompt', 'question', 'ctx', 'goal' or 'query'");
}

struct Choices {
  std::vector<std::string> texts, labels;
  bool numbers = false;  // some texts are written as numbers
};

void add_choice(const Row& row, const Json& choice, Choices& to) {
  if (choice.is_object()) {
    const auto text = choice.find("text"), label = choice.find("label");
    if (text == choice.end()) row.fail("a choice has no 'text'");
    to.numbers |= text->is_number();
    to.texts.push_back(row.text_or_number(*text, "choice.text"));
    if (label != choice.end()) to.labels.push_back(row.text_or_number(*label, "choice.label"));
  } else {
    to.numbers |= choice.is_number();
    to.texts.push_back(row.text_or_number(choice, "choice"));
  }
}

Choices choices_of(const Row& row) {
  Choices found;
  const Json* list = nullptr;
  for (const char* key : {"choices", "options", "endings"}) {
    if (list == nullptr) list = row.find(key);
  }
  if (const Json* question = row.find("question"); list == nullptr && question != nullptr && question->is_object()) {
    const auto inner = question->find("choices");
    if (inner != question->end()) list = &*inner;
  }
  if (list != nullptr && list->is_object()) {
    const auto texts = list->find("text"), labels = list->find("label");
    if (texts == list->end() || !texts->is_array()) row.fail("'choices' has no list 'text'");
    for (const Json& text : *texts) {
      found.numbers |= text.is_number();
      found.texts.push_back(row.text_or_number(text, "choices.text"));
    }
    if (labels != list->end() && labels->is_array()) {
      for (const Json& label : *labels) found.labels.push_back(row.text_or_number(label, "choices.label"));
    }
  } else if (list != nullptr && list->is_array()) {
    for (const Json& choice : *list) add_choice(row, choice, found);
  } else if (list != nullptr) {
    row.fail(fmt::format("choices are {}, want a list", list->type_name()));
  } else {
    for (const char* key : {"sol1", "sol2", "answerA", "answerB", "answerC", "answerD", "answerE"}) {
      if (const Json* choice = row.find(key)) found.texts.push_back(row.text(*choice, key));
    }
    const bool numbered = row.find("answerA") != nullptr;  // SIQA counts its answers from 1
    for (size_t i = 0; numbered && i < found.texts.size(); ++i) found.labels.push_back(std::to_string(i + 1));
  }
  if (found.texts.size() < 2) row.fail(fmt::format("has {} choices, want at least 2", found.texts.size()));
  if (!found.labels.empty() && found.labels.size() != found.texts.size()) row.fail("has choices without labels");
  if (std::ranges::count(found.texts, "") > 0) row.fail("has an empty choice");
  return found;
}

std::optional<size_t> index_of(const std::vector<std::string>& list, const std::string& what) {
  const auto found = std::find(list.begin(), list.end(), what);
  return found == list.end() ? std::nullopt : std::optional(static_cast<size_t>(found - list.begin()));
}

size_t answer_of(const Row& row, const Choices& choices) {
  const Json* answer = nullptr;
  for (const char* key : {"answerKey", "answer", "label", "gold", "target"}) {
    if (answer == nullptr) answer = row.find(key);
  }
  if (answer == nullptr) row.fail("has no answer; want 'answer', 'answerKey' or 'label'");
  if (!answer->is_string() && !answer->is_number()) {
    row.fail(fmt::format("the answer is {}, want a number, a label or a choice", answer->type_name()));
  }
  std::string said = answer->is_string() ? answer->get<std::string>() : answer->dump();
  if (answer->is_number_float() && said.ends_with(".0") && index_of(choices.labels, said) == std::nullopt)
    said.resize(said.size() - 2);
  const size_t count = choices.texts.size();
  std::optional<size_t> found = index_of(choices.labels, said);
  const std::optional<size_t> by_text = found ? std::nullopt : index_of(choices.texts, without_blanks(said));
  if (by_text && choices.numbers && said.size() < 4 && said.find_first_not_of("0123456789") == std::string::npos &&
      std::stoul(said) < count && std::stoul(said) != *by_text) {
    row.fail(fmt::format("the answer {0} is one choice by its text and another by its place; give labels", said));
  }
  if (!found && (answer->is_string() || choices.numbers)) found = by_text;
  if (!found && said.size() == 1 && said[0] >= 'A' && said[0] <= 'Z') found = static_cast<size_t>(said[0] - 'A');
  if (!found && !said.empty() && said.size() < 4 &&
      std::ranges::all_of(said, [](char c) { return c >= '0' && c <= '9'; })) {
    found = std::stoul(said);
  }
  if (!found || *found >= count)
    row.fail(fmt::format("the answer '{}' is none of the {} choices", said.substr(0, 60), count));
  return *found;
}
}  // namespace

ChoiceRow parse_choice_row(std::string_view line, std::string_view where, RowRepairs* repairs) {
  const Json json = parse_json_row(line, where, repairs);
  const Row row{json, where};
  if (!json.is_object()) row.fail(fmt::format("is {}, want an object", json.type_name()));
  Choices choices = choices_of(row);
  for (std::string& text : choices.texts) text = without_blanks(text);
  if (std::ranges::count(choices.texts, "") > 0) row.fail("has an empty choice");
  return {without_blanks_behind(prompt_of(row)), choices.texts, answer_of(row, choices), std::string(where)};
}

std::vector<ChoiceRow> read_choice_rows(const Path& file) {
  const std::string text = read_text(file, "eval");
  std::vector<ChoiceRow> rows;
  int64_t number = 0;
  RowRepairs repairs;
  for (std::string_view rest = text; !rest.empty();) {
    const size_t end = std::min(rest.find('\n'), rest.size());
    const std::string_view line = rest.substr(0, end);
    rest.remove_prefix(std::min(end + 1, rest.size()));
    ++number;
    if (is_blank(line)) continue;
    rows.push_back(parse_choice_row(line, fmt::format("{} line {}", file.string(), number), &repairs));
  }
  repairs.warn("eval");
  if (rows.empty()) throw UserError("[eval] {} has no questions", file.string());
  return rows;
}

std::string with_examples(const ChoiceRow& row, const std::vector<ChoiceRow>& examples, int64_t shots) {
  std::string text;
  for (int64_t i = 0; i < shots && i < std::ssize(examples); ++i) {
    const ChoiceRow& example = examples[static_cast<size_t>(i)];
    text += example.prompt + " " + example.choices[example.answer] + "\n\n";
  }
  return text + row.prompt;
}

}  // namespace tessera::eval
