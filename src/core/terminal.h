// What a terminal can show: whether a line can be written over, colours, characters beyond ASCII, how wide it is.
// Whatever is no terminal, TERM=dumb and NO_COLOR (https://no-color.org) get plain lines.
#pragma once

#include <functional>
#include <string>
#include <string_view>

namespace tessera {

struct Terminal {
  bool rewrites = false;  // a line can be written over: bars redraw themselves
  bool colours = false;   // colours, bold and faint
  bool unicode = false;   // the locale's characters are UTF-8; also where there is no terminal
  int columns = 80;
};

/// A variable of the environment, or null.
using Environment = std::function<const char*(const char* name)>;

/// `window_columns`: as the terminal says, 0 where it does not; `codeset`: of the locale, empty where it is unknown. A width that
/// COLUMNS names is taken where the terminal names none.
Terminal describe_terminal(bool is_terminal, int window_columns, std::string_view codeset,
                           const Environment& environment);

/// What stands behind STDOUT_FILENO or STDERR_FILENO.
Terminal terminal_of(int descriptor);

/// `text` between an escape sequence ("\033[1m") and its end, or as it is where there are no colours.
std::string styled(const Terminal& terminal, std::string_view sequence, std::string_view text);

/// Blanks in place of what a terminal would act upon: texts of files never move its cursor or change its colours. Line breaks too become
/// blanks.
std::string without_control_characters(std::string_view text);

}  // namespace tessera
