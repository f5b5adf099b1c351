// See standard_input.h.
#include "apps/standard_input.h"

#include <algorithm>
#include <array>
#include <iostream>

#include "core/error.h"
#include "core/text_file.h"

namespace tessera::apps {

std::string read_standard_input() {
  std::string bytes;
  std::array<char, 1 << 16> piece{};
  while (std::cin.read(piece.data(), std::ssize(piece)) || std::cin.gcount() > 0)
    bytes.append(piece.data(), static_cast<size_t>(std::cin.gcount()));
  if (std::cin.bad()) throw FaultError("[input] standard input cannot be read");
  return bytes;
}

namespace {

std::string text_of_standard_input(std::string_view verb) {
  std::string words = text_of_bytes(read_standard_input(), "standard input", verb);
  if (is_blank(words)) throw UserError("[{}] '-' is a prompt from standard input, and there are no words in it", verb);
  return words;
}

}  // namespace

std::vector<std::string> given_prompts(std::vector<std::string> prompts, const std::filesystem::path& lines,
                                       std::string_view verb) {
  const auto dashes = std::ranges::count_if(prompts, [](const std::string& one) { return is_dash(one); });
  if (dashes + (is_dash(lines) ? 1 : 0) > 1)
    throw UserError("[{}] '-' is given {} times; standard input is read once", verb, dashes + (is_dash(lines) ? 1 : 0));
  for (std::string& prompt : prompts) {
    if (!is_dash(prompt)) continue;
    prompt = text_of_standard_input(verb);
    if (prompt.ends_with('\n')) prompt.pop_back();
  }
  if (lines.empty()) return prompts;
  for (std::string& line : is_dash(lines) ? text_lines(text_of_standard_input(verb)) : read_text_lines(lines, verb))
    prompts.push_back(std::move(line));
  return prompts;
}

}  // namespace tessera::apps
