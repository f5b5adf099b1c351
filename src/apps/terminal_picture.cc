// Everything but asking and writing is a function of its arguments, so that tests read what a terminal would be sent.
#include "apps/terminal_picture.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>
#include <cstdlib>

#include <fmt/format.h>

#include "apps/options.h"
#include "core/base64.h"
#include "core/error.h"
#include "media/compose.h"
#include "media/png.h"

namespace tessera::apps {

/// One pixel to kitty's graphics, not to be shown, and the question that every terminal answers (primary device attributes).
const std::string_view graphics_question = "\033_Gi=31,s=1,v=1,a=q,t=d,f=24;AAAA\033\\\033[c";

namespace {

std::string_view variable(const Environment& environment, const char* name) {
  const char* value = environment(name);
  return value == nullptr ? std::string_view() : std::string_view(value);
}

/// Small pictures are enlarged by whole numbers up to about so many pixels where a pixel of the terminal is one of theirs.
constexpr int64_t usual_edge = 384;

Image enlarged_for_pixels(const Image& picture) {
  const int64_t factor = std::max<int64_t>(1, usual_edge / std::max(picture.width, picture.height));
  if (factor > 1) return media::resize_area(picture, picture.width * factor, picture.height * factor);
  constexpr int64_t most = 1024;
  const int64_t edge = std::max(picture.width, picture.height);
  if (edge <= most) return picture;
  return media::resize_area(picture, std::max<int64_t>(1, picture.width * most / edge),
                            std::max<int64_t>(1, picture.height * most / edge));
}

/// At most `width` x `height`, at its own proportions, never larger than it is.
Image fitted(const Image& picture, int64_t width, int64_t height) {
  const double factor = std::min({1.0, static_cast<double>(width) / static_cast<double>(picture.width),
                                  static_cast<double>(height) / static_cast<double>(picture.height)});
  if (factor == 1.0) return picture;
  const auto edge = [&](int64_t own) {
    return std::max<int64_t>(1, static_cast<int64_t>(static_cast<double>(own) * factor));
  };
  return media::resize_area(picture, edge(picture.width), edge(picture.height));
}

/// A PNG in pieces of 4096 letters, all but the last with m=1.
std::string kitty_text(const Image& picture) {
  constexpr size_t piece = 4096;
  const std::string letters = base64_encoded(media::encode_png(picture));
  std::string text;
  for (size_t begin = 0; begin < letters.size(); begin += piece) {
    const bool more = begin + piece < letters.size();
    const std::string head = begin == 0 ? "a=T,f=100,q=2," : "";
    text += fmt::format("\033_G{}m={};{}\033\\", head, more ? 1 : 0, letters.substr(begin, piece));
  }
  return text + "\n";
}

// Sixels: six rows at a time, for each colour a character per column. 6 x 7 x 6 colours with the error carried on (Floyd and Steinberg).

constexpr std::array<int, 3> levels{6, 7, 6};

int nearest_level(float value, int count) {
  return std::clamp(static_cast<int>(value * static_cast<float>(count - 1) / 255 + 0.5F), 0, count - 1);
}

std::vector<uint8_t> dithered(const Image& picture) {
  const int64_t w = picture.width, h = picture.height;
  std::vector<float> values(picture.pixels.begin(), picture.pixels.end());
  std::vector<uint8_t> colours(static_cast<size_t>(w * h));
  const auto carry = [&](int64_t x, int64_t y, int64_t c, float error) {
    if (x >= 0 && x < w && y < h) values[static_cast<size_t>((y * w + x) * 3 + c)] += error;
  };
  for (int64_t y = 0; y < h; ++y) {
    for (int64_t x = 0; x < w; ++x) {
      int colour = 0;
      for (int64_t c = 0; c < 3; ++c) {
        const int count = levels[static_cast<size_t>(c)];
        const float value = values[static_cast<size_t>((y * w + x) * 3 + c)];
        const int level = nearest_level(value, count);
        const float error = value - 255 * static_cast<float>(level) / static_cast<float>(count - 1);
        carry(x + 1, y, c, error * 7 / 16);
        carry(x - 1, y + 1, c, error * 3 / 16);
        carry(x, y + 1, c, error * 5 / 16);
        carry(x + 1, y + 1, c, error / 16);
        colour = colour * count + level;
      }
      colours[static_cast<size_t>(y * w + x)] = static_cast<uint8_t>(colour);
    }
  }
  return colours;
}

/// Equal characters in a row as "!COUNTcharacter".
void append_run(std::string& text, char character, int64_t count) {
  constexpr int64_t least = 4;
  if (count >= least) text += fmt::format("!{}{}", count, character);
  else text.append(static_cast<size_t>(count), character);
}

void append_band(std::string& text, const std::vector<uint8_t>& colours, int64_t w, int64_t h, int64_t top) {
  std::array<bool, 256> used{};
  for (int64_t i = top * w; i < std::min(top + 6, h) * w; ++i) used[colours[static_cast<size_t>(i)]] = true;
  for (int colour = 0; colour < 256; ++colour) {
    if (!used[static_cast<size_t>(colour)]) continue;
    text += fmt::format("#{}", colour);
    char last = 0;
    int64_t count = 0;
    for (int64_t x = 0; x < w; ++x) {
      int dots = 0;
      for (int64_t y = top; y < std::min(top + 6, h); ++y)
        dots |= (colours[static_cast<size_t>(y * w + x)] == colour ? 1 : 0) << (y - top);
      const char character = static_cast<char>('?' + dots);
      if (character != last && count > 0) append_run(text, last, count);
      count = character == last ? count + 1 : 1;
      last = character;
    }
    append_run(text, last, count);
    text += '$';
  }
  text += '-';
}

std::string sixel_text(const Image& picture) {
  std::string text = fmt::format("\033P0;1q\"1;1;{};{}", picture.width, picture.height);
  int number = 0;
  for (int r = 0; r < levels[0]; ++r) {
    for (int g = 0; g < levels[1]; ++g) {
      for (int b = 0; b < levels[2]; ++b)
        text += fmt::format("#{};2;{};{};{}", number++, 100 * r / (levels[0] - 1), 100 * g / (levels[1] - 1),
                            100 * b / (levels[2] - 1));
    }
  }
  const std::vector<uint8_t> colours = dithered(picture);
  for (int64_t top = 0; top < picture.height; top += 6) append_band(text, colours, picture.width, picture.height, top);
  return text + "\033\\\n";
}

/// Of the 6 x 6 x 6 colours from 16 on and the 24 greys from 232 on, the nearest.
int nearest_of_240(const uint8_t* p) {
  const auto step = [](int v) { return v < 48 ? 0 : v < 115 ? 1 : (v - 35) / 40; };
  const auto value = [](int s) { return s == 0 ? 0 : 55 + 40 * s; };
  const auto distance = [&](int r, int g, int b) {
    return (r - p[0]) * (r - p[0]) + (g - p[1]) * (g - p[1]) + (b - p[2]) * (b - p[2]);
  };
  const int r = step(p[0]), g = step(p[1]), b = step(p[2]);
  const int grey = std::clamp(((p[0] + p[1] + p[2]) / 3 - 3) / 10, 0, 23), shade = 8 + 10 * grey;
  const bool is_grey = distance(shade, shade, shade) < distance(value(r), value(g), value(b));
  return is_grey ? 232 + grey : 16 + 36 * r + 6 * g + b;
}

std::string colour_text(int layer, const uint8_t* p, bool true_colour) {
  return true_colour ? fmt::format("\033[{};2;{};{};{}m", layer, p[0], p[1], p[2])
                     : fmt::format("\033[{};5;{}m", layer, nearest_of_240(p));
}

/// The upper pixel is the colour of the character, the lower one of what is behind it; colours are said where they change.
std::string blocks_text(const Image& picture, bool true_colour) {
  constexpr int front = 38, back = 48;
  std::string text;
  for (int64_t y = 0; y < picture.height; y += 2) {
    std::string upper, lower;
    for (int64_t x = 0; x < picture.width; ++x) {
      const std::string above = colour_text(front, picture.at(x, y), true_colour);
      const std::string below =
          y + 1 < picture.height ? colour_text(back, picture.at(x, y + 1), true_colour) : "\033[49m";
      if (above != upper) text += upper = above;
      if (below != lower) text += lower = below;
      text += "▀";
    }
    text += "\033[0m\n";
  }
  return text;
}

/// A character for two pixels, one above the other, darker ones with more ink.
std::string ascii_text(const Image& picture) {
  constexpr std::string_view inks = "@%#*+=-:. ";
  std::string text;
  for (int64_t y = 0; y < picture.height; y += 2) {
    for (int64_t x = 0; x < picture.width; ++x) {
      int sum = 0;
      for (const int64_t row : {y, std::min(y + 1, picture.height - 1)}) {
        const uint8_t* p = picture.at(x, row);
        sum += 299 * p[0] + 587 * p[1] + 114 * p[2];
      }
      text += inks[static_cast<size_t>(sum / 2000) * inks.size() / 256];
    }
    text.erase(text.find_last_not_of(' ') + 1);
    text += '\n';
  }
  return text;
}

/// Letters that come without a line break, and without being shown, until the answer's end or until nothing more comes.
std::string ask_terminal() {
  using Clock = std::chrono::steady_clock;
  const int device = ::open("/dev/tty", O_RDWR | O_NOCTTY | O_CLOEXEC);
  termios before{};
  if (device < 0) return "";
  if (::tcgetattr(device, &before) != 0 || ::tcgetpgrp(device) != ::getpgrp()) {
    ::close(device);
    return "";
  }
  termios raw = before;
  raw.c_lflag &= ~static_cast<tcflag_t>(ICANON | ECHO);
  ::tcsetattr(device, TCSANOW, &raw);
  std::string answer;
  const auto asked = ::write(device, graphics_question.data(), graphics_question.size());
  const auto until = Clock::now() + std::chrono::milliseconds(200);
  while (asked > 0 && !answer.ends_with('c')) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(until - Clock::now()).count();
    pollfd ready{.fd = device, .events = POLLIN, .revents = 0};
    std::array<char, 256> bytes{};
    if (left <= 0 || ::poll(&ready, 1, static_cast<int>(left)) <= 0) break;
    const auto count = ::read(device, bytes.data(), bytes.size());
    if (count <= 0) break;
    answer.append(bytes.data(), static_cast<size_t>(count));
  }
  ::tcsetattr(device, TCSANOW, &before);
  ::close(device);
  return answer;
}

}  // namespace

