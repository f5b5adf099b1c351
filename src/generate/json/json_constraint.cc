// A mask is a walk through the tree of the vocabulary beside the grammar. Inside of a string or a number it depends on that alone, and is kept for
// all texts; the few tokens that go beyond its end are walked on with the text's own stack. Whole masks are kept by the place they belong to.
#include "generate/json/json_constraint.h"

#include <algorithm>
#include <limits>
#include <mutex>
#include <unordered_map>
#include <utility>

#include "core/error.h"
#include "core/rng.h"
#include "generate/json/machine.h"

namespace tessera::generate {

namespace {

using Bits = std::vector<uint64_t>;

void add_token(const TokenTrie& tokens, int32_t token, Bits& bits) {
  for (; token >= 0; token = tokens.same(token)) bits[static_cast<size_t>(token) / 64] |= uint64_t{1} << (token % 64);
}

/// Tokens that stay within one string or number from some state on.
struct LeafMask {
  Bits bits = {};
  std::vector<uint32_t> exits = {};  // nodes at which it may end, with nodes below them
  int64_t rise = -endless;           // by how much a token of `bits` takes the end farther away, at most
};

/// What all texts of one grammar and one vocabulary share.
class Shared {
 public:
  Shared(std::shared_ptr<const JsonGrammar> of, std::shared_ptr<const TokenTrie> with)
      : grammar(std::move(of)), tokens(std::move(with)) {}

  std::shared_ptr<const LeafMask> leaf_mask(const JsonMachine& machine, const Place& place) {
    const std::pair<int32_t, int64_t> key(place.element,
                                          machine.leaf_alike(place.element, place.state, tokens->longest()));
    {
      const std::lock_guard lock(mutex_);
      if (const auto found = masks_.find(key); found != masks_.end()) return found->second;
    }
    auto made = std::make_shared<const LeafMask>(walk(machine, place, endless));
    const std::lock_guard lock(mutex_);
    if (masks_.size() >= most_masks) masks_.clear();
    masks_.emplace(key, made);
    return made;
  }

  /// `most`: bytes to its end that a token may leave.
  LeafMask walk(const JsonMachine& machine, const Place& place, int64_t most) const {
    LeafMask mask{.bits = Bits((static_cast<size_t>(tokens->vocabulary()) + 63) / 64)};
    const auto& nodes = tokens->nodes();
    std::vector<int64_t> states(static_cast<size_t>(tokens->longest()) + 1);
    states[0] = place.state;
    const int64_t before = machine.leaf_distance(place.element, place.state);
    for (size_t at = 0; at < nodes.size();) {
      const TokenTrie::Node& node = nodes[at];
      const int64_t state = machine.leaf_next(place.element, states[node.depth - 1u], node.byte);
      if (state < 0) {
        at = node.end;
        continue;
      }
      states[node.depth] = state;
      if (node.token >= 0) {
        const int64_t distance = machine.leaf_distance(place.element, state);
        if (distance <= most) {
          mask.rise = std::max(mask.rise, distance - before);
          add_token(*tokens, node.token, mask.bits);
        }
      }
      ++at;
      if (node.end > at && machine.leaf_ended(place.element, state))
        mask.exits.push_back(static_cast<uint32_t>(at - 1));
    }
    return mask;
  }

  const std::shared_ptr<const JsonGrammar> grammar;
  const std::shared_ptr<const TokenTrie> tokens;

 private:
  struct HashOfKey {
    size_t operator()(const std::pair<int32_t, int64_t>& key) const {
      return mix64(static_cast<uint64_t>(key.first) ^ mix64(static_cast<uint64_t>(key.second)));
    }
  };
  static constexpr size_t most_masks = 2000;
  std::mutex mutex_;
  std::unordered_map<std::pair<int32_t, int64_t>, std::shared_ptr<const LeafMask>, HashOfKey> masks_;
};

/// The tokens that may follow at one place.
struct Mask {
  Bits bits = {};
  int64_t rise = -endless;  // by how much one of them takes the end of the text farther away, at most
};

class JsonConstraint final : public Constraint {
 public:
  explicit JsonConstraint(std::shared_ptr<Shared> shared)
      : shared_(std::move(shared)), machine_(shared_->grammar), places_(machine_.start()),
        at_begin_(shared_->tokens->drops_first_space()) {}

