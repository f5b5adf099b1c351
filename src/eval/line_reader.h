// Lines of a file in memory, plain or gzip-compressed, one at a time. What a compressed file expands to is never in
// memory as a whole, so that a small file cannot ask for much.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace tessera::eval {

class LineReader {
 public:
  /// `bytes` must outlive the reader; gzip is recognised by its first two bytes. `source` names the file in errors.
  LineReader(std::string_view bytes, std::string source);
  ~LineReader();
  LineReader(const LineReader&) = delete;
  LineReader& operator=(const LineReader&) = delete;

  /// Moves to the next line that is not blank, without its end; false after the last one. Throws UserError that names
  /// file and line: for compressed data that is broken or ends too early, and for a line of more than 64 MB.
  bool next(std::string& line);
  /// "requests.jsonl.gz line 3": the line that next() gave last.
  std::string where() const;

 private:
  struct Inflater;
  bool refill();
  bool read_line(std::string& line);

  std::string source_;
  std::string_view plain_;              // of a file that is not compressed, what is not read yet
  std::string_view window_;             // expanded and not read yet
  std::unique_ptr<Inflater> inflater_;  // null for a plain file
  int64_t number_ = 0;
};

}  // namespace tessera::eval