Painting named_painting(const Environment& environment) {
  const std::string_view kind = variable(environment, "TERM"), program = variable(environment, "TERM_PROGRAM");
  if (program == "tmux" || kind.starts_with("tmux") || kind.starts_with("screen"))
    return Painting::none;  // variables are those of the terminal around it
  if (!variable(environment, "KITTY_WINDOW_ID").empty() || kind == "xterm-kitty" || kind == "xterm-ghostty" ||
      program == "ghostty" || program == "WezTerm")
    return Painting::kitty;
  return kind.find("sixel") != std::string_view::npos || kind.starts_with("foot") || kind.starts_with("mlterm")
             ? Painting::sixel
             : Painting::none;
}

Painting answered_painting(std::string_view answer) {
  if (answer.find("_Gi=31;OK") != std::string_view::npos) return Painting::kitty;
  const size_t begin = answer.find("\033[?");
  if (begin == std::string_view::npos) return Painting::none;
  const std::string attributes = ";" + std::string(answer.substr(begin + 3)) + ";";
  const bool has_sixels = attributes.find(";4;") != std::string::npos || attributes.find(";4c") != std::string::npos;
  return has_sixels ? Painting::sixel : Painting::none;
}

Painting choose_painting(std::string_view asked, const Terminal& terminal, const Environment& environment,
                         const std::function<std::string()>& answer) {
  if (asked == "kitty") return Painting::kitty;
  if (asked == "sixel") return Painting::sixel;
  if (asked == "blocks") return Painting::blocks;
  if (asked == "ascii") return Painting::ascii;
  if (asked != "auto") throw UserError("[show] --show-as is '{}', want auto, kitty, sixel, blocks or ascii", asked);
  if (!terminal.rewrites) return Painting::none;
  if (!terminal.colours || !terminal.unicode) return Painting::ascii;
  if (const Painting named = named_painting(environment); named != Painting::none) return named;
  const Painting answered = answered_painting(answer());
  return answered == Painting::none ? Painting::blocks : answered;
}

