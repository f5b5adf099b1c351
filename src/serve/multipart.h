// multipart/form-data (RFC 7578), which clients send pictures to be changed in.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace tessera::serve {

struct FormPart {
  std::string name, filename;  // filename "" where it is no file
  std::string_view body;       // of the bytes that were given
};

/// Whether a Content-Type says so.
bool is_form(std::string_view content_type);

/// Parts of a body; `content_type` names the boundary. Throws ApiError 400 for what is no such body and for more than 64 parts.
std::vector<FormPart> parse_multipart(std::string_view body, std::string_view content_type);

}  // namespace tessera::serve
