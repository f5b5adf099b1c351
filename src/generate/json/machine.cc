// Objects and lists step by phases; between their parts at most one space, or a line break and some indentation, so that a text cannot go on
// for ever without saying anything.
#include "generate/json/machine.h"

#include <algorithm>

#include "core/rng.h"

namespace tessera::generate {

namespace {

constexpr size_t most_places = 512;  // alternatives beside each other; further ones are given up, which is sound
constexpr int64_t most_indent = 32;  // blanks after a line break
constexpr int32_t document = -1;     // stands for the element around the root
enum DocumentState : int64_t { document_begin, document_after };

enum class ObjectPhase : int64_t { open, colon, value, after_value, comma, done };
enum class ArrayPhase : int64_t { open, after_value, comma, done };

/// 0: none yet; 1: a space; 2 + n: a line break and n blanks. -1 where no white space may follow.
int64_t blank_after(int64_t blank, uint8_t byte) {
  if (blank == 0) return byte == ' ' ? 1 : byte == '\n' ? 2 : -1;
  return blank >= 2 && blank < 2 + most_indent && (byte == ' ' || byte == '\t') ? blank + 1 : -1;
}

/// State of a list: phase, white space, number of items.
struct ArrayState {
  ArrayPhase phase = ArrayPhase::open;
  int64_t blank = 0, count = 0;
  static ArrayState of(int64_t state) { return {static_cast<ArrayPhase>(state & 7), state >> 3 & 63, state >> 9}; }
  int64_t packed() const { return static_cast<int64_t>(phase) | blank << 3 | count << 9; }
};

/// State of an object: the next property of the schema that may come, whether the last key was a further one, number of properties.
struct ObjectState {
  ObjectPhase phase = ObjectPhase::open;
  int64_t blank = 0;
  bool other = false;
  int64_t at = 0, count = 0;
  static ObjectState of(int64_t state) {
    return {static_cast<ObjectPhase>(state & 7), state >> 3 & 63, (state >> 9 & 1) != 0, state >> 10 & 0xFFFFF,
            state >> 30};
  }
  int64_t packed() const {
    return static_cast<int64_t>(phase) | blank << 3 | int64_t{other} << 9 | at << 10 | count << 30;
  }
};

/// Whether a property may follow whose value has at most `levels` levels. One that is required has no more than that.
bool may_have_more(const ObjectRule& rule, const ObjectState& s, int32_t levels) {
  const auto at = static_cast<size_t>(s.at);
  if (rule.next_required[at] < std::ssize(rule.properties)) return true;
  return rule.least_height[at] <= levels && s.count < rule.most;
}

bool may_close(const ObjectRule& rule, const ObjectState& s) {
  return rule.next_required[static_cast<size_t>(s.at)] == std::ssize(rule.properties);
}

}  // namespace

size_t HashOfPlace::operator()(const Place& place) const {
  const auto top =
      static_cast<uint64_t>(static_cast<uint32_t>(place.parent)) << 32 | static_cast<uint32_t>(place.element);
  return mix64(top ^ mix64(static_cast<uint64_t>(place.state)));
}

JsonMachine::JsonMachine(std::shared_ptr<const JsonGrammar> grammar) : grammar_(std::move(grammar)) {
  keep({-1, document, document_after});
  start_ = {{-1, document, document_begin}};
  root_distance_ = grammar_->rule(grammar_->root()).shortest;
}

bool JsonMachine::is_leaf(const Place& place) const {
  if (place.element == document) return false;
  const Element::Kind kind = grammar_->element(place.element).kind;
  return kind == Element::Kind::automaton || kind == Element::Kind::string;
}

int64_t JsonMachine::leaf_next(int32_t element, int64_t state, uint8_t byte) const {
  const Element& leaf = grammar_->element(element);
  if (leaf.kind == Element::Kind::string) return leaf.string.next(state, byte);
  return leaf.automaton->next(static_cast<int32_t>(state), byte);
}

bool JsonMachine::leaf_ended(int32_t element, int64_t state) const {
  const Element& leaf = grammar_->element(element);
  if (leaf.kind == Element::Kind::string) return leaf.string.accepts(state);
  return leaf.automaton->accepts(static_cast<int32_t>(state));
}

int64_t JsonMachine::leaf_distance(int32_t element, int64_t state) const {
  const Element& leaf = grammar_->element(element);
  if (leaf.kind == Element::Kind::string) return leaf.string.distance(state);
  return leaf.automaton->distance(static_cast<int32_t>(state));
}

int64_t JsonMachine::leaf_alike(int32_t element, int64_t state, int64_t reach) const {
  const Element& leaf = grammar_->element(element);
  return leaf.kind == Element::Kind::string ? leaf.string.alike(state, reach) : state;
}

int32_t JsonMachine::keep(const Place& place) {
  const auto [found, is_new] = numbers_.try_emplace(place, static_cast<int32_t>(below_.size()));
  if (is_new) {
    const bool top = place.parent < 0;
    below_.push_back({.place = place,
                      .depth = top ? 0 : below_[static_cast<size_t>(place.parent)].depth + 1,
                      .distance = top ? 0 : distance(place)});
  }
  return found->second;
}

bool JsonMachine::ended(const Place& place) const {
  if (place.element == document) return place.state == document_after;
  const Element& element = grammar_->element(place.element);
  switch (element.kind) {
    case Element::Kind::object:
      return ObjectState::of(place.state).phase == ObjectPhase::done;
    case Element::Kind::array:
      return ArrayState::of(place.state).phase == ArrayPhase::done;
    default:
      return leaf_ended(place.element, place.state);
  }
}

bool JsonMachine::goes_on(const Place& place) {
  Places to;
  for (int byte = 0; byte < 256 && to.empty(); ++byte) step(place, static_cast<uint8_t>(byte), to);
  return !to.empty();
}

int64_t JsonMachine::distance(const Places& places) const {
  int64_t least = endless;
  for (const Place& place : places) least = std::min(least, distance(place));
  return least;
}

int64_t JsonMachine::local_distance(const Place& place) const {
  const Element& element = grammar_->element(place.element);
  if (element.kind == Element::Kind::array) {
    const ArrayRule& rule = element.array;
    const ArrayState s = ArrayState::of(place.state);
    const auto item = [&] { return grammar_->rule(*JsonGrammar::item_rule(rule, s.count)).shortest; };
    switch (s.phase) {
      case ArrayPhase::open:
        return rule.least == 0 ? 1 : item() + grammar_->array_rest(rule, 1);
      case ArrayPhase::after_value:
        return grammar_->array_rest(rule, s.count);
      case ArrayPhase::comma:
        return item() + grammar_->array_rest(rule, s.count + 1);
      case ArrayPhase::done:
        return 0;
    }
  }
  if (element.kind == Element::Kind::object) {
    const ObjectRule& rule = element.object;
    const ObjectState s = ObjectState::of(place.state);
    const auto at = static_cast<size_t>(s.at);
    const auto value = [&] {
      const int32_t number = s.other ? *rule.other_value : rule.properties[at - 1].value;
      return grammar_->rule(number).shortest + rule.rest[at];
    };
    switch (s.phase) {
      case ObjectPhase::open:
        return may_close(rule, s) ? 1 : rule.next[at];
      case ObjectPhase::colon:
        return value() + 1;
      case ObjectPhase::value:
        return value();
      case ObjectPhase::after_value:
        return rule.rest[at];
      case ObjectPhase::comma:
        return rule.next[at];
      case ObjectPhase::done:
        return 0;
    }
  }
  return leaf_distance(place.element, place.state);
}

void JsonMachine::begin(int32_t number, int32_t parent, uint8_t byte, Places& to) const {
  const Element& element = grammar_->element(number);
  switch (element.kind) {
    case Element::Kind::automaton:
      if (const int32_t state = element.automaton->next(0, byte); state >= 0) to.push_back({parent, number, state});
      return;
    case Element::Kind::string:
      if (const int64_t state = element.string.next(element.string.start(), byte); state >= 0)
        to.push_back({parent, number, state});
      return;
    case Element::Kind::object:
    case Element::Kind::array: {
      const bool object = element.kind == Element::Kind::object;
      if (byte == (object ? '{' : '[')) to.push_back({parent, number, 0});
      return;
    }
  }
}

int32_t JsonMachine::levels_within(const Place& place) const {
  return JsonGrammar::deepest - (place.parent < 0 ? 0 : below_[static_cast<size_t>(place.parent)].depth + 1);
}

void JsonMachine::begin_value(int32_t rule, const Place& after, uint8_t byte, Places& to) {
  const size_t before = to.size();
  const int32_t levels = levels_within(after);
  for (const int32_t number : grammar_->rule(rule).elements) {
    if (grammar_->element(number).height <= levels) begin(number, -1, byte, to);
  }
  if (to.size() == before) return;
  const int32_t parent = keep(after);
  for (size_t i = before; i < to.size(); ++i) to[i].parent = parent;
}

void JsonMachine::keys(const Place& place, uint8_t byte, Places& to) {
  if (byte != '"') return;
  const ObjectRule& rule = grammar_->element(place.element).object;
  const ObjectState s = ObjectState::of(place.state);
  const auto n = std::ssize(rule.properties);
  const int32_t required = rule.next_required[static_cast<size_t>(s.at)];
  const int64_t count = rule.most < endless ? s.count + 1 : 0;
  const int32_t levels = levels_within(place);
  const auto push = [&](int32_t key, int64_t at, bool other) {
    const ObjectState after{ObjectPhase::colon, 0, other, at, count};
    begin(key, keep({place.parent, place.element, after.packed()}), byte, to);
  };
  for (int64_t p = s.at; p < n && p <= required; ++p) {
    const Property& property = rule.properties[static_cast<size_t>(p)];
    const int64_t left = rule.required_left[static_cast<size_t>(p) + 1];
    if (count + left <= rule.most && grammar_->rule(property.value).height <= levels) push(property.key, p + 1, false);
  }
  if (required == n && rule.other_key && count <= rule.most && grammar_->rule(*rule.other_value).height <= levels)
    push(*rule.other_key, n, true);
}

void JsonMachine::step_object(const Place& place, uint8_t byte, Places& to) {
  const ObjectRule& rule = grammar_->element(place.element).object;
  ObjectState s = ObjectState::of(place.state);
  const auto go = [&](ObjectPhase phase, int64_t blank) {
    s.phase = phase;
    s.blank = blank;
    to.push_back({place.parent, place.element, s.packed()});
  };
  switch (s.phase) {
    case ObjectPhase::open:
    case ObjectPhase::comma:
      if (const int64_t blank = blank_after(s.blank, byte); blank >= 0) go(s.phase, blank);
      else if (byte == '}' && s.phase == ObjectPhase::open && may_close(rule, s)) go(ObjectPhase::done, 0);
      else if (may_have_more(rule, s, levels_within(place))) keys({place.parent, place.element, place.state}, byte, to);
      return;
    case ObjectPhase::colon:
      if (byte == ':') go(ObjectPhase::value, 0);
      return;
    case ObjectPhase::value: {
      if (byte == ' ' && s.blank == 0) {
        go(ObjectPhase::value, 1);
        return;
      }
      const int32_t value = s.other ? *rule.other_value : rule.properties[static_cast<size_t>(s.at) - 1].value;
      ObjectState after = s;
      after.phase = ObjectPhase::after_value;
      after.blank = 0;
      after.other = false;
      begin_value(value, {place.parent, place.element, after.packed()}, byte, to);
      return;
    }
    case ObjectPhase::after_value:
      if (byte == ',' && s.blank == 0 && may_have_more(rule, s, levels_within(place))) {
        go(ObjectPhase::comma, 0);
      } else if (may_close(rule, s)) {
        if (byte == '}') go(ObjectPhase::done, 0);
        else if (const int64_t blank = blank_after(s.blank, byte); blank >= 0) go(s.phase, blank);
      }
      return;
    case ObjectPhase::done:
      return;
  }
}

void JsonMachine::step_array(const Place& place, uint8_t byte, Places& to) {
  const ArrayRule& rule = grammar_->element(place.element).array;
  ArrayState s = ArrayState::of(place.state);
  const auto go = [&](ArrayPhase phase, int64_t blank) {
    s.phase = phase;
    s.blank = blank;
    to.push_back({place.parent, place.element, s.packed()});
  };
  if (s.phase == ArrayPhase::done) return;
  const std::optional<int32_t> item =
      s.count < rule.most ? JsonGrammar::item_rule(rule, s.count) : std::optional<int32_t>();
  if (s.phase == ArrayPhase::after_value) {
    const bool fits = item && grammar_->rule(*item).height <= levels_within(place);
    if (byte == ',' && s.blank == 0 && fits) {
      go(ArrayPhase::comma, 0);
    } else if (s.count >= rule.least) {
      if (byte == ']') go(ArrayPhase::done, 0);
      else if (const int64_t blank = blank_after(s.blank, byte); blank >= 0) go(s.phase, blank);
    }
    return;
  }
  if (const int64_t blank = blank_after(s.blank, byte); blank >= 0) {
    go(s.phase, blank);
  } else if (byte == ']' && s.phase == ArrayPhase::open && rule.least == 0) {
    go(ArrayPhase::done, 0);
  } else if (item) {
    // where there is no limit, lists that are long enough are alike
    const int64_t enough = rule.most < endless ? endless : std::max(rule.least, std::ssize(rule.first));
    const ArrayState after{ArrayPhase::after_value, 0, std::min(s.count + 1, enough)};
    begin_value(*item, {place.parent, place.element, after.packed()}, byte, to);
  }
}

void JsonMachine::step(const Place& from, uint8_t byte, Places& to) {
  const Place place = from;  // below_ may grow
  if (place.element == document) {
    if (place.state == document_begin) begin_value(grammar_->root(), {-1, document, document_after}, byte, to);
    return;
  }
  switch (grammar_->element(place.element).kind) {
    case Element::Kind::object:
      step_object(place, byte, to);
      break;
    case Element::Kind::array:
      step_array(place, byte, to);
      break;
    default:
      if (const int64_t state = leaf_next(place.element, place.state, byte); state >= 0)
        to.push_back({place.parent, place.element, state});
  }
  if (ended(place)) step(below(place), byte, to);
}

void JsonMachine::step(const Places& places, uint8_t byte, Places& to) {
  to.clear();
  for (const Place& place : places) step(place, byte, to);
  if (to.size() < 2) return;
  size_t kept = 0;
  for (size_t i = 0; i < to.size() && kept < most_places; ++i) {
    if (std::find(to.begin(), to.begin() + static_cast<std::ptrdiff_t>(kept), to[i]) ==
        to.begin() + static_cast<std::ptrdiff_t>(kept))
      to[kept++] = to[i];
  }
  to.resize(kept);
}

}  // namespace tessera::generate