std::string painted(const Image& picture, Painting painting, const Canvas& canvas) {
  if (picture.width < 1 || picture.height < 1) return "";
  const Image whole = media::over(picture, media::white);
  const Image cells = fitted(whole, canvas.columns, 2 * std::max(1, canvas.rows - 1));
  switch (painting) {
    case Painting::kitty:
      return kitty_text(enlarged_for_pixels(whole));
    case Painting::sixel:
      return sixel_text(enlarged_for_pixels(whole));
    case Painting::blocks:
      return blocks_text(cells, canvas.true_colour);
    case Painting::ascii:
      return ascii_text(cells);
    case Painting::none:
      break;
  }
  return "";
}

PicturePainter::PicturePainter(std::string_view asked) {
  const Environment environment = [](const char* name) { return std::getenv(name); };
  const Terminal terminal = terminal_of(STDOUT_FILENO);
  painting_ = choose_painting(asked, terminal, environment, ask_terminal);
  winsize window{};
  canvas_.columns = terminal.columns;
  if (::ioctl(STDOUT_FILENO, TIOCGWINSZ, &window) == 0 && window.ws_row > 0) canvas_.rows = window.ws_row;
  const std::string_view depth = variable(environment, "COLORTERM");
  const bool is_terminal = terminal.rewrites;
  canvas_.true_colour = !is_terminal || depth == "truecolor" || depth == "24bit" ||
                        variable(environment, "TERM").find("direct") != std::string_view::npos;
}

void PicturePainter::paint(const Image& picture) const {
  detail::print(painted(picture, painting_, canvas_));
  detail::flush();  // it is seen before what comes after it has been worked out
}

}  // namespace tessera::apps
