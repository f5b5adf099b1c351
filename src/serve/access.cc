// Checks over the head of a request alone, so that nothing of a refused body is read.
#include "serve/access.h"

#include <algorithm>
#include <cstdlib>

#include "core/error.h"
#include "serve/api_error.h"
#include "serve/routes.h"

namespace tessera::serve {

namespace {

bool is_safe(const HttpRequest& head) {
  return head.method == "GET" || head.method == "HEAD" || head.method == "OPTIONS";
}

std::string lowered(std::string_view text) {
  std::string small(text);
  std::ranges::transform(small, small.begin(), [](unsigned char c) { return std::tolower(c); });
  return small;
}

/// "Example.org:8080" -> "example.org", "[::1]:80" -> "::1"; "" for what is no host.
std::string host_without_port(std::string_view host) {
  if (host.starts_with('[')) {
    const size_t end = host.find(']');
    return end == std::string_view::npos ? "" : lowered(host.substr(1, end - 1));
  }
  if (std::ranges::count(host, ':') > 1) return lowered(host);  // an IPv6 address without brackets
  return lowered(host.substr(0, host.find(':')));
}

/// Addresses cannot be rebound: only names are looked up.
bool is_address(std::string_view host) {
  if (host.find(':') != std::string_view::npos)
    return std::ranges::all_of(
        host, [](char c) { return std::isxdigit(static_cast<unsigned char>(c)) != 0 || c == ':' || c == '.'; });
  int dots = 0, digits = 0;
  for (const char c : host) {
    if (c == '.') {
      if (digits == 0 || digits > 3) return false;
      ++dots;
      digits = 0;
    } else if (c >= '0' && c <= '9') {
      ++digits;
    } else {
      return false;
    }
  }
  return dots == 3 && digits > 0 && digits <= 3;
}

bool contains(const std::vector<std::string>& list, std::string_view text) {
  return std::ranges::any_of(list, [&](const std::string& one) { return lowered(one) == text; });
}

bool host_is_allowed(const HttpRequest& head, const AccessRules& rules) {
  if (head.local) return true;  // a UNIX socket has no name to rebind
  const std::string host = host_without_port(head.header("host"));
  return host == "localhost" || is_address(host) || contains(rules.hosts, host);
}

bool origin_is_allowed(const HttpRequest& head, const AccessRules& rules) {
  const std::string origin = lowered(head.header("origin"));
  if (origin.empty()) {  // no browser, or an old one; newer ones say where a request comes from
    const std::string_view site = head.header("sec-fetch-site");
    return site.empty() || site == "same-origin" || site == "none";
  }
  const std::string host = lowered(head.header("host"));
  return origin == "http://" + host || origin == "https://" + host || contains(rules.origins, origin);
}

bool has_known_content(const HttpRequest& head, bool files) {
  const std::string type = lowered(head.header("content-type"));
  std::string kind = type.substr(0, type.find(';'));
  while (kind.ends_with(' ')) kind.pop_back();
  return kind == "application/json" || (files && kind == "multipart/form-data");
}

bool is_open(const HttpRequest& head) {
  if (const Route* const route = route_of(head.path)) return route->keyless;
  return is_safe(head) && !head.path.starts_with("/v1/");  // the page's files, or nothing
}

}  // namespace

bool is_loopback(std::string_view host) {
  return host == "localhost" || host == "::1" || (host.starts_with("127.") && is_address(host));
}

bool equal_in_constant_time(std::string_view given, std::string_view key) {
  unsigned difference = given.size() == key.size() ? 0 : 1;
  for (size_t i = 0; i < given.size(); ++i) {
    const auto expected = static_cast<unsigned char>(key.empty() ? 0 : key[i % key.size()]);
    difference |= static_cast<unsigned>(static_cast<unsigned char>(given[i]) ^ expected);
  }
  return difference == 0;
}

std::optional<HttpReply> refused(const HttpRequest& head, const AccessRules& rules) {
  const auto answer = [&](const ApiError& error, Headers more = {}) {
    HttpReply reply = error.reply();
    for (auto& header : common_headers(head, rules)) reply.headers.push_back(std::move(header));
    for (auto& header : more) reply.headers.push_back(std::move(header));
    return reply;
  };
  if (!host_is_allowed(head, rules)) {
    return answer(
        ApiError(421, "the Host header names neither an address nor localhost, nor a name given by --allow-host"));
  }
  if (head.method == "OPTIONS") return std::nullopt;
  if (!is_safe(head) && !origin_is_allowed(head, rules))
    return answer(ApiError(403, "pages of other sites may not call this server; --allow-origin lets one"));
  const Route* const route = route_of(head.path);
  if (head.method == "POST" && route != nullptr && route->posted && !has_known_content(head, route->files))
    return answer(ApiError(415, "the Content-Type must be application/json"));
  if (!rules.key.empty() && !is_open(head)) {
    std::string_view given = head.header("authorization");
    if (lowered(given.substr(0, 7)) == "bearer ") given.remove_prefix(7);
    else given = head.header("x-api-key");
    if (!equal_in_constant_time(given, rules.key)) {
      return answer(ApiError(401, "a key is required: Authorization: Bearer KEY", "", "invalid_api_key"),
                    {{"WWW-Authenticate", "Bearer"}});
    }
  }
  return std::nullopt;
}

Headers common_headers(const HttpRequest& request, const AccessRules& rules) {
  Headers headers = {{"X-Content-Type-Options", "nosniff"},
                     {"X-Frame-Options", "DENY"},
                     {"Referrer-Policy", "no-referrer"},
                     {"Cross-Origin-Resource-Policy", "same-origin"}};
  const std::string_view origin = request.header("origin");
  if (!origin.empty() && contains(rules.origins, lowered(origin))) {
    headers.pop_back();
    headers.emplace_back("Cross-Origin-Resource-Policy", "cross-origin");
    headers.emplace_back("Access-Control-Allow-Origin", std::string(origin));
    headers.emplace_back("Access-Control-Expose-Headers", "retry-after");
    headers.emplace_back("Vary", "Origin");
  }
  return headers;
}

namespace {

/// Of the headers that a page would like to send, those that clients of this API send: keys, the kind of content, and what OpenAI's own clients
/// say of themselves.
std::string allowed_headers(std::string_view wanted) {
  std::string list = "authorization, content-type, x-api-key";
  while (!wanted.empty()) {
    const size_t comma = std::min(wanted.find(','), wanted.size());
    std::string name = lowered(wanted.substr(0, comma));
    wanted.remove_prefix(std::min(comma + 1, wanted.size()));
    std::erase_if(name, [](char c) { return c == ' ' || c == '\t'; });
    const bool is_name =
        std::ranges::all_of(name, [](char c) { return std::isalnum(static_cast<unsigned char>(c)) || c == '-'; });
    if (is_name && (name.starts_with("x-stainless-") || name.starts_with("openai-"))) list += ", " + name;
  }
  return list;
}

}  // namespace

HttpReply preflight(const HttpRequest& request, const AccessRules& rules) {
  HttpReply reply{.status = 204, .headers = common_headers(request, rules)};
  if (contains(rules.origins, lowered(request.header("origin")))) {
    reply.headers.emplace_back("Access-Control-Allow-Methods", "GET, POST");
    reply.headers.emplace_back("Access-Control-Allow-Headers",
                               allowed_headers(request.header("access-control-request-headers")));
    reply.headers.emplace_back("Access-Control-Max-Age", "600");
  }
  return reply;
}

std::string read_key(const Path& file) {
  std::string key;
  if (!file.empty()) {
    key = read_file(file);
  } else if (const char* given = std::getenv("TESSERA_API_KEY")) {
    key = given;
  }
  const auto blank = [](char c) { return c == ' ' || c == '\n' || c == '\r' || c == '\t'; };
  while (!key.empty() && blank(key.back())) key.pop_back();
  while (!key.empty() && blank(key.front())) key.erase(key.begin());
  if (!file.empty() && key.empty()) throw UserError("[serve] {} holds no key", file.string());
  if (!key.empty() && key.size() < 8) throw UserError("[serve] the key has {} characters, want at least 8", key.size());
  return key;
}

}  // namespace tessera::serve
