// A SentencePiece model file: its pieces, and how a text becomes pieces. The fields of its protobuf that decide ids.
#pragma once

#include <cstdint>
#include <optional>
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
  enum class Model { unigram = 1, bpe = 2, word = 3, character = 4 };

  std::vector<Piece> pieces;
  Model model = Model::unigram;
  bool byte_fallback = false;        // what no piece has is written in bytes
  bool blank_at_end = false;         // of words, not before them
  bool adds_dummy_prefix = true;     // a blank before every text
  bool removes_extra_blanks = true;  // around a text, and all but one of a run
  bool escapes_blanks = true;        // a space becomes U+2581
  std::string
      character_map;  // of the normalizer: a double-array trie of 4-byte units, after their size, and texts ended by zeros
  std::string begin = "<s>", end = "</s>", pad = "<pad>";  // names of these pieces, whether or not there are such

  int32_t unknown() const;                                      // the id of the one piece for what has no piece
  std::optional<int32_t> control(std::string_view name) const;  // the id of a control piece
};

/// Reads the fields and checks what encoding assumes: valid lengths, pieces at all, no piece twice, one for the unknown, scores that are
/// numbers, all 256 bytes or none, a normalizer whose tables stay inside themselves. Throws UserError; `source` names the file.
SentencePieceFile read_sentencepiece_file(std::string_view bytes, const std::string& source);

}  // namespace tessera::text
