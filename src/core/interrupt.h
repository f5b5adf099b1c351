// Ctrl-C as a flag: long work looks at it between its steps and ends in order. What must stay true: a second Ctrl-C ends the process.
#pragma once

namespace tessera {

/// Exit status of a verb that Ctrl-C has ended before its work was done, as shells count a SIGINT.
constexpr int interrupted_status = 130;

/// While one lives, the first Ctrl-C (SIGINT, SIGTERM) only raises a flag, and the second one ends the process.
///
/// Guards may be nested, as when a pipeline that guards itself runs the training loop, which does so too. The outermost guard decides:
/// it lowers the flag when it begins and gives the signals back their default action when it ends. A Ctrl-C during an inner guard is
/// therefore still seen by the outer one. Guards are made and ended by one thread; any thread may ask or raise.
class InterruptGuard {
 public:
  InterruptGuard();
  ~InterruptGuard();
  InterruptGuard(const InterruptGuard&) = delete;
  InterruptGuard& operator=(const InterruptGuard&) = delete;
  /// True once Ctrl-C has been pressed.
  static bool raised();
  /// As if Ctrl-C had been pressed.
  static void raise();
};

}  // namespace tessera
