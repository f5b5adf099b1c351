// The locale is asked without changing the program's own: numbers are read and written alike everywhere.
#include "core/terminal.h"

#include <langinfo.h>
#include <locale.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>

namespace tessera {

namespace {

constexpr int least_columns = 20, most_columns = 1000;

std::string_view value_of(const Environment& environment, const char* name) {
  const char* value = environment(name);
  return value == nullptr ? std::string_view() : std::string_view(value);
}

/// "de_DE.UTF-8" names one, "de_DE" may be one: then the C library knows.
std::string named_codeset(const Environment& environment) {
  for (const char* name : {"LC_ALL", "LC_CTYPE", "LANG"}) {
    const std::string_view value = value_of(environment, name);
    if (value.empty()) continue;
    const size_t dot = value.find('.');
    return dot == std::string_view::npos ? "" : std::string(value.substr(dot + 1, value.find('@') - dot - 1));
  }
  return "";
}

bool is_utf8(std::string_view codeset) {
  std::string letters;
  for (const char c : codeset) {
    if (c != '-') letters += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  }
  return letters == "utf8";
}

/// Of the locale that the environment names; empty where the system does not have that one.
std::string system_codeset() {
  const locale_t locale = ::newlocale(LC_CTYPE_MASK, "", nullptr);
  if (locale == nullptr) return "";
  std::string codeset = ::nl_langinfo_l(CODESET, locale);
  ::freelocale(locale);
  return codeset;
}

}  // namespace

Terminal describe_terminal(bool is_terminal, int window_columns, std::string_view codeset,
                           const Environment& environment) {
  Terminal terminal;
  const std::string_view kind = value_of(environment, "TERM");
  terminal.rewrites = is_terminal && !kind.empty() && kind != "dumb";
  terminal.colours = terminal.rewrites && value_of(environment, "NO_COLOR").empty();
  terminal.unicode = is_utf8(codeset.empty() ? named_codeset(environment) : std::string(codeset));
  int columns = window_columns;
  if (columns == 0) {
    const std::string_view asked = value_of(environment, "COLUMNS");
    const auto [end, error] = std::from_chars(asked.data(), asked.data() + asked.size(), columns);
    if (error != std::errc() || end != asked.data() + asked.size() || columns < 1) columns = Terminal{}.columns;
  }
  terminal.columns = std::clamp(columns, least_columns, most_columns);
  return terminal;
}

Terminal terminal_of(int descriptor) {
  winsize window{};
  if (::ioctl(descriptor, TIOCGWINSZ, &window) != 0) window.ws_col = 0;
  return describe_terminal(::isatty(descriptor) != 0, window.ws_col, system_codeset(),
                           [](const char* name) { return std::getenv(name); });
}

std::string styled(const Terminal& terminal, std::string_view sequence, std::string_view text) {
  if (!terminal.colours) return std::string(text);
  return std::string(sequence) + std::string(text) + "\033[0m";
}

std::string without_control_characters(std::string_view text) {
  std::string plain(text);
  std::replace_if(
      plain.begin(), plain.end(), [](unsigned char c) { return c < 0x20 || c == 0x7f; }, ' ');
  return plain;
}

}  // namespace tessera
