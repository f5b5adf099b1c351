// See placeholder.h.
#include "core/placeholder.h"

#include <algorithm>
#include <cctype>
#include <string>

#include "core/error.h"

namespace tessera {

void refuse_placeholder(std::string_view bytes, std::string_view source, std::string_view module) {
  if (bytes.starts_with("version https://git-lfs.github.com/spec/"))
    throw UserError(
        "[{}] {} is a Git LFS pointer, not the file itself; fetch it with git lfs pull, or the model with tessera pull",
        module, source);
  const size_t begin = std::min(bytes.find_first_not_of(" \t\r\n"), bytes.size());
  std::string head(bytes.substr(begin, 14));
  std::ranges::transform(head, head.begin(), [](unsigned char c) { return std::tolower(c); });
  if (head.starts_with("<!doctype html") || head.starts_with("<html"))
    throw UserError("[{}] {} is a web page, not the file itself; a download stored an error or a login under its name",
                    module, source);
}

}  // namespace tessera
