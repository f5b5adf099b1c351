// See token_rows.h.
#include "models/lm/architecture/token_rows.h"

#include <string>
#include <vector>

#include <fmt/ranges.h>

#include "core/error.h"
#include "core/log.h"

namespace tessera::lm {

void require_rows_for(const LmConfig& config, const text::Tokenizer& tokenizer, const Path& where) {
  const int64_t ids = tokenizer.vocabulary();
  std::vector<std::string> without;
  for (int64_t id = config.vocabulary; id < ids; ++id) {
    const std::string token = tokenizer.token_of(static_cast<int32_t>(id));
    if (token.empty()) continue;  // a gap in the numbering
    if (!tokenizer.is_added(static_cast<int32_t>(id)))
      throw UserError("[lm] {}: the tokenizer has {} ids, the embedding only {} rows; they do not belong together",
                      where.string(), ids, config.vocabulary);
    without.push_back(token);
  }
  if (without.empty()) return;
  constexpr size_t most = 4;
  const size_t shown = std::min(without.size(), most);
  log_warning("[lm] {}: the embedding has {} rows, none for {} added tokens ({}{}); texts that use them are refused",
              where.string(), config.vocabulary, without.size(),
              fmt::join(without.begin(), without.begin() + static_cast<int64_t>(shown), ", "),
              without.size() > most ? ", ..." : "");
}

void require_rows(const LmConfig& config, const text::Tokenizer& tokenizer, std::span<const int32_t> ids,
                  std::string_view what) {
  for (const int32_t id : ids) {
    if (id >= 0 && id < config.vocabulary) continue;
    const bool known = id >= 0 && id < tokenizer.vocabulary();
    throw UserError("[lm] {} has the token '{}' (id {}), which has no row in the embedding, want ids 0 to {}", what,
                    known ? tokenizer.token_of(id) : "", id, config.vocabulary - 1);
  }
}

}  // namespace tessera::lm
