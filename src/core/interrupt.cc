// The handler only sets a flag, which is all that a signal handler may safely do.
#include "core/interrupt.h"

#include <csignal>

namespace tessera {

namespace {
volatile std::sig_atomic_t pressed = 0;
int guards = 0;

void on_signal(int number) {
  if (pressed != 0) {
    std::signal(number, SIG_DFL);
    std::raise(number);
  }
  pressed = 1;
}
}  // namespace

InterruptGuard::InterruptGuard() {
  if (guards++ > 0) return;
  pressed = 0;
  std::signal(SIGINT, on_signal);
  std::signal(SIGTERM, on_signal);
}

InterruptGuard::~InterruptGuard() {
  if (--guards > 0) return;
  std::signal(SIGINT, SIG_DFL);
  std::signal(SIGTERM, SIG_DFL);
}

bool InterruptGuard::raised() { return pressed != 0; }
void InterruptGuard::raise() { pressed = 1; }

}  // namespace tessera
