// What a repository of the hub holds, and which of it is fetched. A listing is a foreign text: no name in it leads out
// of the folder that it is for.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace tessera::hub {

/// A file of a repository at one commit.
struct RemoteFile {
  std::string path;  // with slashes, inside of the repository
  int64_t bytes = 0;
  std::string hash;  // in small hexadecimal digits: 64 of SHA-256 (Git LFS) or 40 of Git's SHA-1; the name of its blob
};

/// Adds the files of one page of `/api/models/ORG/NAME/tree/COMMIT?recursive=true` to `files`: a list of {"type":
/// "file" or "directory", "path", "size", "oid", "lfs": {"oid", "size"}}. Throws FaultError for another shape, and by
/// name for a path that is empty, absolute, or has a part that is empty, ".", ".." or longer than a file's name can
/// be, or a control character.
void read_tree_page(std::string_view text, std::vector<RemoteFile>& files);

/// Throws FaultError when a path is listed twice or is also the folder of another.
void require_distinct_paths(const std::vector<RemoteFile>& files);

/// What of a listing is fetched.
struct Choice {
  std::vector<RemoteFile> files;
  std::vector<std::string> skipped;  // paths
};

/// Chooses by patterns of names (`*` also matches slashes; `folder/` is all of a folder): those that match one of
/// `include`, or all but second copies of the weights when there is none, less those that match one of `exclude`.
/// Second copies: beside safetensors all other formats and consolidated ones; beside GGUF those that Tessera does not
/// read. Throws UserError when nothing is left, and, without `include`, for several GGUF models, naming them.
/// `repository` is for messages.
Choice choose_files(const std::vector<RemoteFile>& files, const std::vector<std::string>& include,
                    const std::vector<std::string>& exclude, std::string_view repository);

}  // namespace tessera::hub
