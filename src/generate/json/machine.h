// Where a text stands in a grammar. A text stands in several places at once where a schema has alternatives; each place is a stack, and
// stacks share what lies below their tops.
#pragma once

#include <cstdint>
#include <memory>
#include <unordered_map>
#include <vector>

#include "generate/json/grammar.h"

namespace tessera::generate {

/// The top of a stack: an element and how far it has come. `parent` is where the text goes on after it; -1: it is over.
struct Place {
  int32_t parent = -1;
  int32_t element = 0;
  int64_t state = 0;
  bool operator==(const Place&) const = default;
};
using Places = std::vector<Place>;

struct HashOfPlace {
  size_t operator()(const Place& place) const;
};

class JsonMachine {
 public:
  explicit JsonMachine(std::shared_ptr<const JsonGrammar> grammar);

  /// Where a text begins.
  const Places& start() const { return start_; }
  /// Where `byte` leads from one place; appends to `to`.
  void step(const Place& place, uint8_t byte, Places& to);
  void step(const Places& places, uint8_t byte, Places& to);
  /// Whether the text may end here.
  bool complete(const Place& place) const { return place.parent == 0 && ended(place); }
  /// Whether anything can follow.
  bool goes_on(const Place& place);
  /// Bytes that are at least still to come.
  int64_t distance(const Place& place) const {
    return place.parent < 0 ? root_distance_
                            : local_distance(place) + below_[static_cast<size_t>(place.parent)].distance;
  }
  int64_t distance(const Places& places) const;

  /// Whether an element is an automaton over bytes and not a list or an object.
  bool is_leaf(const Place& place) const;
  /// Of leaves: the next state or -1, whether it may end here, bytes to its end, and a number that is equal for states that `reach` bytes cannot
  /// tell apart.
  int64_t leaf_next(int32_t element, int64_t state, uint8_t byte) const;
  bool leaf_ended(int32_t element, int64_t state) const;
  int64_t leaf_distance(int32_t element, int64_t state) const;
  int64_t leaf_alike(int32_t element, int64_t state, int64_t reach) const;
  /// The place that a leaf returns to.
  const Place& below(const Place& place) const { return below_[static_cast<size_t>(place.parent)].place; }

  const JsonGrammar& grammar() const { return *grammar_; }

 private:
  struct Below {
    Place place;
    int32_t depth = 0;
    int64_t distance = 0;
  };
  bool ended(const Place& place) const;
  int64_t local_distance(const Place& place) const;
  /// Levels of objects and lists that a value inside of the one at `place` may have.
  int32_t levels_within(const Place& place) const;
  void step_object(const Place& place, uint8_t byte, Places& to);
  void step_array(const Place& place, uint8_t byte, Places& to);
  void keys(const Place& place, uint8_t byte, Places& to);
  void begin_value(int32_t rule, const Place& after, uint8_t byte, Places& to);
  void begin(int32_t element, int32_t parent, uint8_t byte, Places& to) const;
  int32_t keep(const Place& place);

  std::shared_ptr<const JsonGrammar> grammar_;
  std::vector<Below> below_;  // of stacks; equal ones have one number
  std::unordered_map<Place, int32_t, HashOfPlace> numbers_;
  Places start_;
  int64_t root_distance_ = 0;
};

}  // namespace tessera::generate
