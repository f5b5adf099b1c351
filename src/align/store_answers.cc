// Answers and scores of the store, in and out.
#include "align/statement.h"

namespace tessera::align {

void Store::add_answers(const std::vector<StoredAnswer>& answers) {
  together([&] {
    Statement insert(
        *this,
        "INSERT OR IGNORE INTO answers (prompt, round, model, number, seed, text, tokens, finished) VALUES "
        "(?, ?, ?, ?, ?, ?, ?, ?)");
    for (const StoredAnswer& a : answers) {
      insert.bind(a.prompt).bind(a.round).bind(a.model).bind(a.number).bind(as_signed(a.seed)).bind(a.text);
      insert.bind(a.tokens).bind(int64_t{a.finished}).run();
    }
  });
}

int64_t Store::count_answers(int64_t round) const {
  Statement count(*this, "SELECT count(*) FROM answers WHERE round = ?");
  count.bind(round).next();
  return count.number(0);
}

int64_t Store::count_tokens(int64_t round) const {
  Statement sum(*this, "SELECT coalesce(sum(tokens), 0) FROM answers WHERE round = ?");
  sum.bind(round).next();
  return sum.number(0);
}

bool Store::has_answer(int64_t prompt, int64_t round, std::string_view model, int64_t number) const {
  Statement read(*this, "SELECT 1 FROM answers WHERE round = ? AND prompt = ? AND model = ? AND number = ?");
  return read.bind(round).bind(prompt).bind(model).bind(number).next();
}

std::vector<StoredAnswer> Store::unscored(int64_t round, std::string_view judge, int64_t most, int64_t after) const {
  Statement read(*this,
                 "SELECT id, prompt, model, number, text FROM answers WHERE id > ? AND round = ? AND NOT EXISTS "
                 "(SELECT 1 FROM scores WHERE answer = answers.id AND judge = ?) ORDER BY id LIMIT ?");
  read.bind(after).bind(round).bind(judge).bind(most);
  std::vector<StoredAnswer> found;
  while (read.next())
    found.push_back({.id = read.number(0),
                     .prompt = read.number(1),
                     .round = round,
                     .model = read.text(2),
                     .number = read.number(3),
                     .text = read.text(4)});
  return found;
}

void Store::add_scores(const std::vector<StoredScore>& scores) {
  together([&] {
    Statement insert(
        *this,
        "INSERT OR IGNORE INTO scores (answer, judge, score, likeliest, tied, mass, probabilities) VALUES (?, "
        "?, ?, ?, ?, ?, ?)");
    for (const StoredScore& s : scores) {
      insert.bind(s.answer).bind(s.judge).bind(s.score).bind(s.likeliest).bind(int64_t{s.tied}).bind(s.mass);
      insert.bind(s.probabilities).run();
    }
  });
}

int64_t Store::count_scores(int64_t round, std::string_view judge) const {
  Statement count(*this,
                  "SELECT count(*) FROM scores JOIN answers ON answers.id = answer WHERE round = ? AND judge = ?");
  count.bind(round).bind(judge).next();
  return count.number(0);
}

int64_t Store::count_ties(int64_t round, std::string_view judge) const {
  Statement count(
      *this, "SELECT count(*) FROM scores JOIN answers ON answers.id = answer WHERE round = ? AND judge = ? AND tied");
  count.bind(round).bind(judge).next();
  return count.number(0);
}

void Store::each_scored(int64_t round, std::string_view judge,
                        const std::function<void(const StoredPrompt&, const std::vector<ScoredAnswer>&)>& visit) const {
  Statement read(
      *this,
      "SELECT prompt, prompts.text, cluster, answers.id, answers.model, number, answers.text, tokens, finished, "
      "score, mass FROM answers JOIN scores ON answer = answers.id JOIN prompts ON prompts.id = prompt "
      "WHERE answers.round = ? AND judge = ? ORDER BY prompt, score DESC, answers.model, number");
  read.bind(round).bind(judge);
  StoredPrompt prompt;
  std::vector<ScoredAnswer> answers;
  const auto finish = [&] {
    if (!answers.empty()) visit(prompt, answers);
    answers.clear();
  };
  while (read.next()) {
    if (read.number(0) != prompt.id) {
      finish();
      prompt = {.id = read.number(0), .text = read.text(1), .cluster = read.number(2), .round = round};
    }
    StoredAnswer answer{
        .id = read.number(3), .prompt = prompt.id, .round = round, .model = read.text(4), .number = read.number(5)};
    answer.text = read.text(6);
    answer.tokens = read.number(7);
    answer.finished = read.number(8) != 0;
    answers.push_back({std::move(answer), read.real(9), read.real(10)});
  }
  finish();
}

void Store::each_row(const std::function<void(const StoredRow&)>& visit) const {
  Statement read(*this,
                 "SELECT prompts.id, prompts.text, origin, cluster, answers.id, answers.round, answers.model, number, "
                 "answers.text, tokens, finished, judge, score, likeliest, mass FROM prompts LEFT JOIN answers ON "
                 "answers.prompt = prompts.id LEFT JOIN scores ON scores.answer = answers.id "
                 "ORDER BY prompts.id, answers.id, judge");
  while (read.next()) {
    StoredRow row;
    row.prompt = {.id = read.number(0), .text = read.text(1), .origin = read.text(2), .cluster = read.number(3)};
    row.answer = {.id = read.number(4), .prompt = row.prompt.id, .round = read.number(5), .model = read.text(6)};
    row.answer.number = read.number(7);
    row.answer.text = read.text(8);
    row.answer.tokens = read.number(9);
    row.answer.finished = read.number(10) != 0;
    row.score = {.answer = row.answer.id, .judge = read.text(11), .score = read.real(12), .likeliest = read.number(13)};
    row.score.mass = read.real(14);
    visit(row);
  }
}

}  // namespace tessera::align
