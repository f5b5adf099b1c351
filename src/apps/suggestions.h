// "Did you mean": verbs and options that other programs have by another name, and near spellings. Nothing is guessed that is far.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace tessera::apps {

/// "; did you mean 'chat'?", or empty. `known` holds whole verbs, such as "plan ladder".
std::string verb_suggestion(std::string_view word, const std::vector<std::string>& known);
/// The same of options. `name` and `known` hold the dashes.
std::string option_suggestion(std::string_view name, const std::vector<std::string>& known);

}  // namespace tessera::apps
