// Mapped weights: views where they can be, copies where they must, and values that are not finite.
#include "tensor/weights.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

#include "core/error.h"

namespace tessera {
namespace {

struct Pair {
  Tensor a = at::empty({3, 4}, at::TensorOptions(at::kFloat).device(at::kMeta));
  Tensor b = at::empty({5}, at::TensorOptions(at::kFloat).device(at::kMeta));
};
template <class V> void tensors(V& v, Pair& m) {
  v("a", m.a);
  v("b", m.b);
}

WeightSource stored(const std::vector<NamedTensor>& tensors, const std::string& name) {
  const Path path = Path(::testing::TempDir()) / ("mapped_weights_" + name);
  save_tensors(path, tensors, disk(), {.stored_as = StoredAs::unchanged});
  return WeightSource(path);
}

Pair map(const WeightSource& files, const MapOptions& options = {}) {
  Pair pair;
  map_weights(tensor_slots(pair), files, "test", options);
  return pair;
}

TEST(MappedWeights, StayInTheFileAndKeepItMappedWhenTheFormatIsTheFiles) {
  const Tensor a = at::randn({3, 4}), b = at::randn({5});
  const char* in_file = nullptr;
  Pair pair;
  {
    const WeightSource files = stored({{"a", a}, {"b", b}}, "views");
    in_file = files.find("a")->bytes.data();
    pair = map(files);
  }
  EXPECT_EQ(static_cast<const void*>(pair.a.const_data_ptr()), in_file);
  EXPECT_TRUE(pair.a.equal(a));
  EXPECT_TRUE(pair.b.equal(b));
}

TEST(MappedWeights, AreCopiesToWriteIntoAndInAnotherFormat) {
  const Tensor a = at::randn({3, 4}).to(at::kBFloat16), b = at::randn({5}).to(at::kBFloat16);
  const auto files = stored({{"a", a}, {"b", b}}, "copies");
  Pair writable = map(files, {.writable = true});
  writable.a.zero_();
  EXPECT_TRUE(map(files).a.equal(a));
  const Pair single = map(files, {.format = at::kFloat});
  EXPECT_TRUE(single.a.equal(a.to(at::kFloat)));
  EXPECT_EQ(single.b.scalar_type(), at::kFloat);
}

TEST(MappedWeights, AreCopiesInMemoryOfTheirOwnWhereThatIsAskedFor) {
  const Tensor a = at::randn({3, 4}).to(at::kHalf), b = at::randn({5}).to(at::kHalf);
  const auto files = stored({{"a", a}, {"b", b}}, "own");
  const Pair own = map(
      files, {.format = at::kFloat, .copied = true, .as_stored = [](std::string_view name) { return name == "a"; }});
  EXPECT_NE(static_cast<const void*>(own.a.const_data_ptr()), files.find("a")->bytes.data());
  EXPECT_TRUE(own.a.equal(a));
  EXPECT_TRUE(own.b.equal(b.to(at::kFloat)));
}

TEST(MappedWeights, LargeCopiesAreMadeAndCheckedPieceByPiece) {
  Tensor many = at::arange(35'000'000, at::kInt).remainder_(1000).to(at::kHalf);  // 70 MB, more than a piece
  Tensor copy = at::empty({35'000, 1000}, at::TensorOptions(at::kMeta));
  const std::vector<TensorSlot> slots{{"many", &copy}};
  map_weights(slots, stored({{"many", many.view({35'000, 1000})}}, "large"), "test", {.copied = true});
  EXPECT_TRUE(copy.flatten().equal(many));
  many[1] = many[34'999'999] = std::numeric_limits<double>::infinity();
  EXPECT_THAT(
      [&] {
        map_weights(slots, stored({{"many", many.view({35'000, 1000})}}, "large"), "test", {.copied = true});
      },
      ::testing::ThrowsMessage<UserError>(::testing::HasSubstr("2 of the 35000000 numbers of tensor 'many'")));
}

TEST(MappedWeights, OddlyAlignedOnesAreCopied) {
  // a file in which "b" begins at an odd place, as some programs write them
  const std::string header = R"({"u":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},)"
                             R"("a":{"dtype":"F32","shape":[3,4],"data_offsets":[1,49]},)"
                             R"("b":{"dtype":"F32","shape":[5],"data_offsets":[49,69]}})";
  std::string text(8, '\0');
  text[0] = static_cast<char>(header.size());
  text += header + std::string(1, 'x');
  for (int i = 0; i < 17; ++i) {
    const auto value = static_cast<float>(i);
    text.append(reinterpret_cast<const char*>(&value), 4);
  }
  const Path path = Path(::testing::TempDir()) / "mapped_weights_odd";
  write_file_atomically(path, text);
  const WeightSource files(path);
  const Pair pair = map(files.renamed([](std::string_view name) { return name == "u" ? "" : std::string(name); }));
  EXPECT_TRUE(pair.a.equal(at::arange(12, at::kFloat).view({3, 4})));
  EXPECT_TRUE(pair.b.equal(at::arange(12, 17, at::kFloat)));
  EXPECT_THAT([&] { map(files); }, ::testing::ThrowsMessage<UserError>(::testing::HasSubstr("1 unexpected (u)")));
}

TEST(MappedWeights, NonFiniteValuesAreCountedAndReportedByTensorName) {
  constexpr double nan = std::numeric_limits<double>::quiet_NaN(), infinity = std::numeric_limits<double>::infinity();
  for (const at::ScalarType type : {at::kFloat, at::kHalf, at::kBFloat16, at::kDouble}) {
    Tensor a = at::randn({3, 4}).to(type), b = at::full({5}, 1000.0, at::TensorOptions(type));
    const auto sound = stored({{"a", a}, {"b", b}}, "sound");
    EXPECT_NO_THROW(map(sound, {.format = at::kFloat})) << type;
    b[1] = nan;
    b[4] = -infinity;
    const auto broken = stored({{"a", a}, {"b", b}}, "broken");
    Pair pair;
    EXPECT_THAT([&] { map_weights(tensor_slots(pair), broken, "test", {}); },
                ::testing::ThrowsMessage<UserError>(
                    ::testing::HasSubstr("2 of the 5 numbers of tensor 'b' are NaN or infinite")))
        << type;
    EXPECT_TRUE(pair.a.is_meta()) << "nothing was taken";
    EXPECT_NO_THROW(map(broken, {.check_numbers = false}));
  }
}

TEST(MappedWeights, NonFiniteValuesAreCountedAcrossBlocksAndCores) {
  Tensor many = at::zeros({700'001}, at::kHalf);
  for (const int64_t at : {0, 511, 512, 262'143, 262'144, 700'000}) many[at] = std::numeric_limits<double>::quiet_NaN();
  const auto files = stored({{"many", many}}, "many");
  EXPECT_EQ(count_non_finite(*files.find("many")), 6);
  EXPECT_EQ(count_non_finite(*stored({{"many", many.fill_(65504)}}, "finite").find("many")), 0);
}

}  // namespace
}  // namespace tessera
