// libcurl behind HttpClient. Redirects are followed here, one request each, so that each is seen before anything is
// sent to it.
#include "hub/http.h"

#include <algorithm>
#include <cctype>
#include <exception>

#include <curl/curl.h>
#include <fmt/format.h>

#include "core/error.h"
#include "core/interrupt.h"
#include "hub/http_alone.h"

namespace tessera::hub {

namespace {

constexpr int most_redirects = 8;
constexpr long connect_seconds = 20;
constexpr long silent_seconds = 60;          // a connection that brings nothing for so long is broken
constexpr size_t longest_headers = 1 << 16;  // bytes of one answer

struct Free {
  void operator()(CURLU* url) const { curl_url_cleanup(url); }
  void operator()(curl_slist* list) const { curl_slist_free_all(list); }
  void operator()(char* text) const { curl_free(text); }
};

/// One request of a chain of redirects, as libcurl's callbacks see it.
struct Transfer {
  const HttpRequest* request;
  CURL* handle;
  HttpAnswer answer;
  size_t header_bytes = 0;
  bool head_given = false;
  std::exception_ptr thrown;
};

bool has_wanted_body(const Transfer& transfer) {
  return transfer.answer.status == 200 || transfer.answer.status == 206;
}

/// Calls on_head once, then, with bytes, on_body. False when one of them has thrown.
bool hand_on(Transfer& transfer, std::string_view bytes) {
  if (!has_wanted_body(transfer)) return true;
  try {
    if (!transfer.head_given && transfer.request->on_head) transfer.request->on_head(transfer.answer);
    transfer.head_given = true;
    if (!bytes.empty() && transfer.request->on_body) transfer.request->on_body(bytes);
    return true;
  } catch (...) {
    transfer.thrown = std::current_exception();
    return false;
  }
}

size_t on_body(char* data, size_t one, size_t count, void* user) {
  return hand_on(*static_cast<Transfer*>(user), {data, one * count}) ? one * count : 0;
}

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && std::isspace(static_cast<unsigned char>(text.front())) != 0) text.remove_prefix(1);
  while (!text.empty() && std::isspace(static_cast<unsigned char>(text.back())) != 0) text.remove_suffix(1);
  return text;
}

size_t on_header(char* data, size_t one, size_t count, void* user) {
  auto& transfer = *static_cast<Transfer*>(user);
  const std::string_view line(data, one * count);
  transfer.header_bytes += line.size();
  if (transfer.header_bytes > longest_headers) return 0;
  if (line.starts_with("HTTP/")) {  // of a proxy's answer or "100 Continue" before, of this answer now
    transfer.answer.headers.clear();
    long status = 0;
    curl_easy_getinfo(transfer.handle, CURLINFO_RESPONSE_CODE, &status);
    transfer.answer.status = static_cast<int>(status);
  } else if (const size_t colon = line.find(':'); colon != line.npos) {
    std::string name(line.substr(0, colon));
    std::transform(name.begin(), name.end(), name.begin(), [](unsigned char c) { return std::tolower(c); });
    transfer.answer.headers[name] = trimmed(line.substr(colon + 1));
  }
  return one * count;
}

int on_progress(void*, curl_off_t, curl_off_t, curl_off_t, curl_off_t) { return InterruptGuard::raised() ? 1 : 0; }

