// From what the pickle describes to tensors. What is not a dict, a list or a tensor is passed over; what is called must be on a short list.
#include "tensor/torch_file.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "core/error.h"
#include "core/terminal.h"
#include "tensor/pickle.h"
#include "tensor/zip_records.h"

namespace tessera {

namespace {

/// What begins a file of torch.save before PyTorch 1.6: a pickle of its magic number.
constexpr std::string_view old_mark(
    "\x80\x02\x8a\x0al\xfc\x9c"
    "F\xf9 j\xa8P\x19",
    14);

struct StorageType {
  std::string_view global;
  Dtype dtype;
};
constexpr std::array<StorageType, 10> storage_types{{{"torch.FloatStorage", Dtype::f32},
                                                     {"torch.DoubleStorage", Dtype::f64},
                                                     {"torch.HalfStorage", Dtype::f16},
                                                     {"torch.BFloat16Storage", Dtype::bf16},
                                                     {"torch.LongStorage", Dtype::i64},
                                                     {"torch.IntStorage", Dtype::i32},
                                                     {"torch.ShortStorage", Dtype::i16},
                                                     {"torch.CharStorage", Dtype::i8},
                                                     {"torch.ByteStorage", Dtype::u8},
                                                     {"torch.BoolStorage", Dtype::boolean}}};

struct Storage {
  Dtype dtype;
  std::string_view bytes;
};

/// Shape and strides of a tensor in its storage, all in numbers.
struct Layout {
  int64_t offset = 0;
  std::vector<int64_t> shape, strides;
  uint64_t count = 1;

  bool is_contiguous() const {
    int64_t expected = 1;
    for (size_t i = shape.size(); i-- > 0;) {
      if (shape[i] != 1 && strides[i] != expected) return false;
      expected *= shape[i];
    }
    return true;
  }
};

class TorchFile {
  using Kind = PickleObject::Kind;

 public:
  TorchFile(std::string_view bytes, std::string_view source) : source_(source), records_(zip_records(bytes, source)) {
    for (const auto& [name, record] : records_) {
      if (name == "constants.pkl" || name.ends_with("/constants.pkl"))
        throw UserError("[torch] {} is a TorchScript program, want a file of weights as torch.save writes it", source_);
      if (name != "data.pkl" && !name.ends_with("/data.pkl")) continue;
      if (found_) throw UserError("[torch] {} holds two pickles, want one data.pkl", source_);
      found_ = true;
      stem_ = name.substr(0, name.size() - std::string_view("data.pkl").size());
    }
    if (!found_)
      throw UserError("[torch] {} is a zip archive without data.pkl; want a file that torch.save wrote", source_);
    const auto order = records_.find(stem_ + "byteorder");
    if (order != records_.end() && order->second != "little")
      throw UserError("[torch] {} was written on a machine of byte order '{}', want little", source_,
                      without_control_characters(std::string(order->second)));
  }

  StoredFile read() {
    const std::string_view described = records_.find(stem_ + "data.pkl")->second;
    const Pickle pickle(described, source_);
    most_visits_ = described.size();
    visit(pickle.root(), "", 0);
    if (file_.tensors.empty()) throw UserError("[torch] {} holds no tensors", source_);
    return std::move(file_);
  }

 private:
  [[noreturn]] void refuse(const std::string& name, const std::string& what) const {
    throw UserError("[torch] {}: {} {}", source_, name.empty() ? "it" : without_control_characters("'" + name + "'"),
                    without_control_characters(what));
  }

  void visit(const PickleObject& object, const std::string& name, int depth) {
    constexpr int deepest = 32;
    if (depth > deepest || ++visits_ > most_visits_)
      refuse(name, fmt::format("lies in dicts and lists that contain each other, or more than {} deep", deepest));
    const auto child = [&](const std::string& key) { return name.empty() ? key : name + "." + key; };
    if (object.is(Kind::dict)) {
      for (const auto& [key, value] : object.pairs) visit(*value, child(key_of(*key)), depth + 1);
    } else if (object.is(Kind::list) || object.is(Kind::tuple)) {
      for (size_t i = 0; i < object.items.size(); ++i) visit(*object.items[i], child(std::to_string(i)), depth + 1);
    } else if (object.is(Kind::call)) {
      visit_call(object, name, depth);
    } else if (object.is(Kind::persistent)) {
      refuse(name, "is a storage without a tensor");
    } else if (depth == 1) {
      add_metadata(object, name);
    }
  }

