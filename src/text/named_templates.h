// Chat templates that have a name: short ones of our own, in the manner of well-known families. They run in the same interpreter as stored ones.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace tessera::text {

struct NamedTemplate {
  std::string_view name;
  std::string source;
  std::vector<std::pair<std::string, std::string>>
      special_tokens;  // "bos_token" and "eos_token" where the template writes them
};

/// "plain": turns of small models, `<|user|>text<|end|>`, as Tessera stores it with tokenizers that it trains.
inline constexpr std::string_view plain_template =
    "{% for message in messages %}{{ '<|' + message['role'] + '|>' + message['content'] + '<|end|>' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}";

/// Throws UserError for an unknown name.
NamedTemplate named_template(std::string_view name);
/// "chatml, nvila, ...", for messages.
std::string template_names();

}  // namespace tessera::text
