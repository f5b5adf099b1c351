// Checks of where pictures are, and how the released layout says it.
#include "models/liquid/config.h"

#include <array>
#include <cmath>

#include "core/error.h"

namespace tessera::liquid {

void validate(const PictureTokens& p, const lm::LmConfig& model, const text::Tokenizer& tokenizer,
              const std::string& where) {
  if (p.codes < 2 || p.edge < 1 || p.edge > 1024 || p.first < 0)
    throw UserError("[liquid] {}: pictures of {} codes an edge out of {} from id {}; want at least 1 out of 2", where,
                    p.edge, p.codes, p.first);
  if (p.codes > model.vocabulary || p.first > model.vocabulary - p.codes)
    throw UserError(
        "[liquid] {}: the embedding has {} rows, want {}: {} before the picture codes and {} of them; the rows of the "
        "codes are missing",
        where, model.vocabulary, p.first + p.codes, p.first, p.codes);
  for (const auto& [name, id] : {std::pair("begin", p.begin), {"end", p.end}, {"unconditional", p.unconditional}}) {
    if (id < 0 || id >= model.vocabulary || p.is_code(id))
      throw UserError("[liquid] {}: pictures.{} is {}, want an id of the {} that is no picture code", where, name, id,
                      model.vocabulary);
  }
  if (p.begin == p.end || p.begin == p.unconditional || p.end == p.unconditional)
    throw UserError("[liquid] {}: pictures.begin, end and unconditional are {}, {} and {}; want three ids", where,
                    p.begin, p.end, p.unconditional);
  for (int64_t id = p.first; id < std::min(p.first + p.codes, tokenizer.vocabulary()); ++id) {
    const std::string token = tokenizer.token_of(static_cast<int32_t>(id));
    if (token.empty() || tokenizer.is_added(static_cast<int32_t>(id))) continue;
    throw UserError(
        "[liquid] {}: id {} is the tokenizer's '{}' and picture code {} at once; they do not belong together", where,
        id, token, id - p.first);
  }
  if (p.count() + 3 > model.context)
    throw UserError("[liquid] {}: a picture has {} codes, the context is {} positions; too short for one picture",
                    where, p.count(), model.context);
}

void validate(const DrawDefaults& d) {
  const auto want = [](bool good, std::string_view name, double got, std::string_view wanted) {
    if (!good) throw UserError("[draw] {} is {}, want {}", name, got, wanted);
  };
  want(d.cfg >= 0 && d.cfg <= 1000, "cfg", d.cfg, "0 to 1000");
  want(d.temperature >= 0 && d.temperature <= 1000, "tau", d.temperature, "0 (the most likely code) to 1000");
  want(d.top_k >= 0, "top_k", static_cast<double>(d.top_k), "at least 0 (all)");
  want(d.top_p > 0 && d.top_p <= 1, "top_p", d.top_p, "more than 0 and at most 1");
  want(d.window >= 1 && d.window <= 4096, "window", static_cast<double>(d.window), "1 (nothing is guessed) to 4096");
  want(d.settle >= 0, "settle", static_cast<double>(d.settle), "at least 0 (never)");
}

void require_same_codes(const PictureTokens& pictures, const vq::VqConfig& codec) {
  if (codec.codes != pictures.codes)
    throw UserError(
        "[liquid] codec and language model do not belong together: codec '{}' has {} codes, the vocabulary {}",
        codec.name, codec.codes, pictures.codes);
  if (codec.edge() != pictures.edge)
    throw UserError(
        "[liquid] codec and language model do not belong together: a picture of codec '{}' has {} x {} codes, the "
        "model "
        "draws {} x {}",
        codec.name, codec.edge(), codec.edge(), pictures.edge, pictures.edge);
}

PictureTokens released_pictures(const lm::LmConfig& model, const text::Tokenizer& tokenizer, const vq::VqConfig& codec,
                                const std::string& where) {
  constexpr std::array<std::array<const char*, 2>, 3> names{
      {{"<boi>", "<unused0>"}, {"<eoi>", "<unused1>"}, {"<unconditional>", "<unused2>"}}};
  std::array<int64_t, 3> ids{};
  for (size_t i = 0; i < names.size(); ++i) {
    auto id = tokenizer.id_of(names[i][0]);
    if (!id) id = tokenizer.id_of(names[i][1]);
    if (!id)
      throw UserError("[liquid] {}: the tokenizer has neither {} nor {}, which stand around pictures", where,
                      names[i][0], names[i][1]);
    ids[i] = *id;
  }
  const int64_t words = tokenizer.vocabulary();
  if (model.vocabulary < words + codec.codes)
    throw UserError(
        "[liquid] {}: the embedding has {} rows, want {}: {} of the tokenizer and {} picture codes; the rows of the "
        "codes "
        "are missing",
        where, model.vocabulary, words + codec.codes, words, codec.codes);
  return {.first = words,
          .codes = codec.codes,
          .edge = codec.edge(),
          .begin = ids[0],
          .end = ids[1],
          .unconditional = ids[2]};
}

}  // namespace tessera::liquid
