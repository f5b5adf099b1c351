// Every write is one transaction; rows are unique by what they are, so that work done twice is stored once.
#include "align/store.h"

#include <cctype>
#include <cstring>

#include "align/statement.h"
#include "core/error.h"
#include "core/json.h"
#include "core/rng.h"

namespace tessera::align {

namespace {
constexpr int64_t schema_version = 1;

constexpr const char* schema = R"(
CREATE TABLE IF NOT EXISTS notes (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS prompts (
  id INTEGER PRIMARY KEY, digest INTEGER NOT NULL, text TEXT NOT NULL, origin TEXT NOT NULL, model TEXT NOT NULL, seed INTEGER NOT NULL,
  shown TEXT NOT NULL, cluster INTEGER NOT NULL DEFAULT -1, round INTEGER NOT NULL DEFAULT 0,
  made INTEGER NOT NULL DEFAULT (unixepoch()));
CREATE UNIQUE INDEX IF NOT EXISTS prompt_digests ON prompts (digest);
CREATE INDEX IF NOT EXISTS prompt_rounds ON prompts (round) WHERE round != 0;
CREATE TABLE IF NOT EXISTS answers (
  id INTEGER PRIMARY KEY, prompt INTEGER NOT NULL REFERENCES prompts (id), round INTEGER NOT NULL, model TEXT NOT NULL,
  number INTEGER NOT NULL, seed INTEGER NOT NULL, text TEXT NOT NULL, tokens INTEGER NOT NULL, finished INTEGER NOT NULL,
  made INTEGER NOT NULL DEFAULT (unixepoch()),
  UNIQUE (round, prompt, model, number));
CREATE INDEX IF NOT EXISTS answer_prompts ON answers (prompt);
CREATE TABLE IF NOT EXISTS scores (
  answer INTEGER NOT NULL REFERENCES answers (id), judge TEXT NOT NULL, score REAL NOT NULL, likeliest INTEGER NOT NULL,
  tied INTEGER NOT NULL, mass REAL NOT NULL, probabilities TEXT NOT NULL, made INTEGER NOT NULL DEFAULT (unixepoch()),
  PRIMARY KEY (answer, judge)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS steps (
  name TEXT PRIMARY KEY, state TEXT NOT NULL, started REAL NOT NULL, seconds REAL NOT NULL, detail TEXT NOT NULL);
)";

}  // namespace

std::string normalised_prompt(std::string_view text) {
  std::string plain;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (std::isalnum(byte) || byte >= 0x80) plain += static_cast<char>(std::tolower(byte));
    else if (!plain.empty() && plain.back() != ' ') plain += ' ';
  }
  if (plain.ends_with(' ')) plain.pop_back();
  return plain.empty() ? std::string(text) : plain;
}

Store::Store(const Path& file, bool writable) : file_(file) {
  const int flags = writable ? SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE : SQLITE_OPEN_READONLY;
  if (sqlite3_open_v2(file.c_str(), &db_, flags, nullptr) != SQLITE_OK) {
    const std::string words = sqlite3_errmsg(db_);
    sqlite3_close(db_);
    if (!writable) throw UserError("[align] cannot open the store {}: {}", file.string(), words);
    throw FaultError("[align] cannot open the store {}: {}", file.string(), words);
  }
  try {
    sqlite3_busy_timeout(db_, 10'000);
    if (writable) {
      run("PRAGMA journal_mode = WAL");
      run("PRAGMA synchronous = FULL");  // what was told to be done is on the disk
      together([&] { run(schema); });
      if (note("schema").empty()) set_note("schema", std::to_string(schema_version));
    }
    if (note("schema") != std::to_string(schema_version))
      throw UserError("[align] {} has schema '{}', want {}; it is of another release", file.string(), note("schema"),
                      schema_version);
  } catch (...) {
    sqlite3_close(db_);
    throw;
  }
}

Store::~Store() { sqlite3_close(db_); }

void Store::run(const char* sql) const {
  if (sqlite3_exec(db_, sql, nullptr, nullptr, nullptr) != SQLITE_OK) fail("run a statement");
}

void Store::fail(std::string_view doing) const {
  const int code = sqlite3_errcode(db_);
  const std::string words = sqlite3_errmsg(db_);
  if (code == SQLITE_NOTADB || code == SQLITE_CORRUPT)
    throw UserError("[align] {} is no store: {}", file_.string(), words);
  const int reason = sqlite3_system_errno(db_);
  throw FaultError("[align] cannot {} in {}: {}{}", doing, file_.string(), words,
                   reason == 0 ? "" : fmt::format(" ({})", std::strerror(reason)));
}

void Store::together(const std::function<void()>& work) {
  run("BEGIN IMMEDIATE");
  try {
    work();
    run("COMMIT");
  } catch (...) {
    sqlite3_exec(db_, "ROLLBACK", nullptr, nullptr, nullptr);
    throw;
  }
}

std::string Store::note(std::string_view key) const {
  Statement read(*this, "SELECT value FROM notes WHERE key = ?");
  return read.bind(key).next() ? read.text(0) : "";
}

void Store::set_note(std::string_view key, std::string_view value) {
  Statement(*this, "INSERT OR REPLACE INTO notes VALUES (?, ?)").bind(key).bind(value).run();
}

int64_t Store::add_prompts(const std::vector<StoredPrompt>& prompts, const Notes& notes) {
  int64_t added = 0;
  together([&] {
    Statement insert(
        *this, "INSERT OR IGNORE INTO prompts (digest, text, origin, model, seed, shown) VALUES (?, ?, ?, ?, ?, ?)");
    for (const StoredPrompt& each : prompts) {
      insert.bind(as_signed(mix64(hash_text(normalised_prompt(each.text))))).bind(each.text).bind(each.origin);
      insert.bind(each.model).bind(as_signed(each.seed)).bind(each.shown).run();
      added += sqlite3_changes(db_);
    }
    for (const auto& [key, value] : notes) set_note(key, value);
  });
  return added;
}

int64_t Store::count_prompts(std::string_view origin) const {
  Statement count(*this, "SELECT count(*) FROM prompts WHERE ?1 = '' OR origin = ?1");
  count.bind(origin).next();
  return count.number(0);
}

void Store::each_prompt(const std::function<bool(const StoredPrompt&)>& visit) const {
  Statement read(*this, "SELECT id, text, origin, model, seed, shown, cluster, round FROM prompts ORDER BY id");
  while (read.next()) {
    const bool on = visit({.id = read.number(0),
                           .text = read.text(1),
                           .origin = read.text(2),
                           .model = read.text(3),
                           .seed = static_cast<uint64_t>(read.number(4)),
                           .shown = read.text(5),
                           .cluster = read.number(6),
                           .round = read.number(7)});
    if (!on) return;
  }
}

std::vector<StoredPrompt> Store::prompts(std::string_view origin) const {
  std::vector<StoredPrompt> found;
  each_prompt([&](const StoredPrompt& prompt) {
    if (origin.empty() || prompt.origin == origin) found.push_back(prompt);
    return true;
  });
  return found;
}

std::vector<std::pair<int64_t, int64_t>> Store::unused_prompts() const {
  Statement read(*this, "SELECT id, cluster FROM prompts WHERE round = 0 AND origin = 'synthetic' ORDER BY id");
  std::vector<std::pair<int64_t, int64_t>> found;
  while (read.next()) found.emplace_back(read.number(0), read.number(1));
  return found;
}

std::vector<int64_t> Store::cluster_sizes() const {
  Statement read(*this, "SELECT count(*) FROM prompts WHERE cluster >= 0 GROUP BY cluster ORDER BY count(*) DESC");
  std::vector<int64_t> sizes;
  while (read.next()) sizes.push_back(read.number(0));
  return sizes;
}

void Store::set_clusters(const std::vector<std::pair<int64_t, int64_t>>& clusters) {
  together([&] {
    Statement update(*this, "UPDATE prompts SET cluster = ? WHERE id = ?");
    for (const auto& [id, cluster] : clusters) update.bind(cluster).bind(id).run();
  });
}

void Store::use_prompts(const std::vector<int64_t>& ids, int64_t round) {
  together([&] {
    Statement update(*this, "UPDATE prompts SET round = ? WHERE id = ? AND round = 0");
    for (const int64_t id : ids) {
      update.bind(round).bind(id).run();
      if (sqlite3_changes(db_) != 1) throw UserError("[align] prompt {} was used in an earlier round", id);
    }
  });
}

std::vector<StoredPrompt> Store::prompts_of_round(int64_t round) const {
  Statement read(*this, "SELECT id, text, origin, cluster FROM prompts WHERE round = ? ORDER BY id");
  read.bind(round);
  std::vector<StoredPrompt> found;
  while (read.next())
    found.push_back({.id = read.number(0),
                     .text = read.text(1),
                     .origin = read.text(2),
                     .cluster = read.number(3),
                     .round = round});
  return found;
}

std::optional<StoredStep> Store::step(std::string_view name) const {
  Statement read(*this, "SELECT name, state, started, seconds, detail FROM steps WHERE name = ?");
  if (!read.bind(name).next()) return std::nullopt;
  return StoredStep{read.text(0), read.text(1), read.real(2), read.real(3), read.text(4)};
}

std::vector<StoredStep> Store::steps() const {
  Statement read(*this, "SELECT name, state, started, seconds, detail FROM steps ORDER BY started, rowid");
  std::vector<StoredStep> found;
  while (read.next()) found.push_back({read.text(0), read.text(1), read.real(2), read.real(3), read.text(4)});
  return found;
}

void Store::put_step(const StoredStep& step) {
  Statement(
      *this,
      "INSERT INTO steps VALUES (?, ?, ?, ?, ?) ON CONFLICT (name) DO UPDATE SET state = excluded.state, seconds = "
      "excluded.seconds, detail = excluded.detail")
      .bind(step.name)
      .bind(step.state)
      .bind(step.started)
      .bind(step.seconds)
      .bind(step.detail)
      .run();
}

}  // namespace tessera::align
