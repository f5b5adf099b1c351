// Compression for tests: the library reads gzip and never writes it.
#pragma once

#include <string>

#include <gtest/gtest.h>
#include <zlib.h>

namespace tessera::eval::testing {

/// `text` as one gzip member.
inline std::string gzipped(const std::string& text) {
  z_stream stream{};
  EXPECT_EQ(deflateInit2(&stream, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
  std::string out(deflateBound(&stream, text.size()) + 64, '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
  stream.avail_in = static_cast<uInt>(text.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  EXPECT_EQ(deflate(&stream, Z_FINISH), Z_STREAM_END);
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return out;
}

/// What `read` refuses with, or "accepted".
template <class Read> std::string refusal(const Read& read) {
  try {
    read();
  } catch (const std::exception& error) {
    return error.what();
  }
  return "accepted";
}

}  // namespace tessera::eval::testing
