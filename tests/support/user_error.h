// The message of the mistake that a call is refused for, so that a test of messages is one line each.
#pragma once

#include <string>
#include <utility>

#include "core/error.h"

namespace tessera::testing {

/// What `act` throws as a UserError; "accepted" when it throws nothing. Other exceptions pass.
template <class Act> std::string user_error(Act&& act) {
  try {
    std::forward<Act>(act)();
  } catch (const UserError& error) {
    return error.what();
  }
  return "accepted";
}

}  // namespace tessera::testing