  void begin(const SequenceOptions& options, int64_t most_new_ids) override {
    left_ = most_new_ids;
    end_tokens_ = options.end_tokens;
  }

  void mask(Tensor& logits) override {
    const int64_t left = left_ - 1;  // after the next token
    const bool bounded = machine_.distance(places_) <= left_;
    Bits all((static_cast<size_t>(logits.numel()) + 63) / 64);
    add_tokens(bounded ? left : endless, all);
    // where the vocabulary lacks the bytes of the shortest way
    if (bounded && !complete_ && std::ranges::all_of(all, [](uint64_t word) { return word == 0; }))
      add_tokens(endless, all);
    for (const int32_t id : end_tokens_) {
      if (id < 0 || id >= logits.numel()) continue;
      const uint64_t bit = uint64_t{1} << (id % 64);
      if (complete_) all[static_cast<size_t>(id) / 64] |= bit;
      else all[static_cast<size_t>(id) / 64] &= ~bit;
    }
    apply(all, logits);
  }

  void advance(int32_t id) override {
    --left_;
    if (std::ranges::find(end_tokens_, id) != end_tokens_.end()) return;
    const std::string_view text = id < shared_->tokens->vocabulary() ? shared_->tokens->text(id) : "";
    Places next;
    for (size_t i = at_begin_ && text.starts_with(' ') ? 1 : 0; i < text.size(); ++i) {
      machine_.step(places_, static_cast<uint8_t>(text[i]), next);
      std::swap(places_, next);
    }
    if (text.empty() || places_.empty())
      throw FaultError("[json] token {} cannot follow; another constraint, or what drew it, went beyond the mask", id);
    at_begin_ = false;
    complete_ = std::ranges::any_of(places_, [&](const Place& place) { return machine_.complete(place); });
    finished_ = complete_ && std::ranges::none_of(places_, [&](const Place& place) { return machine_.goes_on(place); });
  }

  bool finished() const override { return finished_; }

 private:
  /// -inf for all that is not allowed.
  static void apply(const Bits& bits, Tensor& logits) {
    constexpr float banned = -std::numeric_limits<float>::infinity();
    float* const logit = logits.mutable_data_ptr<float>();
    const auto size = static_cast<size_t>(logits.numel());
    bool any = false;
    for (size_t word = 0; word < bits.size(); ++word) {
      const size_t from = word * 64, count = std::min<size_t>(64, size - from);
      any = any || bits[word] != 0;
      if (bits[word] == 0) {
        std::fill_n(logit + from, count, banned);
      } else if (bits[word] != ~uint64_t{0}) {
        for (size_t i = 0; i < count; ++i) logit[from + i] = (bits[word] >> i & 1) != 0 ? logit[from + i] : banned;
      }
    }
    if (!any) throw FaultError("[json] no token of this vocabulary can follow; want one for each character of JSON");
  }

  /// Tokens that leave at most `most` bytes to the end of the text.
  void add_tokens(int64_t most, Bits& all) {
    const auto add = [&](const Bits& bits) {
      for (size_t i = 0; i < std::min(bits.size(), all.size()); ++i) all[i] |= bits[i];
    };
    for (const Place& place : places_) {
      const Mask& known = mask_of(place);
      if (machine_.distance(place) + known.rise <= most) add(known.bits);
      else add(walk(place, most).bits);
    }
    if (at_begin_) add(after_space(most));
  }

  const Mask& mask_of(const Place& place) {
    Place key = place;
    if (machine_.is_leaf(place))
      key.state = machine_.leaf_alike(place.element, place.state, shared_->tokens->longest());
    if (masks_.size() >= most_masks) masks_.clear();
    const auto [found, is_new] = masks_.try_emplace(key);
    if (is_new) found->second = walk(place, endless);
    return found->second;
  }

