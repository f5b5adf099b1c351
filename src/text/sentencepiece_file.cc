// See sentencepiece_file.h. Field numbers are those of sentencepiece_model.proto.
#include "text/sentencepiece_file.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <unordered_set>

#include "core/error.h"
#include "text/byte_alphabet.h"
#include "text/unicode.h"

namespace tessera::text {

namespace {
/// One field of a protobuf message: a number or a stretch of bytes.
struct Field {
  uint64_t number = 0, value = 0;
  std::string_view bytes;
};

/// Walks the fields of one message.
class ProtobufFields {
 public:
  ProtobufFields(std::string_view bytes, const std::string& source) : bytes_(bytes), source_(source) {}

  std::optional<Field> next() {
    if (bytes_.empty()) return std::nullopt;
    const uint64_t tag = number();
    Field field{.number = tag >> 3};
    switch (tag & 7) {
      case 0:
        field.value = number();
        break;
      case 1:
        field.bytes = take(8);
        break;
      case 2:
        field.bytes = take(number());
        break;
      case 5:
        field.bytes = take(4);
        break;
      default:
        damaged();
    }
    return field;
  }

 private:
  [[noreturn]] void damaged() const { throw UserError("[text] {} is no SentencePiece model, or is damaged", source_); }

  uint64_t number() {
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 64 && !bytes_.empty(); shift += 7) {
      const auto byte = static_cast<unsigned char>(bytes_.front());
      bytes_.remove_prefix(1);
      value |= static_cast<uint64_t>(byte & 0x7F) << shift;
      if (byte < 0x80) return value;
    }
    damaged();
  }

  std::string_view take(uint64_t count) {
    if (count > bytes_.size()) damaged();
    const std::string_view taken = bytes_.substr(0, count);
    bytes_.remove_prefix(count);
    return taken;
  }

