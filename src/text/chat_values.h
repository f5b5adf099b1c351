// A conversation as the values that a chat template sees. Everything that people typed is marked as such, by message.
#pragma once

#include <vector>

#include "text/chat_template.h"

namespace tessera::text {

/// Limits that grow with what has to be rendered.
jinja::Limits limits_for(const std::vector<Message>& messages, const TemplateInputs& inputs);

/// The variables of transformers' apply_chat_template. `special_tokens`: by their names in tokenizer_config.json. Throws jinja::Fault.
jinja::Variables chat_variables(const std::vector<Message>& messages, const TemplateInputs& inputs,
                                const SpecialTokens& special_tokens, bool add_generation_prompt, ContentForm form,
                                jinja::Budget& budget);

}  // namespace tessera::text
