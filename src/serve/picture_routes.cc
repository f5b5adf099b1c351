// /v1/images/generations and /v1/images/edits: pictures, scale by scale where a stream is asked for.
#include "core/base64.h"
#include "serve/api.h"
#include "serve/api_error.h"
#include "serve/picture_request.h"
#include "serve/receipt.h"

namespace tessera::serve {

namespace {

int64_t seconds_now() {
  return std::chrono::duration_cast<std::chrono::seconds>(std::chrono::system_clock::now().time_since_epoch()).count();
}

/// One request for pictures while it is worked at.
struct Drawing {
  std::shared_ptr<Exchange> exchange;
  RequestLog log;
  PictureRequest request;
  DrawRequest draw;
  Headers headers;
  Json receipt;
  bool edits = false, open = false;

  std::string event_name(std::string_view what) const {
    return (edits ? "image_edit." : "image_generation.") + std::string(what);
  }
  std::string size_of(const Image& picture) const { return fmt::format("{}x{}", picture.width, picture.height); }

  void begin() {
    if (open || !request.stream) return;
    open = true;
    Headers all = headers;
    all.emplace_back("Content-Type", "text/event-stream; charset=utf-8");
    all.emplace_back("Cache-Control", "no-store");
    exchange->begin(200, all, ": still at work\n\n");
  }
  void event(const std::string& type, size_t index, const Image& picture, Json more) const {
    Json data = {{"type", type},
                 {"b64_json", base64(picture)},
                 {"created_at", seconds_now()},
                 {"size", size_of(picture)},
                 {"quality", "auto"},
                 {"background", "opaque"},
                 {"output_format", request.kind_name},
                 {"index", index}};
    data.update(more);
    exchange->write("event: " + type + "\ndata: " + wire(data) + "\n\n");
  }
  std::string base64(const Image& picture) const;
  /// Whether the picture after this scale is one of those that are sent on the way, spread evenly over the scales.
  std::optional<int64_t> partial_index(size_t scale, size_t scales) const {
    const auto on_the_way = static_cast<int64_t>(scales) - 1, wanted = std::min(request.partial, on_the_way),
               s = static_cast<int64_t>(scale);
    for (int64_t i = 0; i < wanted; ++i) {
      if ((i + 1) * on_the_way / wanted - 1 == s) return i;
    }
    return std::nullopt;
  }
  void show(const ScaleView& view) const {
    const auto index = partial_index(view.scale, view.scales);
    if (!index) return;
    for (size_t p = 0; p < view.pictures.size(); ++p)
      event(event_name("partial_image"), view.first + p, view.pictures[p],
            {{"partial_image_index", *index}, {"scale", view.scale}, {"scales", view.scales}});
  }
  void close(int status) const { log.close(exchange->gone() ? 499 : status); }
  void finish(const std::vector<Image>& pictures);
  void fail(const std::exception_ptr& failure);
};

std::string Drawing::base64(const Image& picture) const {
  return base64_encoded(media::encode_picture(picture, request.kind));
}

void Drawing::finish(const std::vector<Image>& pictures) {
  log.metrics->pictures.add(pictures.size());
  if (!receipt.is_null()) {
    receipt["pictures"] = Json::array();
    for (const Image& picture : pictures) receipt["pictures"].push_back(picture_digest(picture));
  }
  Json own = {{"seed", static_cast<int64_t>(draw.seed)}};
  if (!receipt.is_null()) own["receipt"] = receipt;
  if (request.stream) {
    begin();
    for (size_t p = 0; p < pictures.size(); ++p) event(event_name("completed"), p, pictures[p], {{"tessera", own}});
    close(200);
    exchange->end();
  } else {
    Json data = Json::array();
    for (const Image& picture : pictures) data.push_back({{"b64_json", base64(picture)}});
    const Json body = {{"created", seconds_now()},
                       {"data", std::move(data)},
                       {"size", size_of(pictures.front())},
                       {"output_format", request.kind_name},
                       {"quality", "auto"},
                       {"background", "opaque"},
                       {"tessera", own}};
    headers.emplace_back("Content-Type", "application/json");
    headers.emplace_back("Cache-Control", "no-store");
    HttpReply reply{.headers = headers, .body = wire(body)};
    close(200);
    exchange->reply(std::move(reply));
  }
}

void Drawing::fail(const std::exception_ptr& failure) {
  const ApiError error = api_error_of(failure);
  close(error.status());
  if (open) {
    exchange->write("event: error\ndata: " + wire(error.json()) + "\n\n");
    exchange->end();
  } else {
    HttpReply reply = error.reply();
    reply.headers.insert(reply.headers.end(), headers.begin(), headers.end());
    exchange->reply(std::move(reply));
  }
}

}  // namespace

void Api::draw(Call call) { start_drawing(std::move(call), false); }
void Api::edit(Call call) { start_drawing(std::move(call), true); }

void Api::start_drawing(Call call, bool edits) {
  const auto drawing = std::make_shared<Drawing>();
  drawing->request = read_picture_request(Fields(call.body), edits);
  const PictureRequest& request = drawing->request;
  const auto worker = models_->get(request.model);
  const Draws& draws = worker->draws();
  drawing->exchange = call.exchange;
  drawing->log = call.log;
  drawing->log.model = worker->card().name;
  drawing->headers = common_headers(call.exchange->request(), options_.access);
  drawing->edits = edits;
  DrawRequest& draw = drawing->draw;
  draw.prompts.assign(static_cast<size_t>(request.count), request.prompt);
  draw.seed = request.seed.value_or(random_seed());
  draw.cfg = request.cfg;
  draw.tau = request.tau;
  draw.top_p = request.top_p;
  draw.from = request.from;
  draw.keep_scales = request.keep_scales;
  draw.size = request.size;
  draws.check(draw);
  if (request.receipt) {
    Json repeated = call.body;
    repeated["seed"] = static_cast<int64_t>(draw.seed);
    drawing->receipt = receipt_of(worker->card(), call.log.path, std::move(repeated));
  }
  worker->run([drawing, &draws](Turn& turn) {
    try {
      if (drawing->exchange->gone()) throw ApiError(499, "the client left");
      drawing->begin();
      drawing->draw.on_step = [&](size_t, size_t) {
        turn.pass();
        return !drawing->exchange->gone();
      };
      if (drawing->request.stream && drawing->request.partial > 0)
        drawing->draw.on_scale = [&](const ScaleView& view) { drawing->show(view); };
      const std::vector<Image> pictures = draws.draw(drawing->draw);
      if (pictures.size() < drawing->draw.prompts.size()) throw ApiError(499, "the client left");
      drawing->finish(pictures);
    } catch (...) {
      drawing->fail(std::current_exception());
    }
  });
}

}  // namespace tessera::serve