void prepare(CURL* handle, Transfer& transfer, const std::string& url, curl_slist* headers, char* error) {
  curl_easy_reset(handle);
  curl_easy_setopt(handle, CURLOPT_URL, url.c_str());
  curl_easy_setopt(handle, CURLOPT_HTTPHEADER, headers);
  curl_easy_setopt(handle, CURLOPT_USERAGENT, "tessera");
  curl_easy_setopt(handle, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(handle, CURLOPT_CONNECTTIMEOUT, connect_seconds);
  curl_easy_setopt(handle, CURLOPT_LOW_SPEED_LIMIT, 1L);
  curl_easy_setopt(handle, CURLOPT_LOW_SPEED_TIME, silent_seconds);
  curl_easy_setopt(handle, CURLOPT_WRITEFUNCTION, on_body);
  curl_easy_setopt(handle, CURLOPT_WRITEDATA, &transfer);
  curl_easy_setopt(handle, CURLOPT_HEADERFUNCTION, on_header);
  curl_easy_setopt(handle, CURLOPT_HEADERDATA, &transfer);
  curl_easy_setopt(handle, CURLOPT_XFERINFOFUNCTION, on_progress);
  curl_easy_setopt(handle, CURLOPT_NOPROGRESS, 0L);
  curl_easy_setopt(handle, CURLOPT_ERRORBUFFER, error);
  allow_http_alone(handle);
  if (transfer.request->from > 0) {
    curl_easy_setopt(handle, CURLOPT_RANGE, fmt::format("{}-", transfer.request->from).c_str());
  }
}

/// One GET without redirects. `token` is "" where the server is not the one that was asked first.
HttpAnswer perform(CURL* handle, const HttpRequest& request, const std::string& url, const std::string& token) {
  Transfer transfer{.request = &request, .handle = handle};
  const std::string authorization = "Authorization: Bearer " + token;
  const std::unique_ptr<curl_slist, Free> headers(token.empty() ? nullptr
                                                                : curl_slist_append(nullptr, authorization.c_str()));
  char error[CURL_ERROR_SIZE] = "";
  prepare(handle, transfer, url, headers.get(), error);
  const CURLcode code = curl_easy_perform(handle);
  if (code == CURLE_OK) hand_on(transfer, {});  // an answer without a body has a head all the same
  if (transfer.thrown) std::rethrow_exception(transfer.thrown);
  if (InterruptGuard::raised()) throw FaultError("[pull] stopped; the same command goes on from here");
  transfer.answer.reached =
      code != CURLE_COULDNT_RESOLVE_HOST && code != CURLE_COULDNT_RESOLVE_PROXY && code != CURLE_COULDNT_CONNECT;
  if (code != CURLE_OK) transfer.answer.fault = error[0] != '\0' ? error : curl_easy_strerror(code);
  return std::move(transfer.answer);
}

/// origin_of, or "" for what is no http or https URL.
std::string origin_or_none(const std::string& url) {
  const std::unique_ptr<CURLU, Free> parsed(curl_url());
  const auto part = [&](CURLUPart which, unsigned flags) {
    char* text = nullptr;
    const CURLUcode code = curl_url_get(parsed.get(), which, &text, flags);
    const std::unique_ptr<char, Free> owned(text);
    return code == CURLUE_OK ? std::string(text) : "";
  };
  const bool read = curl_url_set(parsed.get(), CURLUPART_URL, url.c_str(), 0) == CURLUE_OK;
  const std::string scheme = read ? part(CURLUPART_SCHEME, 0) : "";
  if (scheme != "http" && scheme != "https") return "";
  std::string host = part(CURLUPART_HOST, 0);
  std::transform(host.begin(), host.end(), host.begin(), [](unsigned char c) { return std::tolower(c); });
  return scheme + "://" + host + ":" + part(CURLUPART_PORT, CURLU_DEFAULT_PORT);
}

bool is_redirect(int status) {
  return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

}  // namespace

std::string HttpAnswer::header(const std::string& name) const {
  const auto found = headers.find(name);
  return found == headers.end() ? "" : found->second;
}

struct HttpClient::State {
  CURL* handle = nullptr;
};

HttpClient::HttpClient() : state_(std::make_unique<State>()) {
  static const CURLcode ready = curl_global_init(CURL_GLOBAL_DEFAULT);
  state_->handle = ready == CURLE_OK ? curl_easy_init() : nullptr;
  if (state_->handle == nullptr) throw FaultError("[pull] libcurl does not start");
}

HttpClient::~HttpClient() { curl_easy_cleanup(state_->handle); }

HttpAnswer HttpClient::get(const HttpRequest& request) {
  const std::string home = origin_of(request.url);
  std::string url = request.url;
  for (int redirects = 0; redirects <= most_redirects; ++redirects) {
    const std::string origin = origin_of(url);
    HttpAnswer answer = perform(state_->handle, request, url, origin == home ? request.token : "");
    char* next = nullptr;
    curl_easy_getinfo(state_->handle, CURLINFO_REDIRECT_URL, &next);
    if (!answer.fault.empty() || !is_redirect(answer.status) || next == nullptr) return answer;
    url = next;
    if (const std::string to = origin_or_none(url);
        to.empty() || (origin.starts_with("https:") && !to.starts_with("https:")))
      throw FaultError("[pull] {} redirects to '{}', want {}", origin, url,
                       origin.starts_with("https:") ? "https" : "http or https");
  }
  throw FaultError("[pull] {} redirects more than {} times", home, most_redirects);
}

std::string origin_of(const std::string& url) {
  std::string origin = origin_or_none(url);
  if (origin.empty()) throw UserError("[pull] '{}' is no http or https address", url);
  return origin;
}

std::string url_escaped(std::string_view text, bool keep_slashes) {
  std::string escaped;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    const bool plain =
        byte < 0x80 && (std::isalnum(byte) != 0 || std::string_view("-._~").find(c) != std::string_view::npos);
    if (plain || (c == '/' && keep_slashes)) escaped += c;
    else escaped += fmt::format("%{:02X}", byte);
  }
  return escaped;
}

}  // namespace tessera::hub