  static std::string key_of(const PickleObject& key) {
    return key.is(Kind::text) ? key.text : key.is(Kind::whole) ? std::to_string(key.whole) : "?";
  }

  void add_metadata(const PickleObject& value, const std::string& name) {
    if (value.is(Kind::text)) file_.metadata[name] = value.text;
    if (value.is(Kind::whole)) file_.metadata[name] = value.whole;
    if (value.is(Kind::boolean)) file_.metadata[name] = value.whole != 0;
    if (value.is(Kind::real)) file_.metadata[name] = value.real;
  }

  void visit_call(const PickleObject& call, const std::string& name, int depth) {
    const std::string& function = call.items[0]->text;
    const std::vector<PickleObject::Ref>& arguments = call.items[1]->items;
    if (function == "collections.OrderedDict") return visit_pairs(arguments, name, depth);
    if (function == "torch.Size") return;
    if (function == "torch._utils._rebuild_tensor_v2" || function == "torch._utils._rebuild_tensor")
      return add_tensor(arguments, name);
    if (function == "torch._utils._rebuild_parameter" && !arguments.empty())
      return visit(*arguments[0], name, depth + 1);
    if (function == "torch._tensor._rebuild_from_type_v2" && arguments.size() >= 3 && arguments[0]->is(Kind::global) &&
        arguments[2]->is(Kind::tuple)) {
      if (arguments[0]->text == "torch._utils._rebuild_tensor_v2") return add_tensor(arguments[2]->items, name);
      refuse(name, "is made by " + arguments[0]->text + ", which weights do not need");
    }
    refuse(name, "is made by " + function + ", which weights do not need; nothing is run");
  }

  /// OrderedDict([(key, value), ...]).
  void visit_pairs(const std::vector<PickleObject::Ref>& arguments, const std::string& name, int depth) {
    if (arguments.empty()) return;
    for (const PickleObject* pair : arguments[0]->items) {
      if (pair->items.size() != 2) refuse(name, "is an OrderedDict of something else than keys and values");
      const std::string key = key_of(*pair->items[0]);
      visit(*pair->items[1], name.empty() ? key : name + "." + key, depth + 1);
    }
  }

  /// ("storage", torch.FloatStorage, "0", "cpu", 864).
  Storage storage_of(const PickleObject& object, const std::string& name) const {
    const auto& id = object.is(Kind::persistent) ? object.items[0]->items : std::vector<PickleObject::Ref>();
    const bool sound = id.size() >= 5 && id[0]->text == "storage" && id[1]->is(Kind::global) && id[2]->is(Kind::text) &&
                       id[4]->is(Kind::whole);
    if (!sound) refuse(name, "has no storage");
    const auto type = std::ranges::find(storage_types, id[1]->text, &StorageType::global);
    if (type == storage_types.end()) refuse(name, "is stored as " + id[1]->text + ", which is not known here");
    const auto record = records_.find(stem_ + "data/" + id[2]->text);
    if (record == records_.end()) refuse(name, "is in member data/" + id[2]->text + ", which is missing");
    const uint64_t size = dtype_size(type->dtype), count = record->second.size() / size;
    if (record->second.size() % size != 0 || id[4]->whole < 0 || static_cast<uint64_t>(id[4]->whole) != count)
      refuse(name, fmt::format("is told to be among {} numbers of {} bytes, but member data/{} has {} bytes",
                               id[4]->whole, size, id[2]->text, record->second.size()));
    return {.dtype = type->dtype, .bytes = record->second};
  }