  /// `most`: bytes to the end of the text that a token may leave.
  Mask walk(const Place& place, int64_t most) {
    const TokenTrie& tokens = *shared_->tokens;
    Mask mask{.bits = Bits((static_cast<size_t>(tokens.vocabulary()) + 63) / 64)};
    before_ = machine_.distance(place);
    if (!machine_.is_leaf(place)) {
      walk_below(0, static_cast<uint32_t>(tokens.nodes().size()), 0, {place}, most, mask);
      return mask;
    }
    const int64_t beyond = before_ - machine_.leaf_distance(place.element, place.state);
    std::shared_ptr<const LeafMask> inside;
    if (most == endless) inside = shared_->leaf_mask(machine_, place);
    else inside = std::make_shared<const LeafMask>(shared_->walk(machine_, place, most - beyond));
    mask.bits = inside->bits;
    mask.rise = inside->rise;
    if (place.parent == 0) return mask;  // nothing comes after it
    const Places outer = {machine_.below(place)};
    if (machine_.leaf_ended(place.element, place.state))
      walk_below(0, static_cast<uint32_t>(tokens.nodes().size()), 0, outer, most, mask);
    for (const uint32_t exit : inside->exits) {
      const TokenTrie::Node& node = tokens.nodes()[exit];
      walk_below(exit + 1, node.end, node.depth, outer, most, mask);
    }
    return mask;
  }

  /// Tokens among the nodes from `at` to `end`, before which the text stands at `places`.
  void walk_below(uint32_t at, uint32_t end, uint16_t depth, const Places& places, int64_t most, Mask& mask) {
    const TokenTrie& tokens = *shared_->tokens;
    levels_.resize(static_cast<size_t>(tokens.longest()) + 1);
    levels_[depth] = places;
    while (at < end) {
      const TokenTrie::Node& node = tokens.nodes()[at];
      Places& here = levels_[node.depth];
      machine_.step(levels_[node.depth - 1u], node.byte, here);
      if (here.empty()) {
        at = node.end;
        continue;
      }
      if (node.token >= 0) {
        const int64_t distance = machine_.distance(here);
        if (distance <= most) {
          mask.rise = std::max(mask.rise, distance - before_);
          add_token(tokens, node.token, mask.bits);
        }
      }
      ++at;
    }
  }

  /// At the beginning, tokens may also begin with a space that is not shown.
  Bits after_space(int64_t most) {
    const TokenTrie& tokens = *shared_->tokens;
    Mask mask{.bits = Bits((static_cast<size_t>(tokens.vocabulary()) + 63) / 64)};
    for (uint32_t at = 0; at < tokens.nodes().size(); at = tokens.nodes()[at].end) {
      const TokenTrie::Node& node = tokens.nodes()[at];
      if (node.byte == ' ') walk_below(at + 1, node.end, node.depth, places_, most, mask);
    }
    return mask.bits;
  }

  static constexpr size_t most_masks = 500;
  std::shared_ptr<Shared> shared_;
  JsonMachine machine_;
  Places places_;
  bool at_begin_ = false;  // where the tokenizer drops a first space
  bool complete_ = false, finished_ = false;
  int64_t left_ = endless;  // tokens
  std::vector<int32_t> end_tokens_;
  std::unordered_map<Place, Mask, HashOfPlace> masks_;
  std::vector<Places> levels_;  // of a walk: where the text stands after each byte
  int64_t before_ = 0;          // of a walk: bytes to the end of the text from where it began
};

}  // namespace

ConstraintMaker json_constraint(std::shared_ptr<const JsonGrammar> grammar, std::shared_ptr<const TokenTrie> tokens) {
  for (const char needed : {'{', '}', '[', ']', '"', ':', ',', '0'}) {
    const auto& nodes = tokens->nodes();
    const bool there = std::ranges::any_of(nodes, [&](const TokenTrie::Node& node) {
      return node.depth == 1 && node.token >= 0 && node.byte == static_cast<uint8_t>(needed);
    });
    if (!there)
      throw UserError("[json] the vocabulary has no token '{}', so that JSON cannot be written by this model", needed);
  }
  const auto shared = std::make_shared<Shared>(std::move(grammar), std::move(tokens));
  return [shared](const std::vector<int32_t>&) { return std::make_unique<JsonConstraint>(shared); };
}

}  // namespace tessera::generate
