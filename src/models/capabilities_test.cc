// Requests read from text.
#include "models/capabilities.h"

#include <gtest/gtest.h>

#include "core/error.h"

namespace tessera {
namespace {

TEST(Aspect, ReadsWidthToHeightAndNumbersAndRefusesTheRest) {
  EXPECT_DOUBLE_EQ(parse_aspect("16:9"), 9.0 / 16);
  EXPECT_DOUBLE_EQ(parse_aspect("1:1"), 1);
  EXPECT_DOUBLE_EQ(parse_aspect("1.5"), 1.5);
  for (const char* wrong : {"", "16x9", ":", "1:", "0:1", "-1", "9:1", "nan", "1:1:1"})
    EXPECT_THROW(parse_aspect(wrong), UserError) << wrong;
}

}  // namespace
}  // namespace tessera
