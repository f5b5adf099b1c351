// See named_templates.h. tests/golden holds what transformers renders with the families' own templates.
#include "text/named_templates.h"

#include <algorithm>

#include "core/error.h"

namespace tessera::text {

namespace {
/// Every named template refuses roles that its family does not have.
std::string with_roles(std::string_view roles, std::string_view body) {
  return fmt::format(
      "{{% for message in messages %}}{{% if message.role not in [{}] %}}"
      "{{{{ raise_exception('message ' ~ loop.index0 ~ ' has the role ' ~ message.role ~ ', which this template does "
      "not have') }}}}"
      "{{% endif %}}{{% endfor %}}{}",
      roles, body);
}
constexpr std::string_view three_roles = "'system', 'user', 'assistant'";

/// ChatML; `system`: what the system turn says where a conversation brings none.
std::string chatml(std::string_view system) {
  std::string body;
  if (!system.empty())
    body = fmt::format(
        "{{% if messages[0].role != 'system' %}}{{{{ '<|im_start|>system\\n{}<|im_end|>\\n' }}}}{{% endif %}}", system);
  body +=
      "{% for message in messages %}{{ '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>\\n' }}"
      "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}";
  return with_roles(three_roles, body);
}

/// Turns with headers; `dated`: the system turn always stands and begins with two dates.
std::string with_headers(bool dated) {
  std::string body = "{{ bos_token }}";
  if (dated)
    body +=
        "{% if messages[0].role != 'system' %}{{ '<|start_header_id|>system<|end_header_id|>\\n\\nCutting Knowledge "
        "Date: "
        "December 2023\\nToday Date: 26 Jul 2024\\n\\n<|eot_id|>' }}{% endif %}";
  body += "{% for message in messages %}{{ '<|start_header_id|>' + message.role + '<|end_header_id|>\\n\\n' }}";
  if (dated)
    body +=
        "{% if loop.first and message.role == 'system' %}{{ 'Cutting Knowledge Date: December 2023\\n"
        "Today Date: 26 Jul 2024\\n\\n' }}{% endif %}";
  body +=
      "{{ message.content | trim + '<|eot_id|>' }}{% endfor %}"
      "{% if add_generation_prompt %}{{ '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}{% endif %}";
  return with_roles(three_roles, body);
}

std::string with_turns() {
  return with_roles(
      "'user', 'assistant'",
      "{{ bos_token }}{% for message in messages %}{% if (message.role == 'user') != (loop.index0 % 2 == 0) %}"
      "{{ raise_exception('message ' ~ loop.index0 ~ ' is the ' ~ message.role ~ '\\'s; user and assistant must take "
      "turns') }}"
      "{% endif %}{{ '<start_of_turn>' + ('model' if message.role == 'assistant' else 'user') + '\\n' + "
      "message.content | trim + '<end_of_turn>\\n' }}{% endfor %}"
      "{% if add_generation_prompt %}{{ '<start_of_turn>model\\n' }}{% endif %}");
}

std::string with_bars() {
  return with_roles(three_roles,
                    "{{ bos_token }}{% for message in messages %}{{ '<|' + message.role + '|>\\n' + message.content }}"
                    "{% if message.role == 'assistant' %}{{ eos_token + ('' if loop.last else '\\n') }}{% else %}{{ "
                    "'\\n' }}{% endif %}"
                    "{% endfor %}{% if add_generation_prompt %}{{ '<|assistant|>\\n' }}{% endif %}");
}

std::vector<NamedTemplate> all_templates() {
  const std::pair<std::string, std::string> text_begin = {"bos_token", "<|begin_of_text|>"};
  return {{"chatml", chatml(""), {}},
          {"nvila", chatml("You are a helpful assistant"), {}},
          {"qwen2", chatml("You are a helpful assistant."), {}},
          {"qwen2.5", chatml("You are Qwen, created by Alibaba Cloud. You are a helpful assistant."), {}},
          {"llama3", with_headers(/*dated=*/false), {text_begin}},
          {"llama3.1", with_headers(/*dated=*/true), {text_begin}},
          {"gemma", with_turns(), {{"bos_token", "<bos>"}}},
          {"olmo2", with_bars(), {{"bos_token", "<|endoftext|>"}, {"eos_token", "<|endoftext|>"}}},
          {"plain", std::string(plain_template), {}}};
}
}  // namespace

NamedTemplate named_template(std::string_view name) {
  for (NamedTemplate& one : all_templates()) {
    if (one.name == name) return std::move(one);
  }
  throw UserError("[text] no chat template is called '{}'; known: {}", name, template_names());
}

std::string template_names() {
  std::string names;
  for (const NamedTemplate& one : all_templates()) {
    if (!names.empty()) names += ", ";
    names += one.name;
  }
  return names;
}

}  // namespace tessera::text
