// MinHash against the share of triples that it estimates, and what is found.
#include "align/near_duplicates.h"

#include <gtest/gtest.h>

#include <set>
#include <string>

#include "core/error.h"
#include "core/rng.h"

namespace tessera::align {
namespace {

std::string words(uint64_t seed, int count) {
  Rng rng(seed);
  std::string text;
  for (int i = 0; i < count; ++i) text += "w" + std::to_string(rng.below(5000)) + " ";
  return text;
}

TEST(MinHash, EstimatesTheShareOfTriplesInCommon) {
  const std::string shared = words(1, 60);
  for (const int own : {0, 20, 60, 200}) {
    const std::string a = shared + words(2, own), b = shared + words(3, own);
    const double triples = 58, all = triples + 2.0 * own;  // about: those across the seam are own ones
    EXPECT_NEAR(similarity(minhash_of(a), minhash_of(b)), triples / all, 0.2) << own;
  }
  EXPECT_EQ(similarity(minhash_of("Write a poem."), minhash_of("write a POEM!")), 1);
  EXPECT_EQ(similarity(minhash_of("Hi"), minhash_of("hi")), 1);
}

TEST(NearDuplicates, OnesThatCameFirstStay) {
  NearDuplicates near(0.7);
  const std::string prompt = words(5, 40);
  EXPECT_FALSE(near.known_or_add(prompt));
  EXPECT_TRUE(near.known_or_add(prompt + "please"));
  EXPECT_FALSE(near.known_or_add(words(6, 40)));
  EXPECT_EQ(near.size(), 2u);
  EXPECT_THROW(NearDuplicates(0), UserError);
}

TEST(NearDuplicates, MostPairsAboveTheThresholdAreFoundAndFewBelow) {
  int found = 0, wrong = 0;
  for (uint64_t i = 0; i < 100; ++i) {
    NearDuplicates near(0.6);
    const std::string prompt = words(100 + i, 60);
    near.known_or_add(prompt);
    found += near.known_or_add(words(5000 + i, 3) + prompt) ? 1 : 0;   // .95 in common
    wrong += near.known_or_add(words(9000 + i, 60) + prompt) ? 1 : 0;  // .48
  }
  EXPECT_GE(found, 98);
  EXPECT_LE(wrong, 15);
}

}  // namespace
}  // namespace tessera::align
