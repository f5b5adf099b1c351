// A statement of the store with its values; for the store's own files alone.
#pragma once

#include <sqlite3.h>

#include "align/store.h"

namespace tessera::align {

/// SQLite's whole numbers have a sign; the bits are the same.
inline int64_t as_signed(uint64_t value) { return static_cast<int64_t>(value); }

/// A statement with its values, which are bound in order.
class Store::Statement {
 public:
  Statement(const Store& store, std::string_view sql) : store_(&store) {
    if (sqlite3_prepare_v2(store.db_, sql.data(), static_cast<int>(sql.size()), &statement_, nullptr) != SQLITE_OK)
      store.fail("prepare a statement");
  }
  ~Statement() { sqlite3_finalize(statement_); }
  Statement(const Statement&) = delete;
  Statement& operator=(const Statement&) = delete;

  Statement& bind(int64_t value) {
    sqlite3_bind_int64(statement_, ++bound_, value);
    return *this;
  }
  Statement& bind(double value) {
    sqlite3_bind_double(statement_, ++bound_, value);
    return *this;
  }
  Statement& bind(std::string_view value) {
    sqlite3_bind_text64(statement_, ++bound_, value.empty() ? "" : value.data(), value.size(), SQLITE_TRANSIENT,
                        SQLITE_UTF8);
    return *this;
  }
  /// The next row; false at the end.
  bool next() {
    const int result = sqlite3_step(statement_);
    if (result == SQLITE_ROW) return true;
    if (result != SQLITE_DONE) store_->fail("run a statement");
    return false;
  }
  /// Runs it and makes it ready for other values.
  void run() {
    next();
    sqlite3_reset(statement_);
    bound_ = 0;
  }
  int64_t number(int column) const { return sqlite3_column_int64(statement_, column); }
  double real(int column) const { return sqlite3_column_double(statement_, column); }
  std::string text(int column) const {
    const auto* bytes = reinterpret_cast<const char*>(sqlite3_column_text(statement_, column));
    return bytes == nullptr ? "" : std::string(bytes, static_cast<size_t>(sqlite3_column_bytes(statement_, column)));
  }

 private:
  const Store* store_;
  sqlite3_stmt* statement_ = nullptr;
  int bound_ = 0;
};

}  // namespace tessera::align
