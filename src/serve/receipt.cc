// Made when a request is taken, checked by asking again in memory.
#include "serve/receipt.h"

#include <atomic>
#include <condition_variable>
#include <mutex>

#include "core/counted.h"
#include "core/digest.h"
#include "core/error.h"
#include "serve/api.h"
#include "serve/api_error.h"

namespace tessera::serve {

namespace {

/// Waits for one answer.
class Waiting final : public Exchange {
 public:
  explicit Waiting(HttpRequest request) : request_(std::move(request)) {}
  const HttpRequest& request() const override { return request_; }
  void reply(HttpReply reply) override {
    const std::lock_guard lock(mutex_);
    reply_ = std::move(reply);
    done_ = true;
    changed_.notify_all();
  }
  void begin(int, const Headers&, std::string) override {}
  void write(std::string) override {}
  void end() override { reply({.status = 500, .body = "the answer came in pieces"}); }
  bool gone() const override { return gone_; }
  void leave() { gone_ = true; }
  HttpReply wait() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return done_; });
    return reply_;
  }

 private:
  HttpRequest request_;
  std::mutex mutex_;
  std::condition_variable changed_;
  HttpReply reply_;
  bool done_ = false;
  std::atomic<bool> gone_{false};
};

std::shared_ptr<Waiting> ask(Api& api, const std::string& path, const Json& body) {
  HttpRequest request;
  request.method = "POST";
  request.path = path;
  request.headers = {{"content-type", "application/json"}};
  request.body = wire(body);
  request.peer = "replay";
  auto exchange = std::make_shared<Waiting>(std::move(request));
  api.handle(exchange);
  return exchange;
}

/// What an answer consists of, as the receipt lists it.
Json answers_of(const Json& reply) {
  const Json* own = reply.contains("tessera") ? &reply["tessera"] : nullptr;
  if (own == nullptr || !own->contains("receipt")) return nullptr;
  const Json& receipt = (*own)["receipt"];
  return receipt.contains("pictures") ? receipt["pictures"] : receipt["texts"];
}

void require(bool good, std::string_view what) {
  if (!good) throw UserError("[replay] this is no receipt: {}", what);
}

}  // namespace

std::string picture_digest(const Image& picture) {
  Digest digest;
  digest.update(fmt::format("{}x{}x{} ", picture.width, picture.height, picture.channels));
  digest.update({reinterpret_cast<const char*>(picture.pixels.data()), picture.pixels.size()});
  return digest.hex();
}

Json receipt_of(const ModelCard& card, const std::string& path, Json body) {
  for (const char* name : {"stream", "stream_options", "partial_images", "tessera", "user"}) body.erase(name);
  return {{"build", build_name()},
          {"model", {{"name", card.name}, {"type", card.type}, {"hash", card.hash}, {"precision", card.precision}}},
          {"path", path},
          {"request", std::move(body)}};
}

ReplayOutcome replay(const Json& receipt, Api& api, const ModelCard& card, int64_t beside) {
  require(receipt.is_object() && receipt.contains("request") && receipt.contains("path") && receipt.contains("model"),
          "it has no request, path or model");
  require(receipt["request"].is_object() && receipt["path"].is_string() && receipt["model"].is_object(),
          "its parts are of other types");
  const bool drawn = receipt.contains("pictures");
  require(drawn || receipt.contains("texts"), "it holds neither texts nor pictures");
  require(receipt[drawn ? "pictures" : "texts"].is_array(), "its answers are no list");
  const auto said = [&](const char* name) {
    const Json value = receipt["model"].value(name, Json());
    return value.is_string() ? value.get<std::string>() : "";
  };
  if (said("hash") != card.hash)
    throw UserError("[replay] the receipt is of the model '{}' with hash {}, this one is '{}' with {}", said("name"),
                    said("hash"), card.name, card.hash);
  if (said("precision") != card.precision)
    throw UserError("[replay] the receipt's model was held as {}, this one is as {}", said("precision"),
                    card.precision);
  std::vector<std::shared_ptr<Waiting>> others;
  for (int64_t i = 0; i < beside && !drawn; ++i) {
    Json other = {{"model", card.name},
                  {"prompt", fmt::format("{} other texts stand beside, this is number {}:", beside, i)},
                  {"max_tokens", 64 + 8 * (i % 5)},
                  {"temperature", 1},
                  {"seed", i}};
    others.push_back(ask(api, "/v1/completions", other));
  }
  Json request = receipt["request"];
  request["model"] = card.name;
  request["tessera"] = {{"receipt", true}};
  request.erase("stream");
  const HttpReply reply = ask(api, receipt["path"].get<std::string>(), request)->wait();
  for (const auto& other : others) other->leave();
  for (const auto& other : others) other->wait();
  const Json answer = Json::parse(reply.body, nullptr, false);
  if (reply.status != 200 || answer.is_discarded())
    throw UserError("[replay] the request was answered with {}: {}", reply.status, reply.body.substr(0, 300));
  const Json now = answers_of(answer), then = receipt[drawn ? "pictures" : "texts"];
  if (now == then) return {true, counted(std::ssize(then), drawn ? "picture" : "text") + ", the same byte for byte"};
  for (size_t i = 0; i < then.size(); ++i) {
    if (i < now.size() && now[i] == then[i]) continue;
    return {false,
            fmt::format("number {} was {} and is {}", i + 1, wire(then[i]), i < now.size() ? wire(now[i]) : "absent")};
  }
  return {false, fmt::format("there were {}, and are {}", then.size(), now.size())};
}

}  // namespace tessera::serve
