// What a field means here is what OpenAI's reference says of it; what cannot be done is refused by its name.
#include "serve/text_request.h"

#include <charconv>
#include <unordered_map>

#include "core/error.h"
#include "serve/api_error.h"

namespace tessera::serve {

namespace {

/// logit_bias, presence_penalty and frequency_penalty: added to and taken from logits, by what was drawn so far.
class Biases final : public generate::Constraint {
 public:
  Biases(std::vector<std::pair<int32_t, float>> biases, double presence, double frequency)
      : biases_(std::move(biases)), presence_(presence), frequency_(frequency) {}
  void mask(Tensor& logits) override {
    float* const values = logits.mutable_data_ptr<float>();
    const int64_t count = logits.numel();
    for (const auto& [id, bias] : biases_) {
      if (id < count) values[id] += bias;
    }
    for (const auto& [id, times] : seen_) {
      if (id < count) values[id] -= static_cast<float>(presence_ + frequency_ * static_cast<double>(times));
    }
  }
  void advance(int32_t id) override {
    if (presence_ != 0 || frequency_ != 0) ++seen_[id];
  }

 private:
  std::vector<std::pair<int32_t, float>> biases_;
  double presence_, frequency_;
  std::unordered_map<int32_t, int64_t> seen_;
};

std::vector<std::pair<int32_t, float>> read_biases(const Fields& fields) {
  std::vector<std::pair<int32_t, float>> biases;
  const Json* const map = fields.object("logit_bias");
  if (map == nullptr) return biases;
  for (const auto& [key, value] : map->items()) {
    int32_t id = -1;
    const auto [end, error] = std::from_chars(key.data(), key.data() + key.size(), id);
    if (error != std::errc() || end != key.data() + key.size() || id < 0 || !value.is_number() ||
        !(std::abs(value.get<double>()) <= 100))
      fields.refuse("logit_bias", *map, "token ids, each with a number from -100 to 100");
    biases.emplace_back(id, value.get<float>());
  }
  return biases;
}

}  // namespace

void require_room(int64_t length, int64_t context, std::string_view param) {
  if (length < context) return;
  throw ApiError(
      400,
      fmt::format(
          "the prompt has {} tokens, the model's context is {}; want at most {}, so that there is room for an answer",
          length, context, context - 1),
      std::string(param), "context_length_exceeded");
}

void refuse_other_formats(const Fields& fields) {
  for (const char* name :
       {"grammar", "guided_json", "guided_regex", "guided_choice", "guided_grammar", "structured_outputs"}) {
    if (fields.has(name))
      throw ApiError(400, fmt::format("'{}' is not supported; 'response_format' takes a JSON schema", name), name);
  }
}

namespace {

std::shared_ptr<const generate::JsonGrammar> grammar_of(const Json& schema, const std::string& param) {
  try {
    return generate::JsonGrammar::of_schema(schema);
  } catch (const UserError& error) {
    throw ApiError(400, error.what(), param);
  }
}

}  // namespace

std::shared_ptr<const generate::JsonGrammar> read_format(const Fields& fields) {
  refuse_other_formats(fields);
  const Json* const format = fields.object("response_format");
  if (const Json* schema = fields.find("json_schema")) {  // as llama.cpp's server takes it
    if (format != nullptr)
      throw ApiError(400, "'json_schema' and 'response_format' are both there; want one of them", "json_schema");
    return grammar_of(*schema, "json_schema");
  }
  if (format == nullptr) return nullptr;
  const Fields inner(*format, "response_format.");
  const std::string type = inner.required_text("type");
  if (type == "text") return nullptr;
  if (type == "json_object" && inner.has("schema"))  // as llama.cpp's server takes it
    return grammar_of(inner.required("schema"), "response_format.schema");
  if (type == "json_object") return generate::JsonGrammar::any_object();
  if (type != "json_schema") inner.refuse("type", *inner.find("type"), "text, json_object or json_schema");
  inner.required("json_schema");
  const Fields schema(*inner.object("json_schema"), "response_format.json_schema.");
  return grammar_of(schema.required("schema"), "response_format.json_schema.schema");
}

std::shared_ptr<const generate::JsonGrammar> read_required_call(const Fields& fields) {
  const Json* const choice = fields.find("tool_choice");
  const Json* const tools = fields.list("tools");
  if (choice == nullptr || *choice == "auto" || *choice == "none") return nullptr;
  std::string wanted;
  if (choice->is_object()) {
    const Fields named(*choice, "tool_choice.");
    named.required("function");
    wanted = Fields(*named.object("function"), "tool_choice.function.").required_text("name");
  } else if (*choice != "required") {
    fields.refuse("tool_choice", *choice, "auto, none, required or a function");
  }
  Json calls = Json::array();
  for (const Json& tool : tools == nullptr ? Json::array() : *tools) {
    const Json& function = tool.at("function");
    if (!wanted.empty() && function["name"] != wanted) continue;
    const Json nothing = {{"type", "object"}, {"properties", Json::object()}, {"additionalProperties", false}};
    const bool takes =
        function.contains("parameters") && function["parameters"].is_object() && !function["parameters"].empty();
    calls.push_back(
        {{"type", "object"},
         {"properties",
          {{"name", {{"const", function["name"]}}}, {"arguments", takes ? function["parameters"] : nothing}}},
         {"required", Json::array({"name", "arguments"})},
         {"additionalProperties", false}});
  }
  if (calls.empty()) fields.refuse("tool_choice", *choice, "one of the 'tools'");
  return grammar_of(calls.size() == 1 ? calls[0] : Json{{"anyOf", calls}}, "tools");
}

TextRequest read_text_request(const Fields& fields) {
  TextRequest request{.model = fields.text("model"), .user = fields.text("user", fields.text("safety_identifier"))};
  request.stream = fields.flag("stream");
  if (const Json* options = fields.object("stream_options")) {
    const bool usage = Fields(*options, "stream_options.").flag("include_usage");
    request.usage = request.stream && usage;
  }
  request.temperature = fields.number("temperature", 0, 2);
  request.top_p = fields.number("top_p", 0, 1);
  request.min_p = fields.number("min_p", 0, 1);
  request.top_k = fields.whole("top_k", 0, 1 << 30);
  request.repetition_penalty = fields.number("repetition_penalty", 0.01, 100);
  if (const auto seed = fields.whole("seed", INT64_MIN, INT64_MAX)) request.seed = static_cast<uint64_t>(*seed);
  request.ignore_eos = fields.flag("ignore_eos");
  request.choices = fields.whole("n", 1, 128).value_or(1);
  request.options.stop = fields.texts("stop", 16);
  std::erase(request.options.stop, "");
  const double presence = fields.number("presence_penalty", -2, 2).value_or(0),
               frequency = fields.number("frequency_penalty", -2, 2).value_or(0);
  auto biases = read_biases(fields);
  if (!biases.empty() || presence != 0 || frequency != 0) {
    request.options.constraints.push_back(
        [=](const std::vector<int32_t>&) { return std::make_unique<Biases>(biases, presence, frequency); });
  }
  if (const Json* own = fields.object("tessera")) request.receipt = Fields(*own, "tessera.").flag("receipt");
  return request;
}

generate::TokenSampling sampling_of(const TextRequest& request, const generate::TokenSampling& model_own,
                                    uint64_t seed) {
  generate::TokenSampling sampling = model_own;
  sampling.temperature = request.temperature.value_or(sampling.temperature);
  sampling.top_p = request.top_p.value_or(sampling.top_p);
  if (sampling.top_p == 0) sampling.top_p = 1e-9;  // the most likely token alone
  sampling.min_p = request.min_p.value_or(sampling.min_p);
  sampling.top_k = request.top_k.value_or(sampling.top_k);
  sampling.repetition_penalty = request.repetition_penalty.value_or(sampling.repetition_penalty);
  sampling.seed = request.seed.value_or(seed);
  return sampling;
}

}  // namespace tessera::serve
