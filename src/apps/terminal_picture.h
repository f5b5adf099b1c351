// Pictures painted in a terminal: as kitty's graphics or sixels where it has them, else with half blocks, two pixels to a character.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "core/terminal.h"
#include "media/image.h"

namespace tessera::apps {

enum class Painting { none, ascii, blocks, kitty, sixel };

/// What a picture may take up and in which colours.
struct Canvas {
  int columns = 80, rows = 24;
  bool true_colour = true;  // of blocks: 24 bits a colour, else the 240 that every terminal has
};

/// Terminals that say what they are by a variable; `Painting::none` for all others.
Painting named_painting(const Environment& environment);
/// What a terminal answered to graphics_question: kitty's graphics, sixels, or `Painting::none`.
extern const std::string_view graphics_question;
Painting answered_painting(std::string_view answer);

/// How to paint where `asked` is auto, kitty, sixel, blocks or ascii. `answer` asks the terminal, when nothing else has said. Nothing is
/// painted where there is no terminal; without colours (NO_COLOR) or without UTF-8, letters are. Throws UserError for another word.
Painting choose_painting(std::string_view asked, const Terminal& terminal, const Environment& environment,
                         const std::function<std::string()>& answer);

/// The picture, whole, at its own proportions, as the terminal is to be sent it; what is transparent is white. Ends with a line break.
std::string painted(const Image& picture, Painting painting, const Canvas& canvas);

/// What stands behind standard output: asks it (a fifth of a second at most), and paints there.
class PicturePainter {
 public:
  /// Throws UserError for an unknown word.
  explicit PicturePainter(std::string_view asked);
  /// False where nothing is painted.
  bool paints() const { return painting_ != Painting::none; }
  void paint(const Image& picture) const;

 private:
  Painting painting_;
  Canvas canvas_;
};

}  // namespace tessera::apps
