// Agreement with the jsonschema package (tools/golden/json_schema_twin.py): what a grammar lets through is valid, and nearly all that is
// valid is let through.
#include <gtest/gtest.h>

#include "core/files.h"
#include "generate/json/testing.h"

namespace tessera::testing {
namespace {

/// The schema with what the specification means where nothing is said of further properties, which a grammar closes out.
Json opened(Json schema) {
  if (schema.is_structured()) {
    for (Json& part : schema) part = opened(part);
  }
  if (schema.is_object() && schema.contains("properties") && schema["properties"].is_object() &&
      !schema.contains("additionalProperties"))
    schema["additionalProperties"] = true;
  return schema;
}

TEST(JsonSchemaGolden, WhatIsLetThroughIsValid) {
  int valid = 0, let_through = 0, closed_out = 0, refused = 0;
  for (const Json& one : read_json_file(Path(TESSERA_SOURCE_DIR) / "tests/golden/data/json_schema.json")) {
    std::shared_ptr<const generate::JsonGrammar> grammar, closed;
    try {
      grammar = generate::JsonGrammar::of_schema(opened(one["schema"]));
      closed = generate::JsonGrammar::of_schema(one["schema"]);
    } catch (const UserError&) {
      ++refused;  // nothing is valid, or it cannot be said what is
      continue;
    }
    for (const Json& pair : one["values"]) {
      const bool accepted = generate::testing::accepts(grammar, pair[0].dump());
      EXPECT_TRUE(pair[1].get<bool>() || !accepted) << one["schema"].dump() << "\n" << pair[0].dump();
      valid += pair[1].get<bool>();
      let_through += accepted;
      const bool accepted_closed = generate::testing::accepts(closed, pair[0].dump());
      EXPECT_TRUE(accepted || !accepted_closed) << one["schema"].dump() << "\n" << pair[0].dump();
      closed_out += accepted && !accepted_closed;
    }
  }
  EXPECT_EQ(refused, 42);  // the golden file is fixed
  EXPECT_GT(valid, 1000);
  EXPECT_GT(let_through, valid * 9 / 10) << let_through << " of " << valid;
  EXPECT_GT(closed_out, 0);
}

}  // namespace
}  // namespace tessera::testing
