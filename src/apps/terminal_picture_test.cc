// What a terminal is sent for a picture, read back, and how the way of painting is chosen.
#include "apps/terminal_picture.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "core/error.h"
#include "media/png.h"

namespace tessera::apps {
namespace {

using ::testing::HasSubstr;

Image four_pixels() {
  Image picture(2, 2, 3);
  const uint8_t values[] = {255, 0, 0, 0, 255, 0, 0, 0, 255, 255, 255, 255};
  std::copy(std::begin(values), std::end(values), picture.pixels.begin());
  return picture;
}

Environment environment_of(std::map<std::string, std::string> variables) {
  return [variables](const char* name) {
    const auto found = variables.find(name);
    return found == variables.end() ? nullptr : found->second.c_str();
  };
}

const Terminal full{.rewrites = true, .colours = true, .unicode = true};

Painting chosen(const Terminal& terminal, std::map<std::string, std::string> variables, std::string answer = "",
                std::string_view asked = "auto") {
  return choose_painting(asked, terminal, environment_of(std::move(variables)), [&] { return answer; });
}

TEST(TerminalPicture, HalfBlocksHaveTheUpperPixelInFrontOfTheLowerOne) {
  EXPECT_EQ(painted(four_pixels(), Painting::blocks, {}),
            "\033[38;2;255;0;0m\033[48;2;0;0;255m▀\033[38;2;0;255;0m\033[48;2;255;255;255m▀\033[0m\n");
  EXPECT_EQ(painted(four_pixels(), Painting::blocks, {.true_colour = false}),
            "\033[38;5;196m\033[48;5;21m▀\033[38;5;46m\033[48;5;231m▀\033[0m\n");
}

TEST(TerminalPicture, AnOddRowHasNothingBehindIt) {
  EXPECT_EQ(painted(Image(1, 1, 3, 7), Painting::blocks, {}), "\033[38;2;7;7;7m\033[49m▀\033[0m\n");
}

TEST(TerminalPicture, FitsTheTerminalAtItsOwnProportions) {
  const std::string text = painted(Image(200, 100, 3), Painting::ascii, {.columns = 50, .rows = 100});
  EXPECT_EQ(std::ranges::count(text, '@'), 50 * 13);
  EXPECT_EQ(std::ranges::count(text, '\n'), 13);
  const std::string low = painted(Image(200, 100, 3), Painting::ascii, {.columns = 500, .rows = 11});
  EXPECT_EQ(std::ranges::count(low, '\n'), 10) << "a line is left for the prompt";
}

TEST(TerminalPicture, LettersHaveMoreInkWhereItIsDarkAndNothingEndsALine) {
  Image picture(3, 2, 3, 255);
  for (int64_t y = 0; y < 2; ++y) std::fill_n(picture.at(0, y), 3, uint8_t{0});
  EXPECT_EQ(painted(picture, Painting::ascii, {}), "@\n");
}

TEST(TerminalPicture, TransparentPixelsAreWhite) {
  EXPECT_EQ(painted(Image(1, 1, 4, 0), Painting::blocks, {}), painted(Image(1, 1, 3, 255), Painting::blocks, {}));
}

std::string unbase64(std::string_view letters) {
  const std::string alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string bytes;
  uint32_t bits = 0;
  int count = 0;
  for (const char letter : letters) {
    if (letter == '=') break;
    bits = bits << 6 | static_cast<uint32_t>(alphabet.find(letter));
    if ((count += 6) >= 8) bytes += static_cast<char>(bits >> (count -= 8) & 255);
  }
  return bytes;
}

TEST(TerminalPicture, KittyIsSentAPngInPieces) {
  Image picture(400, 300, 3);
  for (size_t i = 0; i < picture.pixels.size(); ++i) picture.pixels[i] = static_cast<uint8_t>(i * i % 251);
  const std::string text = painted(picture, Painting::kitty, {});
  std::string letters;
  size_t pieces = 0, last = 0;
  for (size_t begin = 0; (begin = text.find("\033_G", begin)) != std::string::npos; ++pieces) {
    const size_t data = text.find(';', begin), end = text.find("\033\\", begin);
    ASSERT_LE(end - data - 1, 4096u);
    last += text.substr(begin, data - begin).ends_with("m=0");
    letters += text.substr(data + 1, end - data - 1);
    begin = end;
  }
  EXPECT_GT(pieces, 1u);
  EXPECT_EQ(last, 1u);
  EXPECT_THAT(text, ::testing::StartsWith("\033_Ga=T,f=100,q=2,m=1;"));
  EXPECT_EQ(media::decode_png(unbase64(letters), "kitty"), picture);
  EXPECT_EQ(media::decode_png(unbase64(painted(four_pixels(), Painting::kitty, {}).substr(21)), "kitty").width, 384)
      << "small ones are enlarged";
}

/// A sixel text as pixels, by its own palette.
Image unsixel(const std::string& text) {
  const size_t size = text.find("\"1;1;");
  int64_t width = 0, height = 0;
  std::sscanf(text.c_str() + size, "\"1;1;%ld;%ld", &width, &height);
  Image picture(width, height, 3);
  std::map<int, std::array<int, 3>> palette;
  int64_t x = 0, top = 0, repeat = 1;
  int colour = 0;
  for (size_t i = text.find('#', size); i < text.size() && text[i] != '\033'; ++i) {
    int r = 0, g = 0, b = 0, used = 0;
    if (text[i] == '#' && std::sscanf(text.c_str() + i, "#%d;2;%d;%d;%d%n", &colour, &r, &g, &b, &used) == 4) {
      palette[colour] = {r, g, b};
      i += static_cast<size_t>(used) - 1;
    } else if (text[i] == '#') {
      std::sscanf(text.c_str() + i, "#%d%n", &colour, &used);
      i += static_cast<size_t>(used) - 1;
    } else if (text[i] == '!') {
      std::sscanf(text.c_str() + i, "!%ld%n", &repeat, &used);
      i += static_cast<size_t>(used) - 1;
    } else if (text[i] == '$') {
      x = 0;
    } else if (text[i] == '-') {
      x = 0;
      top += 6;
    } else {
      for (; repeat > 0; --repeat, ++x) {
        for (int64_t row = 0; row < 6; ++row) {
          if (((text[i] - '?') >> row & 1) == 0) continue;
          for (int c = 0; c < 3; ++c)
            picture.at(x, top + row)[c] = static_cast<uint8_t>(palette[colour][c] * 255 / 100);
        }
      }
      repeat = 1;
    }
  }
  return picture;
}

TEST(TerminalPicture, SixelsReadBackAreNearlyThePicture) {
  Image picture(400, 31, 3);
  for (int64_t y = 0; y < 31; ++y) {
    for (int64_t x = 0; x < 400; ++x) {
      picture.at(x, y)[0] = static_cast<uint8_t>(x * 255 / 399);
      picture.at(x, y)[1] = 128;
      picture.at(x, y)[2] = static_cast<uint8_t>(y * 8);
    }
  }
  const Image back = unsixel(painted(picture, Painting::sixel, {}));
  ASSERT_EQ(back.width, 400);
  ASSERT_EQ(back.height, 31);
  // Dithering keeps means: of squares of 20 x 6 pixels they differ by little.
  for (int64_t left = 0; left < 400; left += 20) {
    for (int c = 0; c < 3; ++c) {
      int64_t got = 0, want = 0;
      for (int64_t y = 6; y < 12; ++y) {
        for (int64_t x = left; x < left + 20; ++x) {
          got += back.at(x, y)[c];
          want += picture.at(x, y)[c];
        }
      }
      EXPECT_NEAR(static_cast<double>(got) / 120, static_cast<double>(want) / 120, 12) << left << " " << c;
    }
  }
}

TEST(TerminalPicture, TheWayOfPaintingIsWhatTheTerminalHas) {
  EXPECT_EQ(chosen(full, {{"TERM", "xterm-kitty"}}), Painting::kitty);
  EXPECT_EQ(chosen(full, {{"TERM", "foot"}}), Painting::sixel);
  EXPECT_EQ(chosen(full, {{"TERM", "xterm-256color"}}), Painting::blocks);
  EXPECT_EQ(chosen(full, {{"TERM", "xterm-256color"}}, "\033_Gi=31;OK\033\\\033[?62;4c"), Painting::kitty);
  EXPECT_EQ(chosen(full, {{"TERM", "xterm-256color"}}, "\033[?62;4;22c"), Painting::sixel);
  EXPECT_EQ(chosen(full, {{"TERM", "xterm-256color"}}, "\033[?62;4c"), Painting::sixel);
  EXPECT_EQ(chosen(full, {{"TERM", "xterm-256color"}}, "\033[?64;44;14c"), Painting::blocks);
  EXPECT_EQ(chosen(full, {{"TERM", "tmux-256color"}, {"KITTY_WINDOW_ID", "1"}}, "\033[?1;2c"), Painting::blocks)
      << "the variables are those of the terminal around tmux";
}

TEST(TerminalPicture, WithoutATerminalOrColoursLessIsPainted) {
  EXPECT_EQ(chosen({}, {{"TERM", "xterm-kitty"}}), Painting::none);
  EXPECT_EQ(chosen({.rewrites = true, .colours = false, .unicode = true}, {{"TERM", "xterm-kitty"}}), Painting::ascii);
  EXPECT_EQ(chosen({.rewrites = true, .colours = true, .unicode = false}, {{"TERM", "xterm"}}), Painting::ascii);
}

TEST(TerminalPicture, WhatIsAskedForIsPaintedWhateverTheTerminal) {
  EXPECT_EQ(chosen({}, {}, "", "sixel"), Painting::sixel);
  EXPECT_EQ(chosen(full, {{"TERM", "xterm-kitty"}}, "", "blocks"), Painting::blocks);
  EXPECT_THAT([] { chosen(full, {}, "", "paint"); },
              ::testing::ThrowsMessage<UserError>(HasSubstr("want auto, kitty, sixel, blocks or ascii")));
}

}  // namespace
}  // namespace tessera::apps
