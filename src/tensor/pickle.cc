// A stack machine of some thirty opcodes. Objects lie in one place and refer to each other by address, so that neither deep nesting
// nor an object that contains itself does harm.
#include "tensor/pickle.h"

#include <bit>
#include <cstring>
#include <unordered_map>

#include "core/error.h"

namespace tessera {

class PickleMachine {
  using Kind = PickleObject::Kind;

 public:
  PickleMachine(std::string_view bytes, std::string_view source, std::deque<PickleObject>& objects)
      : bytes_(bytes), source_(source), objects_(objects) {}

  const PickleObject* run() {
    while (true) {
      opcode_at_ = at_;
      const auto opcode = static_cast<uint8_t>(take(1)[0]);
      if (opcode == '.') return pop();
      step(opcode);
    }
  }

 private:
  static constexpr int newest_protocol = 2;
  using Ref = PickleObject*;

  [[noreturn]] void refuse(const std::string& what) const {
    throw UserError("[pickle] {}: at byte {} {}", source_, opcode_at_, what);
  }

  std::string_view take(uint64_t count) {
    if (count > bytes_.size() - at_)
      refuse(fmt::format("{} bytes are wanted, {} are left", count, bytes_.size() - at_));
    const std::string_view taken = bytes_.substr(at_, count);
    at_ += count;
    return taken;
  }
  template <class T> T number() {
    T value;
    std::memcpy(&value, take(sizeof(T)).data(), sizeof(T));
    return value;
  }
  std::string_view line() {
    const size_t end = bytes_.find('\n', at_);
    if (end == std::string_view::npos) refuse("a name has no end");
    const std::string_view text = take(end - at_);
    at_ += 1;
    return text;
  }

  Ref make(Kind kind) {
    objects_.emplace_back().kind = kind;
    return &objects_.back();
  }
  void push(Ref object) { stack_.push_back(object); }
  void push_whole(int64_t value, Kind kind = Kind::whole) {
    const Ref object = make(kind);
    object->whole = value;
    push(object);
  }
  Ref pop() {
    if (stack_.size() <= floor()) refuse("nothing is on the stack");
    const Ref top = stack_.back();
    stack_.pop_back();
    return top;
  }
  Ref top(Kind wanted) {
    if (stack_.size() <= floor() || !stack_.back()->is(wanted)) refuse("what is on the stack cannot take that");
    return stack_.back();
  }
  /// No opcode but those that end it reaches below a mark.
  size_t floor() const { return marks_.empty() ? 0 : marks_.back(); }
  /// What was pushed since the last mark.
  std::vector<PickleObject::Ref> popped_to_mark() {
    if (marks_.empty()) refuse("there is no mark");
    const auto first = stack_.begin() + static_cast<std::ptrdiff_t>(marks_.back());
    std::vector<PickleObject::Ref> items(first, stack_.end());
    stack_.erase(first, stack_.end());
    marks_.pop_back();
    return items;
  }
  void push_tuple(std::vector<PickleObject::Ref> items) {
    const Ref tuple = make(Kind::tuple);
    tuple->items = std::move(items);
    push(tuple);
  }
  void push_last(size_t count) {
    std::vector<PickleObject::Ref> items(count);
    for (size_t i = count; i-- > 0;) items[i] = pop();
    push_tuple(std::move(items));
  }
  void remember(uint64_t index) {
    if (stack_.size() <= floor()) refuse("nothing is there to remember");
    memo_[index] = stack_.back();
  }
  void recall(uint64_t index) {
    const auto found = memo_.find(index);
    if (found == memo_.end()) refuse(fmt::format("memo {} was never written", index));
    push(found->second);
  }

  void step(uint8_t opcode) {
    if (!constant(opcode) && !container(opcode) && !object(opcode))
      refuse(fmt::format("stands opcode 0x{:02x}, which files of weights do not have", opcode));
  }

