// vqgan.yaml by libyaml: scalars, lists and tables become the tree that JSON is read into, and the sizes are taken from it.
#include <yaml.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <set>

#include "codec/vq/config.h"
#include "core/error.h"
#include "core/files.h"
#include "core/json.h"

namespace tessera::vq {

namespace {

constexpr int deepest = 32;          // levels of tables in each other
constexpr size_t longest = 1 << 20;  // bytes of a file

/// A parsed document; libyaml frees it.
class Document {
 public:
  Document(std::string_view bytes, std::string_view source) : source_(source) {
    yaml_parser_t parser;
    if (yaml_parser_initialize(&parser) == 0) throw FaultError("[vq] out of memory");
    yaml_parser_set_input_string(&parser, reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size());
    const bool good = yaml_parser_load(&parser, &document_) != 0;
    const size_t line = parser.problem_mark.line + 1;
    const std::string problem = parser.problem == nullptr ? "" : parser.problem;
    yaml_parser_delete(&parser);
    if (!good) throw UserError("[vq] {} line {} is no YAML: {}", source, line, problem);
  }
  ~Document() { yaml_document_delete(&document_); }
  Document(const Document&) = delete;
  Document& operator=(const Document&) = delete;

  /// Text of quoted and plain scalars alike; nodes that are used twice are copied.
  Json tree() {
    yaml_node_t* const root = yaml_document_get_root_node(&document_);
    if (root == nullptr) throw UserError("[vq] {} is empty, want the settings of a VQGAN", source_);
    return tree_of(root, 0);
  }

 private:
  Json tree_of(yaml_node_t* node, int depth) {
    if (depth > deepest || ++nodes_ > most_nodes)
      throw UserError("[vq] {}: more than {} levels or {} values", source_, deepest, most_nodes);
    if (node->type == YAML_SCALAR_NODE)
      return std::string(reinterpret_cast<const char*>(node->data.scalar.value), node->data.scalar.length);
    if (node->type == YAML_SEQUENCE_NODE) {
      Json list = Json::array();
      for (const yaml_node_item_t* item = node->data.sequence.items.start; item < node->data.sequence.items.top; ++item)
        list.push_back(tree_of(yaml_document_get_node(&document_, *item), depth + 1));
      return list;
    }
    Json table = Json::object();
    for (const yaml_node_pair_t* pair = node->data.mapping.pairs.start; pair < node->data.mapping.pairs.top; ++pair) {
      const Json key = tree_of(yaml_document_get_node(&document_, pair->key), depth + 1);
      if (!key.is_string()) throw UserError("[vq] {}: a key that is no text", source_);
      table[key.get<std::string>()] = tree_of(yaml_document_get_node(&document_, pair->value), depth + 1);
    }
    return table;
  }

  static constexpr int most_nodes = 100'000;  // aliases can make a small file a large tree
  std::string source_;
  yaml_document_t document_{};
  int nodes_ = 0;
};

/// A value for a message, on one line.
std::string shown(const Json& value) {
  std::string text = value.dump(-1, ' ', false, Json::error_handler_t::replace);
  constexpr size_t most = 60;
  return text.size() <= most ? text : value.is_string() ? "a long text" : "a long list or table";
}

/// A table of the file, whose values are texts.
class Table {
 public:
  Table(const Json& tree, std::string path, std::string_view source)
      : tree_(&tree), path_(std::move(path)), source_(source) {}

  Table table(const char* key) const {
    const Json& value = need(key);
    if (!value.is_object()) throw UserError("[vq] {}: {} is no table", source_, name(key));
    return {value, name(key), source_};
  }
  int64_t integer(const char* key, std::optional<int64_t> otherwise = {}) const {
    if (otherwise && !tree_->contains(key)) return *otherwise;
    return integer_of(need(key), name(key));
  }
  std::vector<int64_t> integers(const char* key) const {
    const Json& value = need(key);
    if (!value.is_array()) throw UserError("[vq] {}: {} is no list, want whole numbers", source_, name(key));
    std::vector<int64_t> numbers;
    for (const Json& item : value) numbers.push_back(integer_of(item, name(key)));
    return numbers;
  }
  bool truth(const char* key, bool otherwise) const {
    if (!tree_->contains(key)) return otherwise;
    const Json& value = need(key);
    if (value == "true" || value == "True") return true;
    if (value == "false" || value == "False") return false;
    throw UserError("[vq] {}: {} is {}, want true or false", source_, name(key), shown(value));
  }

 private:
  const Json& need(const char* key) const {
    const auto at = tree_->find(key);
    if (at == tree_->end()) throw UserError("[vq] {}: {} is missing", source_, name(key));
    return *at;
  }
  std::string name(const char* key) const { return path_.empty() ? key : path_ + "." + key; }
  int64_t integer_of(const Json& value, const std::string& where) const {
    const std::string text = value.is_string() ? value.get<std::string>() : value.dump();
    const bool digits =
        !text.empty() && text.size() < 10 && std::ranges::all_of(text, [](char c) { return c >= '0' && c <= '9'; });
    if (!digits) throw UserError("[vq] {}: {} is {}, want a whole number", source_, where, shown(value));
    return std::stoll(text);
  }

  const Json* tree_;
  std::string path_;
  std::string source_;
};

}  // namespace

VqConfig read_vqgan_yaml(const std::filesystem::path& file) {
  const std::string source = file.string(), bytes = read_file(file);
  if (bytes.size() > longest) throw UserError("[vq] {} has {} bytes, want at most {}", source, bytes.size(), longest);
  const Json tree = Document(bytes, source).tree();
  if (!tree.is_object()) throw UserError("[vq] {} is no table, want the settings of a VQGAN", source);
  const Table params = Table(tree, "", source).table("model").table("params"), shape = params.table("ddconfig");
  if (shape.truth("double_z", false))
    throw UserError("[vq] {}: ddconfig.double_z is true, which is a KL autoencoder; want a VQGAN", source);
  for (const char* key : {"in_channels", "out_ch"}) {
    if (shape.integer(key) != 3)
      throw UserError("[vq] {}: ddconfig.{} is {}, want 3, the colours", source, key, shape.integer(key));
  }
  VqConfig c;
  c.name = file.stem().string();
  c.picture_size = shape.integer("resolution");
  c.channels = shape.integer("ch");
  c.multipliers = shape.integers("ch_mult");
  c.encoder_blocks = shape.integer("num_res_blocks");
  c.decoder_blocks = c.encoder_blocks + 1;
  c.attention_resolutions = shape.integers("attn_resolutions");
  c.latent_channels = shape.integer("z_channels");
  c.code_width = params.integer("embed_dim");
  c.codes = params.integer("n_embed");
  validate(c);
  return c;
}

}  // namespace tessera::vq
