// `tessera pull`: the command line's side of hub/pull.h.
#include "apps/pull.h"

#include <algorithm>
#include <cstdlib>

#include <fmt/ranges.h>

#include "core/error.h"
#include "core/log.h"
#include "core/model_cache.h"
#include "hub/pull.h"

namespace tessera::apps {

namespace {

/// ORG/NAME of a page's address, ORG/NAME@REVISION of one that ends in /tree/REVISION; other texts as they are.
std::string without_host(const std::string& text) {
  std::string_view rest = text;
  for (const std::string_view scheme : {"https://", "http://"}) {
    if (rest.starts_with(scheme)) rest.remove_prefix(scheme.size());
  }
  bool page = false;
  for (const std::string_view host : {"huggingface.co/", "www.huggingface.co/", "hf.co/"}) {
    if (page || !rest.starts_with(host)) continue;
    rest.remove_prefix(host.size());
    page = true;
  }
  if (!page) return text;
  while (rest.ends_with('/')) rest.remove_suffix(1);
  const size_t tree = rest.find("/tree/");
  if (tree == rest.npos) return std::string(rest);
  return fmt::format("{}@{}", rest.substr(0, tree), rest.substr(tree + 6));
}

ModelName name_of(const PullVerbOptions& options) {
  const std::string model = without_host(options.model);
  const std::string flagged = options.revision == "main" ? model : fmt::format("{}@{}", model, options.revision);
  const auto name = parse_model_name(flagged);
  if (!name || !name->file.empty())
    throw UserError("[pull] '{}' is no name of a model, want ORG/NAME or ORG/NAME@REVISION{}", flagged,
                    name ? " (files are chosen by --include)" : "");
  return *name;
}

/// What `-m` takes afterwards: a repository of GGUF files alone is no model directory, its one file is.
std::string how_to_name(const ModelName& name, const hub::Pulled& pulled) {
  const auto& files = pulled.files;
  const bool directory = std::find(files.begin(), files.end(), "config.json") != files.end();
  std::vector<std::string> models;
  std::copy_if(files.begin(), files.end(), std::back_inserter(models),
               [](const auto& f) { return f.ends_with(".gguf"); });
  std::string text = name.repository;
  if (!directory && models.size() == 1) text += "/" + models.front();
  return name.revision == "main" ? text : text + "@" + name.revision;
}

void warn_of_unread(const hub::Pulled& pulled) {
  const auto& files = pulled.files;
  const bool known = std::any_of(files.begin(), files.end(), [](const std::string& file) {
    return file.ends_with(".safetensors") || file.ends_with(".gguf");
  });
  if (!known) log_warning("no safetensors and no GGUF among these files: Tessera reads no weights of another kind");
}

std::string few(const std::vector<std::string>& names) {
  constexpr size_t most = 6;
  const size_t shown = std::min(names.size(), most);
  return fmt::format("{}{}", fmt::join(names.begin(), names.begin() + static_cast<std::ptrdiff_t>(shown), ", "),
                     names.size() > most ? fmt::format(" and {} more", names.size() - most) : "");
}

}  // namespace

int run_pull(const PullVerbOptions& options) {
  apply(options.output);
  const ModelName name = name_of(options);
  const char* offline = std::getenv("HF_HUB_OFFLINE");
  if (offline != nullptr && std::string_view(offline) == "1")
    throw UserError("[pull] HF_HUB_OFFLINE is 1, which forbids to fetch {}", name.repository);
  const Path cache = hub_cache();
  if (cache.empty()) throw UserError("[pull] there is no folder for the cache; set HF_HUB_CACHE");
  const hub::Pulled pulled = hub::pull({.repository = name.repository,
                                        .revision = name.revision,
                                        .include = options.include,
                                        .exclude = options.exclude,
                                        .endpoint = hub::endpoint_from_environment(),
                                        .token = hub::token_from_environment(),
                                        .cache = cache});
  const std::string use = how_to_name(name, pulled);
  if (!pulled.skipped.empty()) log_info("left out: {}", few(pulled.skipped));
  warn_of_unread(pulled);
  log_info("{} (commit {}): {} files, {:.1f} MB, of which {:.1f} MB were fetched now; in {}", name.repository,
           pulled.commit.substr(0, 8), pulled.files.size(), static_cast<double>(pulled.bytes) / 1e6,
           static_cast<double>(pulled.fetched_bytes) / 1e6, pulled.snapshot.string());
  if (!options.output.json) {
    detail::print(fmt::format("use it by -m {}\n", use));
    return 0;
  }
  print_json({{"model", use},
              {"commit", pulled.commit},
              {"path", pulled.snapshot.string()},
              {"files", pulled.files},
              {"skipped", pulled.skipped},
              {"bytes", pulled.bytes},
              {"fetched_bytes", pulled.fetched_bytes}});
  return 0;
}

}  // namespace tessera::apps
