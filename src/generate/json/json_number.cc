// A number is compared with a bound while its digits come: longer is larger, the first digit that differs decides.
#include "generate/json/json_number.h"

#include <algorithm>
#include <compare>

#include <fmt/format.h>

namespace tessera::generate {

namespace {

/// A bound on the size of a number: digits before and after the point.
struct Digits {
  std::string whole = "0", fraction;
  bool negative = false;
  bool zero() const { return whole == "0" && fraction.find_first_not_of('0') == std::string::npos; }
};

/// "-1.5e+3" without its exponent.
Digits digits_of(const Json& number) {
  std::string text = number.dump();
  Digits digits;
  digits.negative = text[0] == '-';
  if (digits.negative) text.erase(0, 1);
  int64_t exponent = 0;
  if (const size_t e = text.find_first_of("eE"); e != std::string::npos) {
    exponent = std::stoll(text.substr(e + 1));
    text.resize(e);
  }
  const size_t point = text.find('.');
  digits.whole = text.substr(0, point);
  digits.fraction = point == std::string::npos ? "" : text.substr(point + 1);
  for (; exponent > 0; --exponent) {
    digits.whole += digits.fraction.empty() ? '0' : digits.fraction[0];
    if (!digits.fraction.empty()) digits.fraction.erase(0, 1);
  }
  for (; exponent < 0; ++exponent) {
    digits.fraction.insert(0, 1, digits.whole.empty() ? '0' : digits.whole.back());
    if (!digits.whole.empty()) digits.whole.pop_back();
  }
  digits.whole.erase(0, std::min(digits.whole.find_first_not_of('0'), digits.whole.size()));
  if (digits.whole.empty()) digits.whole = "0";
  while (digits.fraction.ends_with('0')) digits.fraction.pop_back();
  if (digits.zero()) digits.negative = false;
  return digits;
}

/// One side of an interval of sizes.
struct Side {
  std::optional<Digits> digits;  // absent: no bound
  bool excluded = false;
};

/// Sizes that are allowed after one sign; `none`: that sign is not.
struct Interval {
  Side low, high;
  bool none = false;
};

/// Sizes m for which m (or -m, `negative`) is within the bounds.
Interval interval_of(const NumberBounds& bounds, bool negative) {
  Side low, high;
  if (bounds.low) low = {digits_of(*bounds.low), bounds.low_excluded};
  if (bounds.high) high = {digits_of(*bounds.high), bounds.high_excluded};
  if (negative) {
    std::swap(low, high);
    for (Side* side : {&low, &high}) {
      if (side->digits && !side->digits->zero()) side->digits->negative = !side->digits->negative;
    }
  }
  Interval interval{low, high};
  if (low.digits && low.digits->negative) interval.low = {};
  interval.none = high.digits && high.digits->negative;
  return interval;
}

enum class Relation : int8_t { less, equal, greater };

enum class Phase : int8_t { start, sign, zero, whole, point, fraction, exponent, exponent_sign, exponent_digits };

struct NumberState {
  Phase phase = Phase::start;
  bool negative = false;
  int32_t digits = 0;  // of this phase
  int32_t rest = 0;    // of the division by multiple_of
  Relation low = Relation::equal, high = Relation::equal;
  auto operator<=>(const NumberState&) const = default;
};

class NumberMaker {
 public:
  explicit NumberMaker(const NumberBounds& bounds) : bounds_(bounds) {
    for (const bool negative : {false, true}) intervals_[negative] = interval_of(bounds, negative);
    for (const Interval& interval : intervals_) {
      for (const Side* side : {&interval.low, &interval.high}) {
        if (!side->digits) continue;
        most_whole_ = std::max(most_whole_, static_cast<int32_t>(side->digits->whole.size()) + 1);
        most_fraction_ = std::max(most_fraction_, static_cast<int32_t>(side->digits->fraction.size()) + 1);
      }
    }
    whole_ = bounds.whole || bounds.multiple_of > 1;
    exponent_ = !whole_ && !bounds.low && !bounds.high;
  }

