// Reads requests for pictures.
#include "serve/picture_request.h"

#include <algorithm>
#include <charconv>

#include "core/base64.h"
#include "core/error.h"
#include "media/read_media.h"
#include "serve/api_error.h"
#include "serve/chat_request.h"
#include "serve/multipart.h"

namespace tessera::serve {

namespace {

std::optional<PictureSize> read_size(const Fields& fields) {
  const std::string text = fields.text("size", "auto");
  if (text == "auto") return std::nullopt;
  int64_t width = 0, height = 0;
  const size_t x = text.find('x');
  const auto whole = [](std::string_view part, int64_t& value) {
    const auto [end, error] = std::from_chars(part.data(), part.data() + part.size(), value);
    return error == std::errc() && end == part.data() + part.size() && value > 0 && value <= 16384;
  };
  if (x == std::string::npos || !whole(std::string_view(text).substr(0, x), width) ||
      !whole(std::string_view(text).substr(x + 1), height))
    fields.refuse("size", fields.required("size"), "auto, or WIDTHxHEIGHT");
  return PictureSize{width, height};
}

/// A number, or a list of one for each scale.
std::vector<double> read_numbers(const Fields& fields, std::string_view name) {
  const Json* const value = fields.find(name);
  if (value == nullptr) return {};
  std::vector<double> all;
  const auto add = [&](const Json& one) {
    if (!one.is_number() || all.size() == 64) fields.refuse(name, *value, "a number, or a list of one for each scale");
    all.push_back(one.get<double>());
  };
  if (!value->is_array()) add(*value);
  else
    for (const Json& one : *value) add(one);
  return all;
}

Image read_picture(const Fields& fields) {
  const Json* given = &fields.required("image");
  if (given->is_array()) {
    if (given->size() != 1) fields.refuse("image", *given, "one picture");
    given = &(*given)[0];
  }
  if (given->is_object() && given->contains("image_url")) given = &(*given)["image_url"];
  if (!given->is_string()) fields.refuse("image", *given, "a data URI");
  const std::string bytes = data_uri_bytes(given->get<std::string>(), "image");
  try {
    return media::decode_image(bytes, "image");
  } catch (const UserError& error) {
    throw ApiError(400, error.what(), "image");
  }
}

void refuse_others(const Fields& fields, bool edits) {
  if (fields.has("mask"))
    throw ApiError(
        400, "'mask' is not supported: models here keep the coarse scales of a picture (keep_scales), not a part of it",
        "mask");
  if (fields.text("response_format", "b64_json") != "b64_json")
    throw ApiError(400, "'response_format' must be b64_json: this server keeps no pictures that a URL could lead to",
                   "response_format");
  if (fields.text("background", "auto") == "transparent")
    throw ApiError(400, "'background' cannot be transparent", "background");
  if (!edits && fields.has("image")) throw ApiError(400, "'image' belongs to /v1/images/edits", "image");
}

}  // namespace

PictureRequest read_picture_request(const Fields& fields, bool edits) {
  refuse_others(fields, edits);
  PictureRequest request{
      .model = fields.text("model"), .user = fields.text("user"), .prompt = fields.required_text("prompt")};
  request.count = fields.whole("n", 1, 64).value_or(1);
  request.size = read_size(fields);
  if (const auto seed = fields.whole("seed", INT64_MIN, INT64_MAX)) request.seed = static_cast<uint64_t>(*seed);
  request.cfg = read_numbers(fields, "cfg");
  request.tau = read_numbers(fields, "tau");
  request.top_p = fields.number("top_p", 0, 1);
  request.stream = fields.flag("stream");
  request.partial = fields.whole("partial_images", 0, 64).value_or(0);
  request.kind_name = fields.text("output_format", "png");
  if (request.kind_name == "png") request.kind = media::PictureKind::png;
  else if (request.kind_name == "jpeg") request.kind = media::PictureKind::jpeg;
  else if (request.kind_name == "webp") request.kind = media::PictureKind::webp;
  else fields.refuse("output_format", fields.required("output_format"), "png, jpeg or webp");
  if (edits) {
    request.from = read_picture(fields);
    request.keep_scales = fields.whole("keep_scales", 0, 64).value_or(2);
  } else if (fields.has("keep_scales")) {
    throw ApiError(400, "'keep_scales' belongs to /v1/images/edits", "keep_scales");
  }
  if (const Json* own = fields.object("tessera")) request.receipt = Fields(*own, "tessera.").flag("receipt");
  return request;
}

Json json_of_form(std::string_view body, std::string_view content_type) {
  Json tree = Json::object();
  for (const FormPart& part : parse_multipart(body, content_type)) {
    if (part.name == "image" || part.name == "image[]") {
      if (tree.contains("image")) throw ApiError(400, "several pictures came, want one", "image");
      tree["image"] = "data:application/octet-stream;base64," + base64_encoded(part.body);
      continue;
    }
    if (!part.filename.empty() || part.name == "mask") {
      tree[part.name] = "file";
      continue;
    }
    if (part.body.size() > (64 << 10)) throw ApiError(400, fmt::format("'{}' is too long", part.name), part.name);
    const std::string text(part.body);
    static const std::vector<std::string> plain = {"prompt",        "model",           "size",       "user",
                                                   "output_format", "response_format", "background", "quality"};
    const bool is_plain = std::ranges::find(plain, part.name) != plain.end();
    tree[part.name] = is_plain ? Json(text) : parse_json(text).value_or(Json(text));
  }
  return tree;
}

}  // namespace tessera::serve
