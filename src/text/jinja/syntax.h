// The tree of a parsed template. It is read only once parsed; every node knows its line and none is deeper than deepest_syntax.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "text/jinja/value.h"

namespace tessera::text::jinja {

/// Expressions, statements and blocks inside of each other.
inline constexpr int deepest_syntax = 300;

struct Expression;
using ExpressionPtr = std::unique_ptr<Expression>;

/// What stands between the parentheses of a call, a filter or a test.
struct CallSyntax {
  std::vector<ExpressionPtr> positional;
  std::vector<std::pair<std::string, ExpressionPtr>> keywords;
  ExpressionPtr list, dict;  // *list, **dict; null where absent
};

enum class Operator : uint8_t {
  add,
  subtract,
  multiply,
  divide,
  floor_divide,
  modulo,
  power,
  negate,
  plus,
  logical_and,
  logical_or,
  logical_not,
  equal,
  unequal,
  less,
  less_equal,
  greater,
  greater_equal,
  in,
  not_in
};

struct Expression {
  enum class Kind : uint8_t {
    constant,  // constant
    name,      // name
    list,
    tuple,          // parts
    dict,           // parts: key, value, key, value, ...
    attribute,      // parts[0].name
    item,           // parts[0][parts[1]]
    slice,          // parts[0][parts[1]:parts[2]:parts[3]], null where left out
    call,           // parts[0](call)
    filter,         // parts[0] | name(call); parts[0] is null inside of a block
    test,           // parts[0] is name(call)
    unary,          // operators[0] parts[0]
    binary,         // parts[0] operators[0] parts[1]
    comparison,     // parts[0] operators[0] parts[1] operators[1] parts[2] ...
    concatenation,  // parts, joined as texts
    conditional     // parts[1] if parts[0] else parts[2], which may be null
  };
  Kind kind = Kind::constant;
  int line = 0;
  int depth = 1;
  std::string name;
  Value constant;
  std::vector<ExpressionPtr> parts;
  std::vector<Operator> operators;
  CallSyntax call;
};

struct Statement;
struct Macro;
using Block = std::vector<Statement>;

struct Signature {
  std::vector<std::string> names;
  std::vector<ExpressionPtr> defaults;  // of the last names
};

/// Where a value is stored: a name, an attribute of a namespace, or several of these.
struct Target {
  std::string name, field;  // field: of a namespace, else ""
  std::vector<Target> several;
};

struct Statement {
  enum class Kind : uint8_t {
    text,          // text
    output,        // expressions
    for_loop,      // for target in expressions[0] if expressions[1]: blocks[0], else blocks[1]
    condition,     // if expressions[i]: blocks[i]; a last block without an expression is the else
    set,           // target = expressions[0]
    set_block,     // target = blocks[0] through the filters of expressions[0], which may be null
    macro,         // macro
    call_block,    // expressions[0], a call that is given `macro` as caller
    filter_block,  // blocks[0] through expressions[0]
    with,          // targets[i] = expressions[i] inside of blocks[0]
    generation,    // blocks[0] is what an assistant says
    break_loop,
    continue_loop
  };
  Kind kind = Kind::text;
  int line = 0;
  Value text;  // made once, so that writing it copies no more than it must
  Target target;
  std::vector<Target> targets;
  std::vector<ExpressionPtr> expressions;
  std::vector<Block> blocks;
  std::unique_ptr<Macro> macro;

  Statement();
  ~Statement();
  Statement(Statement&&) noexcept;
  Statement& operator=(Statement&&) noexcept;
};

struct Macro {
  std::string name;
  Signature signature;
  Block body;
  bool uses_caller = false, uses_varargs = false, uses_kwargs = false;
};

inline Statement::Statement() = default;
inline Statement::~Statement() = default;
inline Statement::Statement(Statement&&) noexcept = default;
inline Statement& Statement::operator=(Statement&&) noexcept = default;

}  // namespace tessera::text::jinja
