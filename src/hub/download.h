// One file of the hub onto the disk: it gets its name when it is whole and its hash is right, and a broken download
// goes on where it stopped, in this run or in the next one.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "core/files.h"
#include "hub/http.h"
#include "hub/listing.h"

namespace tessera::hub {

/// What downloads of one pull share.
struct Connection {
  HttpClient& http;
  std::string token;                          // "" for none
  std::function<void(double seconds)> pause;  // between two tries
  FileSystem& files;
  bool answered = false;  // whether a server was ever there; before that, asking again only costs time
  std::function<void(int64_t change)> on_bytes = [](int64_t) {
  };  // bytes of the file at hand; negative when it begins again
};

/// Waits, but throws FaultError as soon as Ctrl-C is pressed.
void pause_for(double seconds);

/// What get_with_patience asks for.
struct Wanted {
  std::function<HttpRequest()> request;                           // of each try, since a download goes on elsewhere
  std::function<bool()> whole = [] { return true; };              // whether an answer that ended was all of it
  std::function<int64_t()> received = [] { return int64_t{0}; };  // bytes so far
  std::function<void(const HttpAnswer&)> on_failure = [](const HttpAnswer&) {};  // before the next try
};

/// A GET that is repeated while the server is busy (408, 429, 5xx; Retry-After is obeyed up to five minutes) or the
/// connection breaks, five times at most; a try that brought a megabyte starts the count again. Throws UserError for
/// 401, 403 and 404, saying what to do about `repository`; FaultError for the rest, and at once where no server is
/// found.
void get_with_patience(Connection& connection, std::string_view repository, const Wanted& wanted);

/// Fetches `file` from `url` to `blob`, by way of `blob`.incomplete, which a fault of the network leaves for the next
/// run. Throws FaultError when the contents are not those that the listing names; the file is then deleted.
/// `repository` is for messages.
void download(Connection& connection, std::string_view repository, const std::string& url, const RemoteFile& file,
              const Path& blob);

}  // namespace tessera::hub
