// Stop texts: where a continuation ends, and that nothing of a stop is shown, however the text is cut into pieces.
#include "generate/text_sequence.h"

#include <gtest/gtest.h>

#include "core/rng.h"

namespace tessera::generate {
namespace {

struct Shown {
  std::string text;
  bool stopped = false;
};

/// Gives `text` in pieces of these lengths, then the rest.
Shown show(const std::string& text, const std::vector<std::string>& stops, const std::vector<size_t>& pieces = {}) {
  StopText stop(stops);
  Shown shown;
  size_t at = 0;
  for (const size_t n : pieces) {
    shown.text += stop.push(text.substr(std::min(at, text.size()), n));
    at += n;
  }
  if (at < text.size()) shown.text += stop.push(text.substr(at));
  shown.text += stop.finish();
  shown.stopped = stop.stopped();
  return shown;
}

TEST(StopText, EndsBeforeTheStop) {
  EXPECT_EQ(show("one\n\ntwo", {"\n\n"}).text, "one");
  EXPECT_TRUE(show("one\n\ntwo", {"\n\n"}).stopped);
  EXPECT_EQ(show("one\ntwo", {"\n\n"}).text, "one\ntwo");
  EXPECT_FALSE(show("one\ntwo\n", {"\n\n"}).stopped);
}

TEST(StopText, HoldsBackWhatMayBecomeAStop) {
  const std::vector<std::string> stops = {"STOP", "\nUser:"};
  StopText stop(stops);
  EXPECT_EQ(stop.push("say ST"), "say ");
  EXPECT_EQ(stop.push("O"), "");
  EXPECT_EQ(stop.push("RM\nUse"), "STORM");
  EXPECT_EQ(stop.push("s\n"), "\nUses");
  EXPECT_EQ(stop.push("User: hi"), "");
  EXPECT_TRUE(stop.stopped());
  EXPECT_EQ(stop.push("more"), "");
  EXPECT_EQ(stop.finish(), "");
}

TEST(StopText, TheOneThatIsCompleteFirstCountsAndTheLongestOfThose) {
  EXPECT_EQ(show("xabcd", {"abcd", "bc"}).text, "xa");
  EXPECT_EQ(show("xabcd", {"cd", "bcd", "abcd"}).text, "x");
}

TEST(StopText, DoesNotDependOnHowTheTextIsCut) {
  Rng rng(3);
  for (int trial = 0; trial < 3000; ++trial) {
    const auto word = [&rng](uint64_t longest) {
      std::string text(1 + rng.below(longest), 'a');
      for (char& c : text) c = static_cast<char>('a' + rng.below(2));
      return text;
    };
    const std::string text = word(20);
    std::vector<std::string> stops;
    for (uint64_t n = 1 + rng.below(3); n > 0; --n) stops.push_back(word(6));
    std::vector<size_t> pieces;
    for (int i = 0; i < 20; ++i) pieces.push_back(1 + rng.below(4));
    // The definition, written out: the shortest beginning of the text that ends in a stop, without the longest such
    // stop.
    std::string expected = text;
    bool stopped = false;
    for (size_t end = 1; end <= text.size() && !stopped; ++end) {
      size_t longest = 0;
      for (const auto& stop : stops) {
        if (stop.size() <= end && text.compare(end - stop.size(), stop.size(), stop) == 0)
          longest = std::max(longest, stop.size());
      }
      if (longest > 0) {
        stopped = true;
        expected = text.substr(0, end - longest);
      }
    }
    const Shown whole = show(text, stops), cut = show(text, stops, pieces);
    ASSERT_EQ(whole.text, expected);
    ASSERT_EQ(cut.text, expected);
    ASSERT_EQ(cut.stopped, stopped);
  }
}

}  // namespace
}  // namespace tessera::generate
