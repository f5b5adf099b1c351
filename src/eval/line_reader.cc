// zlib expands 64 KB at a time; a file may hold several gzip members, as `cat a.gz b.gz` makes them.
#include "eval/line_reader.h"

#include <algorithm>
#include <array>
#include <limits>
#include <utility>

#include <zlib.h>

#include "core/error.h"
#include "core/text_file.h"

namespace tessera::eval {

namespace {
constexpr size_t longest_line = size_t{64} << 20;
constexpr std::string_view gzip_magic = "\x1f\x8b";
}  // namespace

struct LineReader::Inflater {
  z_stream stream{};
  std::string_view rest;  // compressed bytes that zlib has not been given
  bool ended = false;     // the last member is complete
  std::array<char, 1 << 16> buffer;

  explicit Inflater(std::string_view bytes) : rest(bytes) {
    constexpr int gzip_window = 15 + 16;  // the largest window, gzip's header and check sum
    if (inflateInit2(&stream, gzip_window) != Z_OK) throw FaultError("[eval] zlib has no memory");
  }
  ~Inflater() { inflateEnd(&stream); }
  Inflater(const Inflater&) = delete;
  Inflater& operator=(const Inflater&) = delete;

  void feed() {
    if (stream.avail_in > 0 || rest.empty()) return;
    const size_t count = std::min<size_t>(rest.size(), std::numeric_limits<uInt>::max());
    stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(rest.data()));  // zlib reads only
    stream.avail_in = static_cast<uInt>(count);
    rest.remove_prefix(count);
  }
};

LineReader::LineReader(std::string_view bytes, std::string source) : source_(std::move(source)) {
  if (bytes.starts_with(gzip_magic)) inflater_ = std::make_unique<Inflater>(bytes);
  else plain_ = bytes;
}

LineReader::~LineReader() = default;

std::string LineReader::where() const { return fmt::format("{} line {}", source_, number_); }

/// Fills the empty window; false at the end of the file.
bool LineReader::refill() {
  if (inflater_ == nullptr) {
    window_ = std::exchange(plain_, {});
    return !window_.empty();
  }
  Inflater& from = *inflater_;
  while (!from.ended) {
    from.feed();
    from.stream.next_out = reinterpret_cast<Bytef*>(from.buffer.data());
    from.stream.avail_out = static_cast<uInt>(from.buffer.size());
    const int status = inflate(&from.stream, Z_NO_FLUSH);
    if (status == Z_STREAM_END) {
      from.feed();
      from.ended = from.stream.avail_in == 0;
      if (!from.ended) inflateReset(&from.stream);
    }
    // What stood before a fault comes first, so that the fault's line is right; zlib says the fault again.
    if (const size_t count = from.buffer.size() - from.stream.avail_out; count > 0) {
      window_ = {from.buffer.data(), count};
      return true;
    }
    if (status == Z_BUF_ERROR)
      throw UserError("[eval] {} after line {}: the compressed data end too early; is the file whole?", source_,
                      number_);
    if (status != Z_OK && status != Z_STREAM_END) {
      throw UserError("[eval] {} after line {}: the compressed data are broken ({})", source_, number_,
                      from.stream.msg == nullptr ? "no gzip" : from.stream.msg);
    }
  }
  return false;
}

/// The next line, blank or not.
bool LineReader::read_line(std::string& line) {
  line.clear();
  bool any = false;
  while (!window_.empty() || refill()) {
    if (!any) ++number_;
    any = true;
    const size_t end = window_.find('\n');
    const std::string_view part = window_.substr(0, end);
    if (line.size() + part.size() > longest_line)
      throw UserError("[eval] {} is longer than {} MB", where(), longest_line >> 20);
    line += part;
    window_.remove_prefix(end == std::string_view::npos ? window_.size() : end + 1);
    if (end != std::string_view::npos) return true;
  }
  return any;
}

bool LineReader::next(std::string& line) {
  while (read_line(line)) {
    if (is_blank(line)) continue;
    if (line.back() == '\r') line.pop_back();
    return true;
  }
  return false;
}

}  // namespace tessera::eval
