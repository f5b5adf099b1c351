// Tensors cut from shared pages neither overlap nor outlive their memory.
#include "tensor/large_pages.h"

#include <gtest/gtest.h>

#include <ATen/ops/arange.h>
#include <ATen/ops/full.h>

namespace tessera {
namespace {

TEST(LargePages, TensorsOfAllSizesAreAlignedAndDoNotOverlap) {
  std::vector<Tensor> all;
  const std::vector<int64_t> sizes{1, 63, 0, 64, 4097, 1 << 20, 3, (20 << 20) + 1, 70 << 20, 5};
  for (const int64_t size : sizes) all.push_back(empty_in_large_pages({size}, at::kByte));
  for (size_t i = 0; i < all.size(); ++i) all[i].fill_(static_cast<int64_t>(i));
  for (size_t i = 0; i < all.size(); ++i) {
    EXPECT_EQ(all[i].size(0), sizes[i]);
    EXPECT_EQ(reinterpret_cast<uintptr_t>(all[i].const_data_ptr()) % 64, 0);
    EXPECT_TRUE(all[i].eq(static_cast<int64_t>(i)).all().item<bool>()) << i;
  }
}

TEST(LargePages, ATensorKeepsItsMemoryWhenItsNeighboursAreGone) {
  Tensor kept;
  {
    const Tensor before = empty_in_large_pages({300, 7}, at::kFloat);
    kept = empty_in_large_pages({5, 3}, at::kFloat);
    before.fill_(2);
    kept.copy_(at::arange(15).view({5, 3}));
  }
  const Tensor next = empty_in_large_pages({300, 7}, at::kFloat);
  next.fill_(9);
  EXPECT_TRUE(kept.equal(at::arange(15).view({5, 3}).to(at::kFloat)));
}

}  // namespace
}  // namespace tessera
