// Ctrl-C as a flag that the loop looks at between steps.
#include <csignal>

#include "train/loop.h"

namespace tessera::train {

namespace {
volatile std::sig_atomic_t pressed = 0;

void on_signal(int number) {
  if (pressed != 0) {
    std::signal(number, SIG_DFL);
    std::raise(number);
  }
  pressed = 1;
}
}  // namespace

InterruptGuard::InterruptGuard() {
  pressed = 0;
  std::signal(SIGINT, on_signal);
  std::signal(SIGTERM, on_signal);
}
InterruptGuard::~InterruptGuard() {
  std::signal(SIGINT, SIG_DFL);
  std::signal(SIGTERM, SIG_DFL);
}
bool InterruptGuard::raised() { return pressed != 0; }
void InterruptGuard::raise() { pressed = 1; }

}  // namespace tessera::train
