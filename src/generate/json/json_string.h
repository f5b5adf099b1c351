// A JSON string of a bounded number of characters, as an automaton whose states are numbers: no table, whatever the bounds.
#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>

namespace tessera::generate {

/// Accepts quotes, `least` to `most` characters (code points) and quotes. Well-formed UTF-8 alone; escapes of surrogates are left
/// out, since the characters that they make can be written as themselves.
class JsonString {
 public:
  static constexpr int64_t unbounded = int64_t{1} << 40;
  explicit JsonString(int64_t least = 0, int64_t most = unbounded) : least_(least), most_(most) {}

  int64_t start() const { return state_of(0, before); }
  /// The state after `byte`, or -1.
  int64_t next(int64_t state, uint8_t byte) const;
  bool accepts(int64_t state) const { return part_of(state) == done; }
  /// Bytes that are at least still to come.
  int64_t distance(int64_t state) const;
  /// Equal for states that `reach` bytes cannot tell apart.
  int64_t alike(int64_t state, int64_t reach) const {
    const int64_t missing = std::clamp<int64_t>(least_ - count_of(state), 0, reach);
    const int64_t room = std::min(most_ - count_of(state), reach);
    return (missing * (reach + 1) + room) * parts + part_of(state);
  }

 private:
  enum Part : int64_t {
    before,    // the opening quotes
    inside,    // between characters
    escape,    // after a backslash
    hex1,      // four digits are missing
    hex2,      // three digits are missing
    hex2_low,  // the same after a D: no surrogate may come of it
    hex3,
    hex4,
    last,        // one more byte of a character
    last_two,    // two more
    last_three,  // three more, after F1 to F3
    after_e0,    // not overlong
    after_ed,    // no surrogate
    after_f0,    // not overlong
    after_f4,    // not beyond U+10FFFF
    done,
    parts
  };
  static int64_t state_of(int64_t count, int64_t part) { return count * parts + part; }
  static int64_t part_of(int64_t state) { return state % parts; }
  static int64_t count_of(int64_t state) { return state / parts; }
  int64_t one_more(int64_t count) const {
    return state_of(most_ == unbounded ? std::min(count + 1, least_) : count + 1, inside);
  }
  int64_t begin(int64_t count, uint8_t byte) const;
  int64_t least_, most_;
};

inline int64_t JsonString::begin(int64_t count, uint8_t byte) const {
  if (byte == '"') return count >= least_ ? state_of(0, done) : -1;
  if (byte < 0x20 || count >= most_) return -1;
  if (byte == '\\') return state_of(count, escape);
  if (byte < 0x80) return one_more(count);
  if (byte < 0xC2 || byte > 0xF4) return -1;
  if (byte < 0xE0) return state_of(count, last);
  if (byte == 0xE0) return state_of(count, after_e0);
  if (byte == 0xED) return state_of(count, after_ed);
  if (byte < 0xF0) return state_of(count, last_two);
  if (byte == 0xF0) return state_of(count, after_f0);
  return state_of(count, byte == 0xF4 ? after_f4 : last_three);
}

inline int64_t JsonString::next(int64_t state, uint8_t byte) const {
  const int64_t count = count_of(state);
  const auto digit = [&] { return (byte >= '0' && byte <= '9') || ((byte | 0x20) >= 'a' && (byte | 0x20) <= 'f'); };
  const auto in = [&](int low, int high, int64_t to) { return byte >= low && byte <= high ? state_of(count, to) : -1; };
  switch (part_of(state)) {
    case before:
      return byte == '"' ? state_of(count, inside) : -1;
    case inside:
      return begin(count, byte);
    case escape:
      if (byte == 'u') return state_of(count, hex1);
      return byte == '"' || byte == '\\' || byte == '/' || byte == 'b' || byte == 'f' || byte == 'n' || byte == 'r' ||
                     byte == 't'
                 ? one_more(count)
                 : -1;
    case hex1:
      return digit() ? state_of(count, (byte | 0x20) == 'd' ? hex2_low : hex2) : -1;
    case hex2_low:
      return in('0', '7', hex3);
    case hex2:
      return digit() ? state_of(count, hex3) : -1;
    case hex3:
      return digit() ? state_of(count, hex4) : -1;
    case hex4:
      return digit() ? one_more(count) : -1;
    case last:
      return byte >= 0x80 && byte <= 0xBF ? one_more(count) : -1;
    case last_two:
      return in(0x80, 0xBF, last);
    case last_three:
      return in(0x80, 0xBF, last_two);
    case after_e0:
      return in(0xA0, 0xBF, last);
    case after_ed:
      return in(0x80, 0x9F, last);
    case after_f0:
      return in(0x90, 0xBF, last_two);
    case after_f4:
      return in(0x80, 0x8F, last_two);
    default:
      return -1;
  }
}

inline int64_t JsonString::distance(int64_t state) const {
  const int64_t part = part_of(state);
  if (part == done) return 0;
  const int64_t missing = std::max<int64_t>(least_ - count_of(state), 0);
  if (part == before) return missing + 2;
  if (part == inside) return missing + 1;
  static constexpr int64_t of_character[parts] = {0, 0, 1, 4, 3, 3, 2, 1, 1, 2, 3, 2, 2, 3, 3, 0};
  return of_character[part] + std::max<int64_t>(missing - 1, 0) + 1;
}

}  // namespace tessera::generate
