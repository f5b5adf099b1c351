// Strict reading of a safetensors header: what passes here can be used without another check.
#include "tensor/safetensors.h"

#include <algorithm>
#include <set>

#include <nlohmann/json.hpp>

#include "core/error.h"

namespace tessera {

namespace {
using Tree = nlohmann::json;  // sorted: lookups stay quick with many thousands of tensors

constexpr uint64_t prefix_bytes = 8;
constexpr uint64_t largest_header = 100'000'000;  // the limit of the reference implementation
constexpr int deepest_level = 3;                  // file { tensor { shape [

/// As JSON: one line of ASCII, cut when long.
std::string shown(const Tree& value) {
  std::string text = value.dump(-1, ' ', true);
  if (text.size() > 80) text = text.substr(0, 77) + "...";
  return text;
}

std::string in_quotes(std::string_view name) { return shown(Tree(name)); }

/// What is wrong with one file; every message begins the same way.
struct Faults {
  std::string_view source;

  template <class... Args> [[noreturn]] void fail(fmt::format_string<Args...> format, Args&&... args) const {
    throw UserError("[safetensors] {}: {}", source, fmt::format(format, std::forward<Args>(args)...));
  }
};

Tree parse_tree(std::string_view text, const Faults& faults) {
  std::vector<std::set<std::string>> keys;  // of the objects that are open
  const auto watch = [&](int depth, Tree::parse_event_t event, Tree& value) {
    using Event = Tree::parse_event_t;
    if ((event == Event::object_start || event == Event::array_start) && depth >= deepest_level)
      faults.fail("header is nested too deeply");
    if (event == Event::object_start) keys.emplace_back();
    if (event == Event::object_end) keys.pop_back();
    if (event == Event::key && !keys.back().insert(value.get<std::string>()).second) {
      faults.fail("{} stands twice in the header", in_quotes(value.get<std::string>()));
    }
    return true;
  };
  try {
    return Tree::parse(text, watch);
  } catch (const Tree::exception&) {
    faults.fail("header is not valid JSON");
  }
}

uint64_t read_length(std::string_view bytes) {
  uint64_t length = 0;
  for (size_t i = 0; i < prefix_bytes; ++i) length |= uint64_t{static_cast<unsigned char>(bytes[i])} << (8 * i);
  return length;
}

uint64_t read_unsigned(const Tree& value, std::string_view tensor, std::string_view what, const Faults& faults) {
  if (!value.is_number_integer())
    faults.fail("tensor {}: {} is {}, want a whole number", in_quotes(tensor), what, shown(value));
  if (!value.is_number_unsigned())
    faults.fail("tensor {}: {} is negative: {}", in_quotes(tensor), what, value.get<int64_t>());
  return value.get<uint64_t>();
}

const Tree& member(const Tree& tensor, const char* key, std::string_view name, const Faults& faults) {
  const auto found = tensor.find(key);
  if (found == tensor.end()) faults.fail("tensor {} has no '{}'", in_quotes(name), key);
  return *found;
}

/// Bytes of a tensor; a shape whose product does not fit is a fault.
uint64_t checked_size(const TensorEntry& entry, const Faults& faults) {
  uint64_t size = dtype_bits(entry.dtype);
  const bool empty = std::find(entry.shape.begin(), entry.shape.end(), 0) != entry.shape.end();
  for (const int64_t dim : entry.shape) {
    if (!empty && (__builtin_mul_overflow(size, static_cast<uint64_t>(dim), &size) || size > INT64_MAX)) {
      faults.fail("tensor {}: shape is too large for 64 bits", in_quotes(entry.name));
    }
  }
  if (!empty && size % 8 != 0)
    faults.fail("tensor {} of {} numbers in {} ends inside a byte", in_quotes(entry.name), scalar_count(entry.shape),
                dtype_name(entry.dtype));
  return empty ? 0 : size / 8;
}

TensorEntry read_entry(const std::string& name, const Tree& tensor, const Faults& faults) {
  if (!tensor.is_object()) faults.fail("tensor {} is {}, want an object", in_quotes(name), shown(tensor));
  for (const auto& [key, unused] : tensor.items()) {
    if (key != "dtype" && key != "shape" && key != "data_offsets")
      faults.fail("tensor {} has an unknown key {}", in_quotes(name), in_quotes(key));
  }
  TensorEntry entry;
  entry.name = name;
  const Tree& dtype = member(tensor, "dtype", name, faults);
  const auto known = dtype.is_string() ? dtype_from_name(dtype.get<std::string>()) : std::nullopt;
  if (!known) faults.fail("tensor {} has unknown dtype {}", in_quotes(name), shown(dtype));
  entry.dtype = *known;

  const Tree& shape = member(tensor, "shape", name, faults);
  if (!shape.is_array()) faults.fail("tensor {}: shape is {}, want a list", in_quotes(name), shown(shape));
  for (const Tree& dim : shape) {
    const uint64_t size = read_unsigned(dim, name, "a dimension", faults);
    if (size > INT64_MAX) faults.fail("tensor {}: shape is too large for 64 bits", in_quotes(name));
    entry.shape.push_back(static_cast<int64_t>(size));
  }

  const Tree& offsets = member(tensor, "data_offsets", name, faults);
  if (!offsets.is_array() || offsets.size() != 2) {
    faults.fail("tensor {}: data_offsets is {}, want [begin, end]", in_quotes(name), shown(offsets));
  }
  entry.begin = read_unsigned(offsets[0], name, "an offset", faults);
  entry.end = read_unsigned(offsets[1], name, "an offset", faults);
  if (entry.begin > entry.end)
    faults.fail("tensor {} ends at byte {} before it begins at {}", in_quotes(name), entry.end, entry.begin);
  return entry;
}

void check_layout(const std::vector<TensorEntry>& entries, uint64_t data_size, const Faults& faults) {
  uint64_t covered = 0;
  for (const TensorEntry& entry : entries) {
    const uint64_t size = checked_size(entry, faults);
    if (entry.end - entry.begin != size) {
      faults.fail("tensor {} does not fit its bytes: {} {} is {} bytes, its offsets span {}", in_quotes(entry.name),
                  dtype_name(entry.dtype), shape_text(entry.shape), size, entry.end - entry.begin);
    }
    if (entry.end > data_size) {
      faults.fail("file is truncated: tensor {} ends at data byte {}, the file has {}", in_quotes(entry.name),
                  entry.end, data_size);
    }
    if (entry.begin < covered)
      faults.fail("tensor {} overlaps the one before it: begins at {}, want {}", in_quotes(entry.name), entry.begin,
                  covered);
    if (entry.begin > covered)
      faults.fail("gap before tensor {}: begins at {}, want {}", in_quotes(entry.name), entry.begin, covered);
    covered = entry.end;
  }
  if (covered != data_size) faults.fail("{} bytes after the last tensor belong to none", data_size - covered);
}

std::map<std::string, std::string> read_metadata(const Tree& tree, const Faults& faults) {
  if (!tree.is_object()) faults.fail("__metadata__ is {}, want an object of texts", shown(tree));
  std::map<std::string, std::string> metadata;
  for (const auto& [key, value] : tree.items()) {
    if (!value.is_string()) faults.fail("__metadata__ {} is {}, want a text", in_quotes(key), shown(value));
    metadata[key] = value.get<std::string>();
  }
  return metadata;
}
}  // namespace

SafetensorsHeader parse_safetensors(std::string_view bytes, std::string_view source) {
  const Faults faults{source};
  if (bytes.size() < prefix_bytes)
    faults.fail("not a safetensors file; got {} bytes, want at least {}", bytes.size(), prefix_bytes);
  const uint64_t length = read_length(bytes);
  if (length > largest_header)
    faults.fail("not a safetensors file; header length is {} bytes, want at most {}", length, largest_header);
  if (length > bytes.size() - prefix_bytes) {
    faults.fail("file is truncated inside its header; got {} bytes, want {}", bytes.size(), prefix_bytes + length);
  }
  const std::string_view text = bytes.substr(prefix_bytes, length);
  if (text.empty() || text.front() != '{') faults.fail("not a safetensors file; its header does not begin with '{{'");
  const Tree tree = parse_tree(text, faults);

  SafetensorsHeader header{.header_end = prefix_bytes + length};
  for (const auto& [name, value] : tree.items()) {
    if (name == "__metadata__") header.metadata = read_metadata(value, faults);
    else header.entries.push_back(read_entry(name, value, faults));
  }
  std::stable_sort(header.entries.begin(), header.entries.end(), [](const TensorEntry& a, const TensorEntry& b) {
    return std::pair(a.begin, a.end) <
           std::pair(b.begin, b.end);  // an empty tensor stands before the one that shares its place
  });
  check_layout(header.entries, bytes.size() - header.header_end, faults);
  return header;
}

}  // namespace tessera
