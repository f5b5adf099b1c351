// Shortest texts and least depths, found as the smallest solution of what each rule says of the others.
#include "generate/json/grammar.h"

#include <algorithm>

namespace tessera::generate {

namespace {
int64_t sum(int64_t a, int64_t b) { return std::min(a + b, endless); }
constexpr int32_t bottomless = 1 << 20;
}  // namespace

int64_t JsonGrammar::array_rest(const ArrayRule& array, int64_t count) const {
  int64_t bytes = 1;
  for (; count < array.least; ++count) {
    const std::optional<int32_t> item = item_rule(array, count);
    if (!item) return endless;
    const int64_t one = sum(1, rule(*item).shortest);
    if (count >= std::ssize(array.first)) {  // all others are alike
      const int64_t left = array.least - count;
      return one > endless / left ? endless : sum(bytes, one * left);
    }
    bytes = sum(bytes, one);
  }
  return bytes;
}

int64_t JsonGrammar::shortest_of(const Element& element) const {
  switch (element.kind) {
    case Element::Kind::automaton:
      return element.automaton->empty() ? endless : element.automaton->distance(0);
    case Element::Kind::string:
      return element.string.distance(element.string.start());
    case Element::Kind::array: {
      const int64_t rest = array_rest(element.array, 0);
      return element.array.least == 0 ? sum(1, rest) : rest;  // the first item has no comma
    }
    case Element::Kind::object: {
      int64_t bytes = 2;
      bool first = true;
      for (const Property& property : element.object.properties) {
        if (!property.required) continue;
        bytes = sum(bytes, sum(property.key_bytes + (first ? 1 : 2), rule(property.value).shortest));
        first = false;
      }
      return bytes;
    }
  }
  return endless;
}

int32_t JsonGrammar::height_of(const Element& element) const {
  if (element.kind == Element::Kind::array) {
    int32_t height = 0;
    for (int64_t i = 0; i < std::min<int64_t>(element.array.least, std::ssize(element.array.first) + 1); ++i) {
      const std::optional<int32_t> item = item_rule(element.array, i);
      height = std::max(height, item ? rule(*item).height : bottomless);
    }
    return std::min(height + 1, bottomless);
  }
  if (element.kind == Element::Kind::object) {
    int32_t height = 0;
    for (const Property& property : element.object.properties) {
      if (property.required) height = std::max(height, rule(property.value).height);
    }
    return std::min(height + 1, bottomless);
  }
  return element.shortest < endless ? 0 : bottomless;
}

/// Optional properties and items that no text can be.
void JsonGrammar::leave_out_the_impossible(Element& element) const {
  const auto impossible = [&](int32_t number) { return rule(number).shortest >= endless; };
  ObjectRule& object = element.object;
  std::erase_if(object.properties, [&](const Property& p) { return !p.required && impossible(p.value); });
  if (object.other_value && impossible(*object.other_value)) object.other_key = object.other_value = std::nullopt;
  ArrayRule& array = element.array;
  for (size_t i = 0; i < array.first.size(); ++i) {
    if (impossible(array.first[i])) array.most = std::min(array.most, static_cast<int64_t>(i));
  }
  if (array.items && impossible(*array.items)) array.items.reset();
  if (!array.items) array.most = std::min(array.most, std::ssize(array.first));
}

void JsonGrammar::prepare(const JsonGrammar& grammar, ObjectRule& object) {
  const size_t n = object.properties.size();
  object.rest.assign(n + 1, 1);
  object.next.assign(n + 1, endless);
  object.next_required.assign(n + 1, static_cast<int32_t>(n));
  object.required_left.assign(n + 1, 0);
  object.least_height.assign(n + 1, bottomless);
  if (object.other_key) {
    object.least_height[n] = grammar.rule(*object.other_value).height;
    object.next[n] = grammar.element(*object.other_key).shortest + 1 + grammar.rule(*object.other_value).shortest + 1;
  }
  for (size_t p = n; p-- > 0;) {
    const Property& property = object.properties[p];
    const int64_t own = property.key_bytes + 1 + grammar.rule(property.value).shortest;
    object.rest[p] = sum(object.rest[p + 1], property.required ? own + 1 : 0);
    const int64_t with = sum(own, object.rest[p + 1]);
    object.next[p] = property.required ? with : std::min(with, object.next[p + 1]);
    object.next_required[p] = property.required ? static_cast<int32_t>(p) : object.next_required[p + 1];
    object.required_left[p] = object.required_left[p + 1] + (property.required ? 1 : 0);
    object.least_height[p] = std::min(object.least_height[p + 1], grammar.rule(property.value).height);
  }
}

void JsonGrammar::complete() {
  for (bool changed = true; changed;) {
    changed = false;
    for (Element& element : elements_) {
      const int64_t shortest = shortest_of(element);
      const int32_t height = height_of(element);
      changed = changed || shortest < element.shortest || height < element.height;
      element.shortest = std::min(element.shortest, shortest);
      element.height = std::min(element.height, height);
    }
    for (ValueRule& each : rules_) {
      for (const int32_t number : each.elements) {
        if (element(number).shortest >= endless) continue;  // left out below, so its height counts for nothing
        each.shortest = std::min(each.shortest, element(number).shortest);
        each.height = std::min(each.height, element(number).height);
      }
    }
  }
  for (ValueRule& each : rules_)
    std::erase_if(each.elements, [&](int32_t number) { return element(number).shortest >= endless; });
  for (Element& element : elements_) {
    leave_out_the_impossible(element);
    if (element.kind == Element::Kind::object) prepare(*this, element.object);
  }
}

}  // namespace tessera::generate
