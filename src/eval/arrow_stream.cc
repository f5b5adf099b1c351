// A stream is a schema and then record batches, each a FlatBuffers header and a body that the header's buffers lie in.
#include "eval/arrow_stream.h"

#include "eval/flat_table.h"

namespace tessera::eval {

namespace {
// Numbers of fields and kinds, from Arrow's Message.fbs and Schema.fbs.
constexpr uint8_t schema_message = 1, batch_message = 3;
constexpr uint8_t integer_type = 2, text_type = 5, list_type = 12;
constexpr uint32_t most_columns = 64;

struct ColumnType {
  std::string name;
  uint8_t kind = 0;
  int32_t bits = 0;  // of an integer
};

/// Arrow's numbers of one record batch, whose columns are taken in the schema's order.
class RecordBatch {
 public:
  RecordBatch(const FlatBuffer& header, const FlatTable& batch, std::string_view body)
      : header_(header), rows_(batch.scalar<int64_t>(0, 0)), nodes_(batch.vector(1, 16)), buffers_(batch.vector(2, 16)),
        body_(body) {
    if (batch.table(3)) header.fail("the record batch is compressed, want one that is not");
    if (rows_ < 0) header.fail("a record batch has fewer than no rows");
  }
  int64_t rows() const { return rows_; }

  void append(const ColumnType& type, ArrowColumn& column) {
    const int64_t count = node(type);
    if (count != rows_) header_.fail(fmt::format("column '{}' has {} rows of {}", type.name, count, rows_));
    if (type.kind == text_type) {
      for (std::string_view text : texts(count)) std::get<ArrowTexts>(column).emplace_back(text);
    } else if (type.kind == integer_type) {
      integers(count, type.bits, std::get<ArrowIntegers>(column));
    } else {
      const std::vector<int32_t> ends = offsets(count);
      const std::vector<std::string_view> inner = texts(node(type));
      if (static_cast<size_t>(ends.back()) > inner.size()) header_.fail("a list ends behind its elements");
      for (int64_t row = 0; row < count; ++row) {
        const auto first = static_cast<size_t>(ends[row]), last = static_cast<size_t>(ends[row + 1]);
        std::get<ArrowTextLists>(column).emplace_back(inner.begin() + static_cast<int64_t>(first),
                                                      inner.begin() + static_cast<int64_t>(last));
      }
    }
  }

 private:
  /// How many values the next column has; its buffer of nulls, which is empty, is passed over.
  int64_t node(const ColumnType& type) {
    if (next_node_ >= nodes_.count) header_.fail("a record batch has fewer columns than the schema");
    const uint64_t at = nodes_.at + 16 * uint64_t{next_node_++};
    const auto count = header_.read<int64_t>(at), nulls = header_.read<int64_t>(at + 8);
    if (count < 0) header_.fail("a column has fewer than no values");
    if (nulls != 0) header_.fail(fmt::format("column '{}' has {} nulls, want none", type.name, nulls));
    buffer();
    return count;
  }
  std::string_view buffer() {
    if (next_buffer_ >= buffers_.count) header_.fail("a record batch has fewer buffers than its columns need");
    const uint64_t at = buffers_.at + 16 * uint64_t{next_buffer_++};
    const auto begin = header_.read<uint64_t>(at), length = header_.read<uint64_t>(at + 8);
    if (begin > body_.size() || length > body_.size() - begin) header_.fail("a buffer reaches out of its record batch");
    return body_.substr(begin, length);
  }
  /// count + 1 ascending places from 0 on.
  std::vector<int32_t> offsets(int64_t count) {
    const std::string_view bytes = buffer();
    if (count == 0 && bytes.empty()) return {0};
    if (static_cast<uint64_t>(count) >= bytes.size() / sizeof(int32_t))
      header_.fail("a column has fewer places than rows");
    std::vector<int32_t> found(static_cast<size_t>(count) + 1);
    std::memcpy(found.data(), bytes.data(), found.size() * sizeof(int32_t));
    int32_t before = 0;
    for (const int32_t place : found) {
      if (place < before) header_.fail("a column's places do not ascend");
      before = place;
    }
    return found;
  }
  std::vector<std::string_view> texts(int64_t count) {
    const std::vector<int32_t> ends = offsets(count);
    const std::string_view bytes = buffer();
    if (static_cast<size_t>(ends.back()) > bytes.size()) header_.fail("a text reaches out of its buffer");
    std::vector<std::string_view> found;
    for (int64_t row = 0; row < count; ++row) {
      found.push_back(bytes.substr(static_cast<size_t>(ends[row]), static_cast<size_t>(ends[row + 1] - ends[row])));
    }
    return found;
  }
  void integers(int64_t count, int32_t bits, ArrowIntegers& to) {
    const std::string_view bytes = buffer();
    const auto size = static_cast<uint64_t>(bits) / 8;
    if (static_cast<uint64_t>(count) > bytes.size() / size) header_.fail("a column has fewer numbers than rows");
    for (uint64_t row = 0; row < static_cast<uint64_t>(count); ++row) {
      const FlatBuffer values{bytes, header_.source};
      to.push_back(bits == 64   ? values.read<int64_t>(row * size)
                   : bits == 32 ? values.read<int32_t>(row * size)
                   : bits == 16 ? values.read<int16_t>(row * size)
                                : values.read<int8_t>(row * size));
    }
  }

