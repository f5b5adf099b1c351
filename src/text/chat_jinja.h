// The template texts that Tessera itself stores with a tokenizer.
#pragma once

#include <string_view>

namespace tessera::text {

/// "plain": turns of small models, `<|user|>text<|end|>`, for transformers' apply_chat_template.
inline constexpr std::string_view plain_jinja =
    "{% for message in messages %}{{ '<|' + message['role'] + '|>' + message['content'] + '<|end|>' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}";

}  // namespace tessera::text
