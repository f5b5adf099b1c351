// Rows of Arrow files become documents with the same prompts for every model.
#include "eval/mmlu.h"

#include <algorithm>
#include <map>

#include "core/error.h"
#include "eval/arrow_stream.h"

namespace tessera::eval {

namespace {
constexpr size_t mmlu_shots = 5;
constexpr size_t fewest_choices = 2, most_choices_of_a_row = 26;

struct MmluRow {
  std::string question;
  std::vector<std::string> choices;
  size_t answer = 0;
};

/// `text` without white space at either end.
std::string without_white_ends(const std::string& text) {
  constexpr const char* white = " \t\n\r\f\v";
  const size_t first = text.find_first_not_of(white);
  return first == std::string::npos ? "" : text.substr(first, text.find_last_not_of(white) - first + 1);
}

template <class Column> const Column& column(const ArrowTable& table, const char* name, const std::string& source) {
  const auto found = table.columns.find(name);
  if (found == table.columns.end()) throw UserError("[eval] {} has no column '{}'", source, name);
  const auto* values = std::get_if<Column>(&found->second);
  if (values == nullptr) throw UserError("[eval] {}: column '{}' is of another kind than MMLU's", source, name);
  return *values;
}

std::vector<MmluRow> rows_of(const Path& file) {
  const MappedFile mapped(file);
  const std::string source = file.string();
  const ArrowTable table = parse_arrow_stream(mapped.bytes(), source);
  const auto& questions = column<ArrowTexts>(table, "question", source);
  const auto& choices = column<ArrowTextLists>(table, "choices", source);
  const auto& answers = column<ArrowIntegers>(table, "answer", source);
  std::vector<MmluRow> rows;
  for (size_t i = 0; i < questions.size(); ++i) {
    const size_t count = choices[i].size();
    if (count < fewest_choices || count > most_choices_of_a_row)
      throw UserError("[eval] {} row {} has {} choices, want {} to {}", source, i, count, fewest_choices,
                      most_choices_of_a_row);
    if (answers[i] < 0 || answers[i] >= static_cast<int64_t>(count))
      throw UserError("[eval] {} row {} has answer {}, want 0 to {}", source, i, answers[i], count - 1);
    rows.push_back({questions[i], choices[i], static_cast<size_t>(answers[i])});
  }
  return rows;
}

/// All rows of a split's files, with where each came from.
std::vector<std::pair<MmluRow, std::string>> rows_of_split(const Path& folder) {
  std::vector<std::pair<MmluRow, std::string>> rows;
  for (const Path& file : find_files(folder, {".arrow"}, "eval")) {
    size_t number = 0;
    for (MmluRow& row : rows_of(file))
      rows.emplace_back(std::move(row), fmt::format("{} row {}", file.string(), number++));
  }
  return rows;
}

std::string question_text(const MmluRow& row) { return "Question: " + without_white_ends(row.question) + "\nAnswer:"; }

std::vector<Path> subject_folders(const Path& folder) {
  std::vector<Path> subjects;
  std::error_code unreadable;
  for (const auto& entry : std::filesystem::directory_iterator(folder, unreadable)) {
    if (std::filesystem::is_directory(entry.path() / "dev")) subjects.push_back(entry.path());
  }
  std::sort(subjects.begin(), subjects.end());
  return subjects;
}

void add_subject(const Path& folder, const std::string& split, std::vector<OlmesDocument>& documents) {
  const std::string subject = folder.filename().string();
  std::string said = subject;
  std::replace(said.begin(), said.end(), '_', ' ');
  std::string before = fmt::format("The following are multiple choice questions (with answers) about {}:\n\n", said);
  const auto solved = rows_of_split(folder / "dev");
  if (solved.size() < mmlu_shots)
    throw UserError("[eval] {} has {} solved examples, want {}", (folder / "dev").string(), solved.size(), mmlu_shots);
  for (size_t i = 0; i < mmlu_shots; ++i) {
    const MmluRow& row = solved[i].first;
    before += question_text(row) + " " + row.choices[row.answer] + "\n\n";
  }
  for (auto& [row, where] : rows_of_split(folder / split)) {
    OlmesDocument& document = documents.emplace_back();
    document.contexts = {before + question_text(row), "Answer:"};
    for (const std::string& choice : row.choices) {
      document.choices.push_back({0, " " + choice});
      document.unconditional.push_back({1, " " + choice});
    }
    document.answer = row.answer;
    document.group = subject;
    document.where = where;
  }
}
}  // namespace

bool is_mmlu(const Path& folder) {
  return std::ranges::any_of(subject_folders(folder), [](const Path& subject) {
    return std::filesystem::is_directory(subject / "validation") || std::filesystem::is_directory(subject / "test");
  });
}

OlmesTask read_mmlu(const Path& folder, const std::string& variant) {
  const bool test = variant == "test_rc_5shot";
  if (!test && variant != "val_rc_5shot")
    throw UserError("[eval] MMLU has no variant '{}', want val_rc_5shot or test_rc_5shot", variant);
  OlmesTask task{.name = "mmlu", .variant = variant, .primary_metric = "acc_per_char"};
  for (const Path& subject : subject_folders(folder))
    add_subject(subject, test ? "test" : "validation", task.documents);
  return task;
}

std::string mmlu_category(const std::string& subject) {
  static const std::map<std::string, std::vector<std::string>> categories{
      {"stem",
       {"abstract_algebra", "astronomy", "college_biology", "college_chemistry", "college_computer_science",
        "college_mathematics", "college_physics", "computer_security", "conceptual_physics", "electrical_engineering",
        "elementary_mathematics", "high_school_biology", "high_school_chemistry", "high_school_computer_science",
        "high_school_mathematics", "high_school_physics", "high_school_statistics", "machine_learning"}},
      {"humanities",
       {"formal_logic", "high_school_european_history", "high_school_us_history", "high_school_world_history",
        "international_law", "jurisprudence", "logical_fallacies", "moral_disputes", "moral_scenarios", "philosophy",
        "prehistory", "professional_law", "world_religions"}},
      {"social_sciences",
       {"econometrics", "high_school_geography", "high_school_government_and_politics", "high_school_macroeconomics",
        "high_school_microeconomics", "high_school_psychology", "human_sexuality", "professional_psychology",
        "public_relations", "security_studies", "sociology", "us_foreign_policy"}},
      {"other",
       {"anatomy", "business_ethics", "clinical_knowledge", "college_medicine", "global_facts", "human_aging",
        "management", "marketing", "medical_genetics", "miscellaneous", "nutrition", "professional_accounting",
        "professional_medicine", "virology"}}};
  for (const auto& [category, subjects] : categories) {
    if (std::ranges::count(subjects, subject) > 0) return category;
  }
  return "";
}

}  // namespace tessera::eval
