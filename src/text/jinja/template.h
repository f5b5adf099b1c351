// A chat template in Jinja: parsed once, rendered often, by several threads if need be. It reads nothing but what it is given and ends within
// its limits, whatever it says.
#pragma once

#include <ctime>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "text/jinja/value.h"

namespace tessera::text::jinja {

struct Statement;

/// What goes wrong in a line of a template.
class TemplateFault : public Fault {
 public:
  TemplateFault(int line, bool refusal, const std::string& what) : Fault(what), line_(line), refusal_(refusal) {}
  int line() const { return line_; }
  bool refusal() const { return refusal_; }  // by raise_exception

 private:
  int line_;
  bool refusal_;
};

using Variables = std::vector<std::pair<std::string, Value>>;

class Template {
 public:
  /// Throws TemplateFault for what is no template or is not supported.
  explicit Template(std::string_view source);
  /// `now`: what strftime_now formats, in local time. Throws TemplateFault.
  MarkedText render(const Variables& variables, Budget& budget, std::time_t now) const;
  /// True when {% generation %} marks what an assistant says.
  bool marks_generation() const { return marks_generation_; }

 private:
  std::shared_ptr<const std::vector<Statement>> body_;
  bool marks_generation_ = false;
};

}  // namespace tessera::text::jinja