  std::string_view bytes_;
  const std::string& source_;
};

SentencePieceFile::Piece read_piece(std::string_view bytes, const std::string& source) {
  SentencePieceFile::Piece piece;
  ProtobufFields fields(bytes, source);
  while (const auto field = fields.next()) {
    if (field->number == 1) piece.text = std::string(field->bytes);
    if (field->number == 2 && field->bytes.size() == sizeof piece.score)
      std::memcpy(&piece.score, field->bytes.data(), sizeof piece.score);
    if (field->number == 3 && (field->value < 1 || field->value > 6))
      throw UserError("[text] {}: a piece is of kind {}, want 1 to 6", source, field->value);
    if (field->number == 3) piece.kind = static_cast<PieceKind>(field->value);
  }
  return piece;
}

/// The normalizer's table: the size of a double-array trie, its units, then texts ended by zeros. Follows every way
/// through the trie and throws where one leaves the units or the texts.
void check_character_map(std::string_view map, const std::string& source) {
  if (map.empty()) return;
  const auto damaged = [&] { throw UserError("[text] {}: the table of its normalizer is damaged", source); };
  uint32_t size = 0;
  if (map.size() > sizeof size) std::memcpy(&size, map.data(), sizeof size);
  if (size < 4 || size % 4 != 0 || size >= map.size() - sizeof size || map.back() != '\0') damaged();
  const std::string_view texts = map.substr(sizeof size + size);
  std::vector<uint32_t> units(size / 4);
  std::memcpy(units.data(), map.data() + sizeof size, size);

  std::vector<uint8_t> seen(units.size());
  std::vector<uint32_t> open = {0};
  seen[0] = 1;
  while (!open.empty()) {
    const uint32_t at = open.back();
    open.pop_back();
    const uint32_t unit = units[at], base = at ^ ((unit >> 10) << ((unit & 0x200) >> 6));
    if ((base | 0xFF) >= units.size()) damaged();
    if ((unit >> 8 & 1) != 0 && (units[base] & 0x7FFFFFFF) >= texts.size()) damaged();
    for (uint32_t label = 0; label < 256; ++label) {
      const uint32_t child = base ^ label;
      if ((units[child] & 0x800000FF) != label || seen[child] != 0) continue;
      seen[child] = 1;
      open.push_back(child);
    }
  }
}

void read_trainer(std::string_view bytes, const std::string& source, SentencePieceFile& file) {
  ProtobufFields fields(bytes, source);
  const auto name = [](std::string_view given, std::string_view otherwise) {
    return std::string(given.empty() ? otherwise : given);
  };
  while (const auto field = fields.next()) {
    if (field->number == 3) {
      if (field->value < 1 || field->value > 4)
        throw UserError("[text] {}: the model is of kind {}, want 1 (unigram), 2 (BPE), 3 (word) or 4 (char)", source,
                        field->value);
      file.model = static_cast<SentencePieceFile::Model>(field->value);
    }
    if (field->number == 24) file.blank_at_end = field->value != 0;
    if (field->number == 35) file.byte_fallback = field->value != 0;
    if (field->number == 46) file.begin = name(field->bytes, "<s>");
    if (field->number == 47) file.end = name(field->bytes, "</s>");
    if (field->number == 48) file.pad = name(field->bytes, "<pad>");
  }
}

void read_normalizer(std::string_view bytes, const std::string& source, SentencePieceFile& file) {
  ProtobufFields rules(bytes, source);
  while (const auto rule = rules.next()) {
    if (rule->number == 2) {
      check_character_map(rule->bytes, source);
      file.character_map = std::string(rule->bytes);
    }
    if (rule->number == 3) file.adds_dummy_prefix = rule->value != 0;
    if (rule->number == 4) file.removes_extra_blanks = rule->value != 0;
    if (rule->number == 5) file.escapes_blanks = rule->value != 0;
  }
}

void check_pieces(const SentencePieceFile& file, const std::string& source) {
  if (file.pieces.empty()) throw UserError("[text] {} is no SentencePiece model, or is damaged", source);
  std::unordered_set<std::string_view> names, bytes;
  size_t unknown = 0;
  for (const auto& piece : file.pieces) {
    if (piece.text.empty() || to_utf8(piece.text) != piece.text || !names.insert(piece.text).second)
      throw UserError("[text] {}: piece {} is empty, no UTF-8 or there twice", source, &piece - file.pieces.data());
    if (std::isnan(piece.score))
      throw UserError("[text] {}: the score of piece {} is no number", source, &piece - file.pieces.data());
    unknown += piece.kind == PieceKind::unknown;
    if (piece.kind != PieceKind::byte) continue;
    if (!byte_named(piece.text) || name_of_byte(*byte_named(piece.text)) != piece.text)
      throw UserError("[text] {}: piece {} stands for no byte", source, &piece - file.pieces.data());
    bytes.insert(piece.text);
  }
  if (unknown != 1) throw UserError("[text] {}: {} pieces stand for what is unknown, want one", source, unknown);
  if (bytes.size() != (file.byte_fallback ? 256 : 0))
    throw UserError("[text] {}: {} pieces stand for bytes, want {}", source, bytes.size(),
                    file.byte_fallback ? "256, since byte_fallback is on" : "none, since byte_fallback is off");
}
}  // namespace

int32_t SentencePieceFile::unknown() const {
  const auto found = std::ranges::find(pieces, PieceKind::unknown, &Piece::kind);
  return static_cast<int32_t>(found - pieces.begin());
}

std::optional<int32_t> SentencePieceFile::control(std::string_view name) const {
  const auto found = std::ranges::find(pieces, name, &Piece::text);
  if (found == pieces.end() || found->kind != PieceKind::control) return std::nullopt;
  return static_cast<int32_t>(found - pieces.begin());
}

SentencePieceFile read_sentencepiece_file(std::string_view bytes, const std::string& source) {
  SentencePieceFile file;
  ProtobufFields model(bytes, source);
  while (const auto field = model.next()) {
    if (field->number == 1) file.pieces.push_back(read_piece(field->bytes, source));
    if (field->number == 2) read_trainer(field->bytes, source, file);
    if (field->number == 3) read_normalizer(field->bytes, source, file);
  }
  check_pieces(file, source);
  return file;
}

}  // namespace tessera::text
