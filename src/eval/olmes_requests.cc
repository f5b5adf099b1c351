// A file's lines become documents; they may come in any order, so that completeness is judged at the end.
#include <algorithm>
#include <map>

#include "core/error.h"
#include "core/json_rows.h"
#include "eval/line_reader.h"
#include "eval/olmes_task.h"

namespace tessera::eval {

namespace {
constexpr int64_t most_choices = 1000;
constexpr size_t most_text = size_t{2} << 30;  // bytes of contexts and continuations that a file may come to

/// A line of the file.
struct RequestLine {
  const Json& json;
  const std::string& where;

  [[noreturn]] void fail(const std::string& what) const { throw UserError("[eval] {}: {}", where, what); }
  const Json& at(const Json& tree, const char* key) const {
    if (!tree.is_object()) fail(fmt::format("is {}, want an object", tree.type_name()));
    const auto found = tree.find(key);
    if (found == tree.end()) fail(fmt::format("has no '{}'", key));
    return *found;
  }
  const std::string& text(const Json& tree, const char* key) const {
    const Json& value = at(tree, key);
    if (!value.is_string()) fail(fmt::format("'{}' is {}, want a text", key, value.type_name()));
    return value.get_ref<const std::string&>();
  }
  int64_t whole(const char* key, int64_t most) const {
    const Json& value = at(json, key);
    if (!value.is_number_integer()) fail(fmt::format("'{}' is {}, want a whole number", key, value.type_name()));
    const bool fits = !value.is_number_unsigned() || value.get<uint64_t>() <= static_cast<uint64_t>(most);
    if (!fits || value.get<int64_t>() < 0 || value.get<int64_t>() > most)
      fail(fmt::format("'{}' is {}, want 0 to {}", key, value.dump(), most));
    return value.get<int64_t>();
  }
};

/// A document of which lines may still be missing.
struct Gathering {
  OlmesDocument document;
  std::vector<bool> has_choice, has_unconditional;
  std::optional<int64_t> label;
  std::optional<size_t> choices;  // how many doc.choices lists
};

size_t context_of(OlmesDocument& document, const std::string& text) {
  const auto found = std::find(document.contexts.begin(), document.contexts.end(), text);
  if (found == document.contexts.end()) document.contexts.push_back(text);
  return static_cast<size_t>(std::find(document.contexts.begin(), document.contexts.end(), text) -
                             document.contexts.begin());
}

void put(const RequestLine& line, int64_t idx, std::vector<OlmesRequest>& requests, std::vector<bool>& there,
         OlmesRequest request) {
  const auto at = static_cast<size_t>(idx);
  if (at >= requests.size()) {
    requests.resize(at + 1);
    there.resize(at + 1);
  }
  if (there[at]) line.fail(fmt::format("is choice {} of a document a second time", idx));
  requests[at] = std::move(request);
  there[at] = true;
}

class Gatherer {
 public:
  explicit Gatherer(int64_t offset) : offset_(offset) {}

  void add(const RequestLine& line) {
    const std::string& type = line.text(line.json, "request_type");
    if (type != "loglikelihood" && type != "generate_until_and_loglikelihood")
      line.fail(fmt::format("request_type is '{}', want loglikelihood", type.substr(0, 60)));
    const Json& request = line.at(line.json, "request");
    const std::string &context = line.text(request, "context"), &continuation = line.text(request, "continuation");
    if (continuation.empty()) line.fail("'continuation' is empty");
    text_ += context.size() + continuation.size();
    if (text_ > most_text) line.fail(fmt::format("the file holds more than {} GB of text", most_text >> 30));
    const int64_t id = line.whole("doc_id", 2 * offset_ - 1), idx = line.whole("idx", most_choices - 1);
    const bool conditional = id < offset_;
    Gathering& gathering = gatherings_[conditional ? id : id - offset_];
    OlmesDocument& document = gathering.document;
    if (document.where.empty()) document.where = line.where;
    OlmesRequest made{context_of(document, context), continuation};
    if (!conditional) return put(line, idx, document.unconditional, gathering.has_unconditional, std::move(made));
    if (gathering.has_choice.empty()) {
      document.where = line.where;
      read_label(line, gathering);
    }
    put(line, idx, document.choices, gathering.has_choice, std::move(made));
  }

  std::vector<OlmesDocument> documents(const std::string& source) {
    std::vector<OlmesDocument> found;
    for (auto& [id, gathering] : gatherings_) {
      finish(id, gathering);
      const bool has = !gathering.document.unconditional.empty();
      if (!found.empty() && has == found.front().unconditional.empty())
        fail(gathering, id,
             has ? "has unconditional requests, those before it have none"
                 : "has no unconditional requests, those before it have some");
      found.push_back(std::move(gathering.document));
    }
    if (found.empty()) throw UserError("[eval] {} has no requests", source);
    return found;
  }

 private:
  [[noreturn]] static void fail(const Gathering& gathering, int64_t id, const std::string& what) {
    throw UserError("[eval] {}: document {} {}", gathering.document.where, id, what);
  }

  static void read_label(const RequestLine& line, Gathering& gathering) {
    if (line.at(line.json, "label").is_number()) gathering.label = line.whole("label", most_choices - 1);
    const auto doc = line.json.find("doc");
    if (!gathering.label || doc == line.json.end() || !doc->is_object()) return;
    const auto choices = doc->find("choices");
    if (choices != doc->end() && choices->is_array()) gathering.choices = choices->size();
  }

  static void require_complete(const Gathering& gathering, int64_t id, const std::vector<bool>& there, size_t count,
                               const char* what) {
    const auto missing = static_cast<size_t>(std::find(there.begin(), there.end(), false) - there.begin());
    if (there.size() != count || missing < there.size())
      fail(gathering, id, fmt::format("lacks {} {} of {}", what, std::min(missing, count), count));
  }

  static void finish(int64_t id, Gathering& gathering) {
    OlmesDocument& document = gathering.document;
    if (document.choices.empty()) fail(gathering, id, "has unconditional requests alone");
    size_t count = document.choices.size();
    if (gathering.choices && *gathering.choices > count) count = *gathering.choices;
    require_complete(gathering, id, gathering.has_choice, count, "choice");
    if (!document.unconditional.empty())
      require_complete(gathering, id, gathering.has_unconditional, count, "unconditional choice");
    if (gathering.label && static_cast<size_t>(*gathering.label) >= count)
      fail(gathering, id, fmt::format("has label {}, want 0 to {}", *gathering.label, count - 1));
    if (count > 1 && !gathering.label) fail(gathering, id, fmt::format("has {} choices and no number as label", count));
    if (count > 1) document.answer = static_cast<size_t>(*gathering.label);
  }

  int64_t offset_;
  size_t text_ = 0;
  std::map<int64_t, Gathering> gatherings_;
};
}  // namespace

std::vector<OlmesDocument> parse_olmes_requests(std::string_view bytes, const std::string& source, int64_t offset) {
  LineReader lines(bytes, source);
  Gatherer gatherer(offset);
  RowRepairs repairs;
  for (std::string text; lines.next(text);) {
    const std::string where = lines.where();
    const Json json = parse_json_row(text, where, &repairs);
    gatherer.add({json, where});
  }
  repairs.warn("eval");
  return gatherer.documents(source);
}

}  // namespace tessera::eval
