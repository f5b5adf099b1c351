// Pickles as torch.save writes them, read as data: objects are described, never made, and nothing that a pickle names is run. The opcodes
// are those of protocol 2 that such files have (Python's pickletools.py); any other is refused by its name.
#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace tessera {

/// What a pickle describes. Objects that it shares are shared; it may even contain itself.
struct PickleObject {
  enum class Kind { none, boolean, whole, real, text, list, tuple, dict, global, call, persistent };
  using Ref = const PickleObject*;

  Kind kind = Kind::none;
  int64_t whole = 0;  // of whole and boolean
  double real = 0;    // of real
  std::string text;   // of text; "module.name" of global
  std::vector<Ref>
      items;  // of list and tuple; of call: what is called, and its arguments as a tuple; of persistent: its id
  std::vector<std::pair<Ref, Ref>> pairs;  // of dict, in order; later ones of a key win

  bool is(Kind wanted) const { return kind == wanted; }
  bool is_global(std::string_view name) const { return kind == Kind::global && text == name; }
};

/// Owns all objects of one pickle.
class Pickle {
 public:
  /// Throws UserError, with the byte where it stands, for opcodes that are not known, a stack that has not what one wants, memo entries that
  /// were never written, texts that leave the pickle, and numbers over 64 bits. `source` names it.
  Pickle(std::string_view bytes, std::string_view source);
  const PickleObject& root() const { return *root_; }

 private:
  friend class PickleMachine;
  std::deque<PickleObject> objects_;
  const PickleObject* root_ = nullptr;
};

}  // namespace tessera