  /// (storage, offset, shape, strides, ...).
  void add_tensor(const std::vector<PickleObject::Ref>& arguments, const std::string& name) {
    const bool sound = arguments.size() >= 4 && arguments[1]->is(Kind::whole) && arguments[2]->is(Kind::tuple) &&
                       arguments[3]->is(Kind::tuple) && arguments[2]->items.size() == arguments[3]->items.size();
    if (!sound) refuse(name, "is no tensor with a storage, an offset, a shape and strides");
    const Storage storage = storage_of(*arguments[0], name);
    const std::string& called = name.empty() ? unnamed : name;
    const uint64_t size = dtype_size(storage.dtype);
    Layout layout;
    layout.offset = arguments[1]->whole;
    for (size_t i = 0; i < arguments[2]->items.size(); ++i) {
      layout.shape.push_back(arguments[2]->items[i]->whole);
      layout.strides.push_back(arguments[3]->items[i]->whole);
    }
    require_inside(layout, storage.bytes.size() / size, name);
    StoredTensor tensor{
        .name = called, .dtype = storage.dtype, .blocks = {}, .shape = layout.shape, .bytes = {}, .owner = {}};
    if (layout.count == 0) {
      tensor.bytes = storage.bytes.substr(0, 0);
    } else if (layout.is_contiguous()) {
      tensor.bytes = storage.bytes.substr(static_cast<uint64_t>(layout.offset) * size, layout.count * size);
    } else {
      const auto copy = std::make_shared<const std::string>(gathered(layout, storage.bytes, size));
      tensor.bytes = *copy;
      tensor.owner = copy;
    }
    file_.tensors.push_back(std::move(tensor));
  }

  /// No number outside the storage, and no more of them than it has.
  void require_inside(Layout& layout, uint64_t stored, const std::string& name) const {
    constexpr uint64_t largest = uint64_t{1} << 62;
    const bool repeated = std::ranges::find(layout.strides, 0) != layout.strides.end();
    const auto negative = [](int64_t number) { return number < 0; };
    bool fits = layout.offset >= 0 && std::ranges::none_of(layout.shape, negative) &&
                std::ranges::none_of(layout.strides, negative);
    const bool empty = std::ranges::find(layout.shape, 0) != layout.shape.end();
    uint64_t last = fits ? static_cast<uint64_t>(layout.offset) : 0;
    for (size_t i = 0; fits && !empty && i < layout.shape.size(); ++i) {
      const auto length = static_cast<uint64_t>(layout.shape[i]), stride = static_cast<uint64_t>(layout.strides[i]);
      fits = layout.count <= stored / length && (length == 1 || stride <= largest / (length - 1));
      if (!fits) break;
      layout.count *= length;
      last += (length - 1) * stride;
      fits = last < largest;
    }
    if (fits && empty) {
      layout.count = 0;
      return;
    }
    if (!fits && repeated)
      refuse(name, "shows some of its numbers several times (an expanded tensor), want a tensor of its own numbers");
    if (!fits || last >= stored)
      refuse(name, fmt::format("of shape {} at {} with strides {} does not fit {} stored numbers",
                               shape_text(layout.shape), layout.offset, shape_text(layout.strides), stored));
  }

  /// The numbers in the order of the shape.
  static std::string gathered(const Layout& layout, std::string_view stored, uint64_t size) {
    std::string bytes(layout.count * size, '\0');
    std::vector<int64_t> at(layout.shape.size());
    auto place = static_cast<uint64_t>(layout.offset);
    for (uint64_t i = 0; i < layout.count; ++i) {
      std::memcpy(bytes.data() + i * size, stored.data() + place * size, size);
      for (size_t d = at.size(); d-- > 0;) {
        place += static_cast<uint64_t>(layout.strides[d]);
        if (++at[d] < layout.shape[d]) break;
        place -= static_cast<uint64_t>(layout.strides[d]) * static_cast<uint64_t>(layout.shape[d]);
        at[d] = 0;
      }
    }
    return bytes;
  }

  static inline const std::string unnamed = "tensor";  // of a file that holds one tensor and no names
  std::string source_;
  std::map<std::string, std::string_view, std::less<>> records_;
  std::string stem_;
  bool found_ = false;
  StoredFile file_;
  uint64_t visits_ = 0, most_visits_ = 0;
};

}  // namespace

bool is_torch(std::string_view bytes) { return is_zip(bytes) || bytes.starts_with(old_mark); }

StoredFile read_torch(std::string_view bytes, std::string_view source) {
  if (bytes.starts_with(old_mark))
    throw UserError("[torch] {} was saved as before PyTorch 1.6; load it there and save it once more with torch.save",
                    source);
  return TorchFile(bytes, source).read();
}

}  // namespace tessera
