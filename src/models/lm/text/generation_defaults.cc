// The files are other people's: what is known is checked, the rest is left alone.
#include "models/lm/text/writes.h"

#include <algorithm>
#include <filesystem>
#include <limits>

#include "core/error.h"

namespace tessera::lm {

namespace {

/// Reads key `name` into `value` when it is there and not null.
template <class T> void read(const Json& tree, const char* name, T& value, std::string_view source) {
  const auto found = tree.find(name);
  if (found != tree.end() && !found->is_null()) from_json(*found, value, source, name);
}

/// An id or a list of ids.
void read_end_tokens(const Json& tree, std::vector<int32_t>& ids, std::string_view source) {
  const auto found = tree.find("eos_token_id");
  if (found == tree.end() || found->is_null()) return;
  const Json list = found->is_array() ? *found : Json::array({*found});
  for (const Json& item : list) {
    const bool whole = item.is_number_integer();
    const int64_t id = whole ? item.get<int64_t>() : -1;
    if (!whole || id < 0 || id > std::numeric_limits<int32_t>::max())
      throw UserError("[lm] {}: eos_token_id holds {}, want token ids", source, item.dump());
    if (std::find(ids.begin(), ids.end(), id) == ids.end()) ids.push_back(static_cast<int32_t>(id));
  }
}

generate::TokenSampling checked(const generate::TokenSampling& sampling, std::string_view source) {
  try {
    generate::check(sampling);
  } catch (const UserError& error) {
    throw UserError("{} (in {})", error.what(), source);
  }
  return sampling;
}

/// The numbers of a file, temperature 1 where it gives none. Where the file does not say that the model `draws`, numbers that nobody can draw
/// with are left alone, as in the reference.
generate::TokenSampling read_sampling(const Json& tree, bool draws, std::string_view source) {
  generate::TokenSampling sampling{.temperature = 1};
  read(tree, "repetition_penalty", sampling.repetition_penalty, source);
  const generate::TokenSampling unsaid = checked(sampling, source);
  try {
    read(tree, "temperature", sampling.temperature, source);
    read(tree, "top_k", sampling.top_k, source);
    read(tree, "top_p", sampling.top_p, source);
    read(tree, "min_p", sampling.min_p, source);
    return checked(sampling, source);
  } catch (const UserError&) {
    if (draws) throw;
  }
  return unsaid;
}

}  // namespace

GenerationDefaults generation_defaults(const Path& directory, const Json& config) {
  GenerationDefaults defaults;
  const Path file = directory / "generation_config.json";
  if (std::filesystem::exists(file)) {
    const std::string source = file.string();
    const Json tree = read_json_file(file);
    if (!tree.is_object()) throw UserError("[lm] {} holds no table of fields", source);
    read_end_tokens(tree, defaults.end_tokens, source);
    bool draws = false;
    read(tree, "do_sample", draws, source);
    defaults.drawn = read_sampling(tree, draws, source);
    defaults.sampling = draws ? defaults.drawn : generate::TokenSampling{};
    defaults.sampling.repetition_penalty = defaults.drawn.repetition_penalty;
  }
  read_end_tokens(config, defaults.end_tokens, (directory / "config.json").string());
  return defaults;
}

}  // namespace tessera::lm
