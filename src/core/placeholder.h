// Files that stand in for others: what a clone without Git LFS or a failed download leaves under a file's name. What must stay true: they
// are told as what they are, not as damaged files.
#pragma once

#include <string_view>

namespace tessera {

/// Throws UserError when `bytes`, the beginning of a file, are a Git LFS pointer or a web page. `source` names the file, `module` opens
/// the message.
void refuse_placeholder(std::string_view bytes, std::string_view source, std::string_view module);

}  // namespace tessera