  const FlatBuffer& header_;
  int64_t rows_;
  FlatVector nodes_, buffers_;
  std::string_view body_;
  uint32_t next_node_ = 0, next_buffer_ = 0;
};

ColumnType column_of(const FlatBuffer& header, const FlatTable& field) {
  ColumnType type{.name = std::string(field.text(0)), .kind = field.scalar<uint8_t>(2, 0)};
  const auto wrong = [&] {
    header.fail(fmt::format("column '{}' is neither texts nor lists of texts nor whole numbers", type.name));
  };
  if (field.table(4)) header.fail(fmt::format("column '{}' has a dictionary, want plain values", type.name));
  const FlatVector children = field.vector(5, 4);
  if (type.kind == list_type) {
    if (children.count != 1) wrong();
    const FlatTable child = field.element(children, 0);
    if (child.scalar<uint8_t>(2, 0) != text_type || child.table(4)) wrong();
  } else if (type.kind == integer_type) {
    const auto details = field.table(3);
    type.bits = details ? details->scalar<int32_t>(0, 0) : 0;
    const bool is_signed = details && details->scalar<uint8_t>(1, 0) != 0;
    if (!is_signed || (type.bits != 8 && type.bits != 16 && type.bits != 32 && type.bits != 64)) wrong();
  } else if (type.kind != text_type) {
    wrong();
  }
  return type;
}

std::vector<ColumnType> columns_of(const FlatBuffer& header, const FlatTable& schema) {
  if (schema.scalar<int16_t>(0, 0) != 0) header.fail("its numbers are big-endian, want little-endian");
  const FlatVector fields = schema.vector(1, 4);
  if (fields.count == 0 || fields.count > most_columns)
    header.fail(fmt::format("has {} columns, want 1 to {}", fields.count, most_columns));
  std::vector<ColumnType> types;
  for (uint32_t i = 0; i < fields.count; ++i) types.push_back(column_of(header, schema.element(fields, i)));
  return types;
}

void start_columns(const std::vector<ColumnType>& types, const FlatBuffer& header, ArrowTable& table) {
  for (const ColumnType& type : types) {
    ArrowColumn empty;
    if (type.kind == list_type) empty = ArrowTextLists{};
    else if (type.kind == integer_type) empty = ArrowIntegers{};
    if (!table.columns.emplace(type.name, std::move(empty)).second)
      header.fail(fmt::format("column '{}' is there twice", type.name));
  }
}
}  // namespace

ArrowTable parse_arrow_stream(std::string_view bytes, std::string_view source) {
  const FlatBuffer file{bytes, source};
  ArrowTable table;
  std::vector<ColumnType> types;
  uint64_t at = 0;
  while (at < bytes.size()) {
    if (file.read<uint32_t>(at) != 0xFFFFFFFFu) file.fail("is no Arrow stream: a message does not begin as one");
    const auto size = file.read<uint32_t>(at + 4);
    at += 8;
    if (size == 0) break;  // the end of the stream
    if (size > bytes.size() - at) file.fail("ends in the middle of a header; is the file whole?");
    const FlatBuffer header{bytes.substr(at, size), source};
    at += size;
    const FlatTable message = FlatTable::root(header);
    const auto kind = message.scalar<uint8_t>(1, 0);
    const auto body = message.scalar<uint64_t>(3, 0);
    const auto inner = message.table(2);
    if (!inner) header.fail("a message has no content");
    if (body > bytes.size() - at) file.fail("ends in the middle of a record batch; is the file whole?");
    if (kind == schema_message && types.empty()) {
      types = columns_of(header, *inner);
      start_columns(types, header, table);
    } else if (kind == batch_message && !types.empty()) {
      RecordBatch batch(header, *inner, bytes.substr(at, body));
      for (const ColumnType& type : types) batch.append(type, table.columns.at(type.name));
      table.rows += batch.rows();
    } else {
      header.fail("wants one schema and then record batches");
    }
    at += body;
  }
  if (types.empty()) file.fail("is no Arrow stream: it has no schema");
  return table;
}

}  // namespace tessera::eval
