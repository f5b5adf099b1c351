// The pieces of a SentencePiece model file: the few fields of its protobuf that the library does not hand
// out.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace tessera::text {

enum class PieceKind { normal = 1, unknown = 2, control = 3, user_defined = 4, unused = 5, byte = 6 };

struct SentencePieceFile {
  struct Piece {
    std::string text;
    PieceKind kind = PieceKind::normal;
    float score = 0;
  };
  std::vector<Piece> pieces;
  bool adds_dummy_prefix = true;  // a blank before every text
};

/// Reads the fields and checks what the library assumes: valid lengths, pieces at all, no piece twice, a
/// normalizer whose tables stay inside themselves. Throws UserError; `source` names the file.
SentencePieceFile read_sentencepiece_file(std::string_view bytes, const std::string& source);

}  // namespace tessera::text
