// See regex.h. Where the two dialects differ for what tokenizers write, the pattern is rewritten before it is compiled.
#include "text/regex.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include "core/error.h"
#include "text/unicode.h"

namespace tessera::text {

namespace {
/// PCRE2's \s also takes U+180E, which lost White_Space in Unicode 6.3.
constexpr std::string_view white_space =
    R"(\x{9}-\x{d}\x{20}\x{85}\x{a0}\x{1680}\x{2000}-\x{200a}\x{2028}\x{2029}\x{202f}\x{205f}\x{3000})";

std::string in_dialect_of_pcre2(std::string_view pattern) {
  std::string out;
  bool in_class = false;
  for (size_t at = 0; at < pattern.size(); ++at) {
    const char c = pattern[at];
    if (c == '\\' && at + 1 < pattern.size()) {
      const char escaped = pattern[++at];
      if (escaped == 's') out += in_class ? std::string(white_space) : fmt::format("[{}]", white_space);
      else if (escaped == 'S') out += in_class ? R"(\S\x{180e})" : fmt::format("[^{}]", white_space);
      else (out += c) += escaped;
      continue;
    }
    if (c == '[') in_class = true;
    if (c == ']') in_class = false;
    out += c;
  }
  return out;
}

/// What one thread matches with: space for results, and a stack for the machine code.
struct Workspace {
  Workspace()
      : data(pcre2_match_data_create(8, nullptr)), context(pcre2_match_context_create(nullptr)),
        stack(pcre2_jit_stack_create(32 * 1024, 4 * 1024 * 1024, nullptr)) {
    pcre2_jit_stack_assign(context, nullptr, stack);
    pcre2_set_match_limit(context, 10'000'000);
    pcre2_set_heap_limit(context, 64 * 1024);  // KiB, where there is no machine code
  }
  ~Workspace() {
    pcre2_match_data_free(data);
    pcre2_match_context_free(context);
    pcre2_jit_stack_free(stack);
  }
  Workspace(const Workspace&) = delete;
  Workspace& operator=(const Workspace&) = delete;

  pcre2_match_data* data;
  pcre2_match_context* context;
  pcre2_jit_stack* stack;
};

std::string words_of(int error) {
  unsigned char words[200];
  const int length = pcre2_get_error_message(error, words, sizeof words);
  return length < 0 ? "unknown error" : std::string(reinterpret_cast<const char*>(words), static_cast<size_t>(length));
}
}  // namespace

Regex::Regex(std::string_view pattern, std::string_view source) {
  const std::string translated = in_dialect_of_pcre2(pattern);
  int error = 0;
  size_t where = 0;
  pcre2_code* code =
      pcre2_compile(reinterpret_cast<const unsigned char*>(translated.data()), translated.size(),
                    PCRE2_UTF | PCRE2_UCP | PCRE2_MULTILINE | PCRE2_NEVER_BACKSLASH_C, &error, &where, nullptr);
  if (code == nullptr)
    throw UserError("[text] {}: the pattern of the pre-tokenizer is not valid: {}", source, words_of(error));
  compiled_to_machine_code_ = pcre2_jit_compile(code, PCRE2_JIT_COMPLETE) == 0;
  code_ = std::shared_ptr<const void>(
      code, [](const void* p) { pcre2_code_free(static_cast<pcre2_code*>(const_cast<void*>(p))); });
}

std::vector<Range> Regex::matches(std::string_view text) const {
  thread_local const Workspace workspace;
  const auto* code = static_cast<const pcre2_code*>(code_.get());
  const auto* subject = reinterpret_cast<const unsigned char*>(text.data());
  std::vector<Range> found;
  for (size_t from = 0; from < text.size();) {
    const int result =
        compiled_to_machine_code_
            ? pcre2_jit_match(code, subject, text.size(), from, 0, workspace.data, workspace.context)
            : pcre2_match(code, subject, text.size(), from, PCRE2_NO_UTF_CHECK, workspace.data, workspace.context);
    if (result == PCRE2_ERROR_NOMATCH) break;
    if (result < 0) throw UserError("[text] the pre-tokenizer's pattern gave up on a text: {}", words_of(result));
    const size_t* bounds = pcre2_get_ovector_pointer(workspace.data);
    const Range match{bounds[0], bounds[1]};
    if (match.begin > match.end) throw UserError("[text] the pre-tokenizer's pattern ends before it begins (\\K)");
    if (match.begin < match.end) found.push_back(match);
    from = match.end;
    if (match.begin == match.end && from < text.size()) from += character_at(text, from).length;
  }
  return found;
}

}  // namespace tessera::text
