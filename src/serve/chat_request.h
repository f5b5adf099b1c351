// A conversation in OpenAI's form becomes messages and media. Nothing is fetched: pictures and clips come as data URIs alone.
#pragma once

#include <string>
#include <vector>

#include "core/json.h"
#include "media/image.h"
#include "serve/text_request.h"
#include "text/message.h"

namespace tessera::serve {

/// A picture or a clip as it was sent.
struct Attachment {
  std::string bytes;
  std::string path;  // in the request: "messages[1].content[0]"
  bool operator==(const Attachment&) const = default;
};

struct Conversation {
  std::vector<text::Message> messages;
  std::vector<Attachment> media;  // Message::media counts along them
  text::TemplateInputs inputs;    // tools and the template's own arguments
};

/// Reads `messages`, tools and tool_choice. Throws ApiError: 400 for anything else than texts and data URIs, 413 for too many or too large ones.
Conversation read_conversation(const Fields& fields);

/// The bytes of "data:image/png;base64,...". Throws ApiError naming `param` for any other URL, and for what is no base64.
std::string data_uri_bytes(std::string_view uri, const std::string& param);

/// Decodes attachments; clips give `frames` frames. Throws ApiError for what is no picture or clip, or too large.
std::vector<Media> decoded_media(const std::vector<Attachment>& attachments, int64_t frames);

}  // namespace tessera::serve
