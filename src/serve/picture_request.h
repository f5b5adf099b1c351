// What is asked of a model that draws, in the form of OpenAI's images/generations and images/edits.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "media/image.h"
#include "media/picture_file.h"
#include "models/capabilities.h"
#include "serve/json_fields.h"

namespace tessera::serve {

struct PictureRequest {
  std::string model, user, prompt;
  int64_t count = 1;
  std::optional<PictureSize> size;  // absent: the model's own
  std::optional<uint64_t> seed;
  std::vector<double> cfg, tau;
  std::optional<double> top_p;
  std::optional<Image> from;  // edits
  int64_t keep_scales = 0;
  bool stream = false, receipt = false;
  int64_t partial = 0;  // pictures on the way that are sent with a stream
  media::PictureKind kind = media::PictureKind::png;
  std::string kind_name = "png";
};

/// `edits`: wants `image` (a data URI, or a list of one) and takes `keep_scales` (default 2). Throws ApiError.
PictureRequest read_picture_request(const Fields& fields, bool edits);

/// The JSON that says the same as a form: numbers and flags from their texts, the picture as a data URI. Throws ApiError.
Json json_of_form(std::string_view body, std::string_view content_type);

}  // namespace tessera::serve
