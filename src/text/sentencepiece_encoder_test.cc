// Ids equal those of the SentencePiece library for every kind of model, normalizer and piece; no text takes quadratic time.
#include "text/sentencepiece_encoder.h"

#include <gmock/gmock.h>
#include <sentencepiece_processor.h>

#include <chrono>
#include <cmath>

#include "core/error.h"
#include "core/files.h"
#include "core/rng.h"
#include "text/gguf_tokenizer.h"

namespace tessera::text {
namespace {

using Ids = std::vector<int32_t>;
using Settings = std::vector<std::pair<uint64_t, uint64_t>>;  // numbers of fields and their values

std::string varint(uint64_t value) {
  std::string bytes;
  for (; value >= 0x80; value >>= 7) bytes += static_cast<char>(value | 0x80);
  return bytes + static_cast<char>(value);
}

/// A message behind a file's others: its fields replace theirs.
std::string message(uint64_t number, const Settings& settings) {
  std::string fields;
  for (const auto& [field, value] : settings) fields += varint(field << 3) + varint(value);
  return varint(number << 3 | 2) + varint(fields.size()) + fields;
}
std::string trainer(const Settings& settings) { return message(2, settings); }
std::string normalizer(const Settings& settings) { return message(3, settings); }
constexpr uint64_t model = 3, blank_at_end = 24, byte_fallback = 35;
constexpr uint64_t dummy_prefix = 3, trims = 4, escapes = 5;

std::string golden(const char* name) { return read_file(Path(TESSERA_SOURCE_DIR) / "tests/golden/data/text" / name); }

/// The pieces of a file as BPE of another kind: some unused, some found before all else, some that reach across blanks; scores that tie.
std::string changed(const std::string& bytes, PieceKind kind, double share, float step, uint64_t seed) {
  const SentencePieceFile file = read_sentencepiece_file(bytes, "golden");
  Rng rng(seed);
  std::vector<PieceRow> rows;
  for (const auto& piece : file.pieces) {
    const bool change = piece.kind == PieceKind::normal && rng.uniform() < share;
    rows.push_back({.text = piece.text,
                    .score = step > 0 ? std::round(piece.score / step) * step : piece.score,
                    .kind = static_cast<int>(change ? kind : piece.kind)});
  }
  const std::vector<std::string> across = {"e\xE2\x96\x81", "s\xE2\x96\x81t", "\xE2\x96\x81\xE2\x96\x81x"};
  for (const std::string& text : across) {
    if (seed % 2 == 0) rows.push_back({.text = text, .score = -2, .kind = static_cast<int>(PieceKind::normal)});
  }
  return sentencepiece_file(rows, seed % 3 == 0);
}

using Named = std::vector<std::pair<std::string, std::string>>;

Named models() {
  const std::string gemma = golden("gemma/tokenizer.model"), t5 = golden("t5/spiece.model");
  const Named bases = {{"gemma", gemma}, {"t5", t5}, {"t5 as BPE", t5 + trainer({{model, 2}})}};
  Named all;
  for (uint64_t kind = 1; kind <= 4; ++kind) {
    all.emplace_back(fmt::format("gemma as {}", kind), gemma + trainer({{model, kind}}));
    all.emplace_back(fmt::format("t5 as {}", kind), t5 + trainer({{model, kind}}));
  }
  for (const auto& [name, bytes] : bases) {
    all.emplace_back(name, bytes);
    for (const uint64_t flag : {0, 1}) {
      for (const uint64_t rule : {dummy_prefix, trims, escapes})
        all.emplace_back(fmt::format("{} with rule {} = {}", name, rule, flag), bytes + normalizer({{rule, flag}}));
    }
    all.emplace_back(fmt::format("{} with blanks at the end", name),
                     bytes + trainer({{blank_at_end, 1}}) + normalizer({{dummy_prefix, 1}}));
  }
  for (uint64_t seed = 0; seed < 6; ++seed) {
    const PieceKind kind = seed < 3 ? PieceKind::unused : PieceKind::user_defined;
    const std::string bpe = changed(seed % 2 == 0 ? gemma : t5, kind, 0.1, seed % 3 == 1 ? 40.0f : 0.0f, seed);
    all.emplace_back(fmt::format("changed {}", seed), bpe);
    all.emplace_back(fmt::format("changed {} as unigram", seed), bpe + trainer({{model, 1}}));
  }
  return all;
}

std::string any_text(Rng& rng) {
  const std::vector<std::string> parts = {"the",
                                          " cats",
                                          " sat on",
                                          "  ",
                                          "\n",
                                          "\t",
                                          " ",
                                          "e\xCC\x81",
                                          "\xC3\xA9",
                                          "\xE7\x8C\xAB",
                                          "\xF0\x9F\x98\x80",
                                          "1984",
                                          "'s",
                                          "\xEF\xAC\x81",
                                          "=====",
                                          "\xE2\x96\x81",
                                          "<s>",
                                          "</s>",
                                          "<unk>",
                                          "<0x41>",
                                          "zzzz",
                                          "Tolstoy's",
                                          std::string(1, '\0'),
                                          "\xEF\xBF\xBD",
                                          "\xE3\x80\x80",
                                          "aaaaaaaaaa",
                                          "\xE1\x84\x80\xE1\x85\xA1"};
  std::string text;
  for (uint64_t i = rng.below(25); i > 0; --i) text += parts[rng.below(parts.size())];
  return text;
}

TEST(SentencePieceEncoder, GivesTheIdsOfTheLibraryWhateverTheModel) {
  for (const auto& [name, bytes] : models()) {
    sentencepiece::SentencePieceProcessor library;
    ASSERT_TRUE(library.LoadFromSerializedProto(bytes).ok()) << name;
    const SentencePieceFile file = read_sentencepiece_file(bytes, name);
    const SentencePieceEncoder encoder(file);
    EXPECT_EQ(file.control(file.begin).value_or(-1), library.bos_id()) << name;
    EXPECT_EQ(file.control(file.end).value_or(-1), library.eos_id()) << name;
    EXPECT_EQ(file.control(file.pad).value_or(-1), library.pad_id()) << name;
    for (uint64_t seed = 0; seed < 150; ++seed) {
      Rng rng(seed);
      const std::string text = any_text(rng);
      Ids ids, want;
      encoder.encode(text, ids);
      ASSERT_TRUE(library.Encode(text, &want).ok()) << name;
      ASSERT_EQ(ids, want) << name << ": " << text;
    }
  }
}

TEST(SentencePieceEncoder, TimeIsLinearInARunOfUnknownCharacters) {
  const SentencePieceEncoder encoder(read_sentencepiece_file(golden("t5/spiece.model"), "t5"));
  const auto began = std::chrono::steady_clock::now();
  Ids ids;
  encoder.encode(std::string(4'000'000, '\0'), ids);
  EXPECT_LT(ids.size(), 4u);
  EXPECT_LT(std::chrono::steady_clock::now() - began, std::chrono::seconds(30));  // quadratic work took minutes
}

TEST(SentencePieceEncoder, ModelsThatTheLibraryRefusesAreRefused) {
  const std::string gemma = golden("gemma/tokenizer.model");
  for (const std::string& bytes : {gemma + trainer({{byte_fallback, 0}}), gemma + trainer({{model, 5}}), std::string()})
    EXPECT_THROW(read_sentencepiece_file(bytes, "test"), UserError);
}

}  // namespace
}  // namespace tessera::text
