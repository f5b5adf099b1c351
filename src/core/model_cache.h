// Models by name: where Hugging Face's cache keeps what `tessera pull` or huggingface_hub fetched. A path that exists
// is always taken as it is.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "core/files.h"

namespace tessera {

/// A model of the Hugging Face hub, written ORG/NAME, ORG/NAME@REVISION or, for one file of it, ORG/NAME/FILE.
struct ModelName {
  std::string repository;         // "ORG/NAME"
  std::string file;               // a path inside of the repository, or ""
  std::string revision = "main";  // a branch, a tag or a commit
};

/// The parts of `text`; nothing for what cannot be such a name. Names, files and revisions that would lead out of the
/// cache (a part that is empty, "." or "..", or that begins with a dot) are no names.
std::optional<ModelName> parse_model_name(std::string_view text);

/// Whether `text` is a commit as the hub writes it: 40 hexadecimal digits in small letters.
bool is_commit(std::string_view text);

/// The folder that the environment names: HF_HUB_CACHE, HUGGINGFACE_HUB_CACHE, HF_HOME/hub,
/// XDG_CACHE_HOME/huggingface/hub, ~/.cache/huggingface/hub. Empty when none of them and no HOME is set.
Path hub_cache();
/// Hugging Face's own folder, which `hub_cache()` lies in unless it is named itself; it holds the token.
Path hub_home();

/// The folder of a repository in the cache `cache`: it holds `refs`, `snapshots` and `blobs`.
Path repository_folder(const Path& cache, std::string_view repository);

/// What `given` stands for: itself when that path exists or is no ORG/NAME, else the folder of that model in the cache
/// (or its file that was named, or its only .gguf file when the folder has no config.json). What is found nowhere stays itself where it is
/// more likely a path: runs/NAME, a folder that is here, several slashes. Throws UserError for an
/// ORG/NAME that is in neither place, saying where was looked and how to fetch it, and for several .gguf files of
/// which none was named.
Path find_model(const Path& given);

}  // namespace tessera
