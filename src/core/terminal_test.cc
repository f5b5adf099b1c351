// What a terminal is taken to show, and the bar on it.
#include "core/terminal.h"

#include <gmock/gmock.h>
#include <pty.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <map>

#include "core/log.h"
#include "core/progress.h"

namespace tessera {
namespace {

using ::testing::HasSubstr;

using Variables = std::map<std::string, std::string>;

Terminal described(const Variables& variables, bool is_terminal = true, int columns = 0, const char* codeset = "") {
  return describe_terminal(is_terminal, columns, codeset, [&](const char* name) {
    const auto found = variables.find(name);
    return found == variables.end() ? nullptr : found->second.c_str();
  });
}

TEST(Terminal, ADumbTerminalOrOneWithoutANameGetsPlainLines) {
  EXPECT_TRUE(described({{"TERM", "xterm-256color"}}).rewrites);
  EXPECT_FALSE(described({{"TERM", "dumb"}}).rewrites);
  EXPECT_FALSE(described({{"TERM", "dumb"}}).colours);
  EXPECT_FALSE(described({}).rewrites);
  EXPECT_FALSE(described({{"TERM", "xterm"}}, false).rewrites);
}

TEST(Terminal, NoColorTakesColoursAwayAndNothingElse) {
  EXPECT_TRUE(described({{"TERM", "xterm"}}).colours);
  EXPECT_TRUE(described({{"TERM", "xterm"}, {"NO_COLOR", ""}}).colours);  // as the convention says
  const Terminal plain = described({{"TERM", "xterm"}, {"NO_COLOR", "1"}});
  EXPECT_FALSE(plain.colours);
  EXPECT_TRUE(plain.rewrites);
  EXPECT_EQ(styled(plain, "\033[1m", "word"), "word");
  EXPECT_EQ(styled(described({{"TERM", "xterm"}}), "\033[1m", "word"), "\033[1mword\033[0m");
}

TEST(Terminal, TheLocaleSaysWhetherThereIsMoreThanAscii) {
  EXPECT_TRUE(described({}, true, 0, "UTF-8").unicode);
  EXPECT_FALSE(described({{"LANG", "C.UTF-8"}}, true, 0, "ANSI_X3.4-1968").unicode);
  EXPECT_TRUE(described({{"LANG", "de_DE.utf8"}}).unicode);  // a locale that the system does not have
  EXPECT_TRUE(described({{"LANG", "de_DE.UTF-8@euro"}}).unicode);
  EXPECT_FALSE(described({{"LC_ALL", "C"}, {"LANG", "de_DE.UTF-8"}}).unicode);
  EXPECT_FALSE(described({{"LANG", "de_DE.ISO-8859-1"}}).unicode);
  EXPECT_FALSE(described({}).unicode);
}

TEST(Terminal, ItsOwnWidthGoesBeforeTheOneThatIsNamed) {
  EXPECT_EQ(described({{"COLUMNS", "100"}}, true, 132).columns, 132);
  EXPECT_EQ(described({{"COLUMNS", "100"}}).columns, 100);
  for (const char* wrong : {"", "wide", "0", "-3", "80x", "99999999999999999999"})
    EXPECT_EQ(described({{"COLUMNS", wrong}}).columns, 80) << wrong;
  EXPECT_EQ(described({}, true, 2).columns, 20);
}

TEST(Terminal, TextsOfOthersMoveNoCursor) {
  EXPECT_EQ(without_control_characters("a\033[2Jb\nc\x7f"), "a [2Jb c ");
  EXPECT_EQ(without_control_characters("größer"), "größer");
}

TEST(ProgressLine, NeverIsAsWideAsTheTerminal) {
  for (int columns = 20; columns < 120; ++columns) {
    const Terminal terminal{.rewrites = true, .columns = columns};
    const std::string line = progress_line(terminal, "train", 0.5, " 50% 60/120 steps  3.1/s  ETA 20s  loss 0.1234");
    EXPECT_LT(static_cast<int>(line.size()), columns);
    EXPECT_THAT(line, ::testing::StartsWith("train "));
  }
}

TEST(ProgressLine, IsDrawnInAsciiWhereThereIsNothingElse) {
  EXPECT_EQ(progress_line({.rewrites = true}, "draw", 0.25, "25%"), "draw ######------------------ 25%");
  EXPECT_THAT(progress_line({.rewrites = true, .unicode = true}, "draw", 0.25, "25%"), HasSubstr("━━━━━━╌"));
  EXPECT_EQ(progress_line({.rewrites = false}, "draw", 0.25, "25%"), "draw 25%");
}

/// What a terminal is sent while `work` runs behind it.
std::string sent_to_terminal(const char* kind, const std::function<void()>& work) {
  int terminal = -1;
  const pid_t child = ::forkpty(&terminal, nullptr, nullptr, nullptr);
  if (child == 0) {
    ::setenv("TERM", kind, 1);
    ::setenv("LC_ALL", "C", 1);
    set_log_level(LogLevel::info);
    set_progress_enabled(true);
    work();
    ::_exit(0);
  }
  std::string sent;
  char piece[4096];
  for (ssize_t count; (count = ::read(terminal, piece, sizeof piece)) > 0;)
    sent.append(piece, static_cast<size_t>(count));
  ::close(terminal);
  ::waitpid(child, nullptr, 0);
  return sent;
}

void log_beside_a_bar() {
  Progress progress("train", 10, "steps");
  progress.update(5);
  log_info("step 5  psnr 20");
}

TEST(ProgressLine, ALineOfTheLogTakesThePlaceOfTheBar) {
  EXPECT_THAT(sent_to_terminal("xterm", log_beside_a_bar),
              ::testing::MatchesRegex(
                  "\rtrain #+-+  50% 5/10 steps\x1b\\[K\r\x1b\\[Kstep 5  psnr 20\r\n\rtrain 5 steps in .*\n"));
}

TEST(ProgressLine, ADumbTerminalIsSentWholeLinesWithoutEscapes) {
  EXPECT_EQ(sent_to_terminal("dumb", log_beside_a_bar), "train  50% 5/10 steps\r\nstep 5  psnr 20\r\n");
}

}  // namespace
}  // namespace tessera