  template <class Emit> void expand(const NumberState& s, const Emit& emit) const {
    const auto change = [&](Phase phase) {
      NumberState to = s;
      to.phase = phase;
      to.digits = 0;
      return to;
    };
    if (s.phase == Phase::start) {
      NumberState to = change(Phase::sign);
      to.negative = true;
      emit('-', to);
    }
    if (intervals_[s.negative].none) return;
    const bool in_exponent =
        s.phase == Phase::exponent || s.phase == Phase::exponent_sign || s.phase == Phase::exponent_digits;
    if (in_exponent) {
      if (s.phase == Phase::exponent) {
        emit('+', change(Phase::exponent_sign));
        emit('-', change(Phase::exponent_sign));
      }
      NumberState to = s;
      to.phase = Phase::exponent_digits;
      if (++to.digits > 2) return;
      for (int digit = 0; digit < 10; ++digit) emit('0' + digit, to);
      return;
    }
    if (s.phase != Phase::zero) digits(s, emit);
    if (s.phase != Phase::zero && s.phase != Phase::whole && s.phase != Phase::fraction) return;
    if (!whole_ && s.phase != Phase::fraction) {
      NumberState to = change(Phase::point);
      to.low = whole_relation(s, intervals_[s.negative].low, s.low);
      to.high = whole_relation(s, intervals_[s.negative].high, s.high);
      emit('.', to);
    }
    if (exponent_) {
      emit('e', change(Phase::exponent));
      emit('E', change(Phase::exponent));
    }
  }

  bool accepts(const NumberState& s) const {
    if (s.phase == Phase::exponent_digits) return true;
    if (s.phase != Phase::zero && s.phase != Phase::whole && s.phase != Phase::fraction) return false;
    const Interval& interval = intervals_[s.negative];
    if (interval.none || s.rest != 0) return false;
    const Relation low = at_end(s, interval.low, s.low), high = at_end(s, interval.high, s.high);
    const bool above =
        !interval.low.digits || low == Relation::greater || (low == Relation::equal && !interval.low.excluded);
    const bool below =
        !interval.high.digits || high == Relation::less || (high == Relation::equal && !interval.high.excluded);
    return above && below;
  }

 private:
  /// Digits before or after the point.
  template <class Emit> void digits(const NumberState& s, const Emit& emit) const {
    const bool after_point = s.phase == Phase::point || s.phase == Phase::fraction;
    NumberState to = s;
    to.phase = after_point ? Phase::fraction : Phase::whole;
    if (++to.digits > (after_point ? most_fraction_ : most_whole_)) return;
    const bool first = s.phase == Phase::start || s.phase == Phase::sign;
    for (int digit = 0; digit < 10; ++digit) {
      NumberState here = to;
      if (first && digit == 0) here.phase = Phase::zero;
      const Interval& interval = intervals_[s.negative];
      here.low = compared(s, interval.low, s.low, after_point, digit);
      here.high = compared(s, interval.high, s.high, after_point, digit);
      if (bounds_.multiple_of > 1)
        here.rest = static_cast<int32_t>((int64_t{s.rest} * 10 + digit) % bounds_.multiple_of);
      emit('0' + digit, here);
    }
  }

  static Relation compared(const NumberState& s, const Side& side, Relation so_far, bool after_point, int digit) {
    if (!side.digits) return Relation::equal;
    const std::string& digits = after_point ? side.digits->fraction : side.digits->whole;
    const auto at = static_cast<size_t>(s.digits);
    if (!after_point && at >= digits.size()) return Relation::greater;  // longer than the bound
    if (so_far != Relation::equal) return so_far;
    const int wanted = at < digits.size() ? digits[at] - '0' : 0;
    return digit < wanted ? Relation::less : digit > wanted ? Relation::greater : Relation::equal;
  }

  static Relation whole_relation(const NumberState& s, const Side& side, Relation so_far) {
    if (!side.digits) return Relation::equal;
    return static_cast<size_t>(s.digits) < side.digits->whole.size() ? Relation::less : so_far;
  }

  static Relation at_end(const NumberState& s, const Side& side, Relation so_far) {
    if (!side.digits) return Relation::equal;
    if (s.phase != Phase::fraction) {
      so_far = whole_relation(s, side, so_far);
      return so_far == Relation::equal && !side.digits->fraction.empty() ? Relation::less : so_far;
    }
    const bool more = static_cast<size_t>(s.digits) < side.digits->fraction.size();
    return so_far == Relation::equal && more ? Relation::less : so_far;
  }

  const NumberBounds& bounds_;
  Interval intervals_[2];
  int32_t most_whole_ = 15, most_fraction_ = 15;  // what every reader's numbers hold exactly
  bool whole_ = false, exponent_ = false;
};

}  // namespace

ByteAutomaton number_automaton(const NumberBounds& bounds, std::string_view path) {
  const NumberMaker maker(bounds);
  return explore(
      NumberState(), [&](const NumberState& s, const auto& emit) { maker.expand(s, emit); },
      [&](const NumberState& s) { return maker.accepts(s); }, fmt::format("the number at {}", path));
}

}  // namespace tessera::generate