  bool constant(uint8_t opcode) {
    switch (opcode) {
      case 0x80:  // PROTO
        if (const auto protocol = number<uint8_t>(); protocol > newest_protocol)
          refuse(fmt::format("stands protocol {}, want at most {}", protocol, newest_protocol));
        return true;
      case 'N':
        push(make(Kind::none));
        return true;
      case 0x88:  // NEWTRUE
      case 0x89:  // NEWFALSE
        push_whole(opcode == 0x88, Kind::boolean);
        return true;
      case 'J':
        push_whole(number<int32_t>());
        return true;
      case 'K':
        push_whole(number<uint8_t>());
        return true;
      case 'M':
        push_whole(number<uint16_t>());
        return true;
      case 0x8a:  // LONG1
        push_long(number<uint8_t>());
        return true;
      case 'G': {
        const Ref object = make(Kind::real);
        object->real = std::bit_cast<double>(__builtin_bswap64(number<uint64_t>()));
        push(object);
        return true;
      }
      case 'X': {
        const Ref object = make(Kind::text);
        object->text = take(number<uint32_t>());
        push(object);
        return true;
      }
      default:
        return false;
    }
  }

  /// A whole number of `count` bytes in two's complement.
  void push_long(uint8_t count) {
    if (count > 8) refuse(fmt::format("stands a number of {} bytes, want at most 8", count));
    const std::string_view digits = take(count);
    uint64_t value = count > 0 && (static_cast<uint8_t>(digits.back()) & 0x80) != 0 ? ~uint64_t{0} : 0;
    for (size_t i = digits.size(); i-- > 0;) value = value << 8 | static_cast<uint8_t>(digits[i]);
    push_whole(static_cast<int64_t>(value));
  }

  bool container(uint8_t opcode) {
    switch (opcode) {
      case '(':
        marks_.push_back(stack_.size());
        return true;
      case '}':
        push(make(Kind::dict));
        return true;
      case ']':
        push(make(Kind::list));
        return true;
      case ')':
        push(make(Kind::tuple));
        return true;
      case 't':
        push_tuple(popped_to_mark());
        return true;
      case 0x85:
      case 0x86:
      case 0x87:
        push_last(opcode - 0x84u);
        return true;
      case 'a':
        append({pop()});
        return true;
      case 'e':
        append(popped_to_mark());
        return true;
      case 's': {
        const Ref value = pop(), key = pop();
        set({key, value});
        return true;
      }
      case 'u':
        set(popped_to_mark());
        return true;
      default:
        return false;
    }
  }

  void append(const std::vector<PickleObject::Ref>& items) {
    const Ref list = top(Kind::list);
    list->items.insert(list->items.end(), items.begin(), items.end());
  }
  void set(const std::vector<PickleObject::Ref>& keys_and_values) {
    if (stack_.size() <= floor()) refuse("nothing is on the stack");
    Ref dict = stack_.back();
    // What a call of OrderedDict makes is filled like a dict; nothing is called here, so that it is one.
    if (dict->is(Kind::call) && dict->items[0]->is_global("collections.OrderedDict") && dict->items[1]->items.empty())
      dict->kind = Kind::dict;
    dict = top(Kind::dict);
    if (keys_and_values.size() % 2 != 0) refuse("a key has no value");
    for (size_t i = 0; i < keys_and_values.size(); i += 2)
      dict->pairs.emplace_back(keys_and_values[i], keys_and_values[i + 1]);
  }

  bool object(uint8_t opcode) {
    switch (opcode) {
      case 'c': {
        const Ref global = make(Kind::global);
        global->text = std::string(line()) + ".";
        global->text += line();
        push(global);
        return true;
      }
      case 'R': {
        const Ref arguments = pop(), callee = pop(), call = make(Kind::call);
        if (!callee->is(Kind::global) || !arguments->is(Kind::tuple)) refuse("something is called that is no function");
        call->items = {callee, arguments};
        push(call);
        return true;
      }
      case 'b':  // attributes of what is on the stack, which no tensor is made of
        pop();
        if (stack_.size() <= floor()) refuse("nothing is on the stack");
        return true;
      case 'Q': {
        const Ref id = pop(), persistent = make(Kind::persistent);
        persistent->items = {id};
        push(persistent);
        return true;
      }
      case 'q':
        remember(number<uint8_t>());
        return true;
      case 'r':
        remember(number<uint32_t>());
        return true;
      case 'h':
        recall(number<uint8_t>());
        return true;
      case 'j':
        recall(number<uint32_t>());
        return true;
      default:
        return false;
    }
  }

  std::string_view bytes_;
  std::string source_;
  std::deque<PickleObject>& objects_;
  std::vector<Ref> stack_;
  std::vector<size_t> marks_;
  std::unordered_map<uint64_t, Ref> memo_;
  uint64_t at_ = 0, opcode_at_ = 0;
};

Pickle::Pickle(std::string_view bytes, std::string_view source) {
  root_ = PickleMachine(bytes, source, objects_).run();
}

}  // namespace tessera
