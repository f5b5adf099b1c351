// Agreement with the jsonschema package (tools/golden/json_schema_twin.py): what a grammar lets through is valid, and nearly all that is
// valid is let through.
#include <gtest/gtest.h>

#include "core/files.h"
#include "generate/json/testing.h"

namespace tessera::testing {
namespace {

TEST(JsonSchemaGolden, WhatIsLetThroughIsValid) {
  int valid = 0, let_through = 0, refused = 0;
  for (const Json& one : read_json_file(Path(TESSERA_SOURCE_DIR) / "tests/golden/data/json_schema.json")) {
    std::shared_ptr<const generate::JsonGrammar> grammar;
    try {
      grammar = generate::JsonGrammar::of_schema(one["schema"]);
    } catch (const UserError&) {
      ++refused;  // nothing is valid, or it cannot be said what is
      continue;
    }
    for (const Json& pair : one["values"]) {
      const bool accepted = generate::testing::accepts(grammar, pair[0].dump());
      EXPECT_TRUE(pair[1].get<bool>() || !accepted) << one["schema"].dump() << "\n" << pair[0].dump();
      valid += pair[1].get<bool>();
      let_through += accepted;
    }
  }
  EXPECT_EQ(refused, 42);  // the golden file is fixed
  EXPECT_GT(valid, 1000);
  EXPECT_GT(let_through, valid * 9 / 10) << let_through << " of " << valid;
}

}  // namespace
}  // namespace tessera::testing
