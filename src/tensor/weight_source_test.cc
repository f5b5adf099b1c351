// Sources of weights: the format by content, names as the module has them, and everything that is wrong by file and tensor.
#include "tensor/weight_source.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <ATen/ops/ones.h>
#include <ATen/ops/zeros.h>

#include "core/error.h"
#include "tensor/weights.h"
#include "tests/support/scratch.h"

namespace tessera {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

std::vector<std::string> names(const WeightSource& source) {
  std::vector<std::string> all;
  for (const auto& [name, tensor] : source.tensors()) all.push_back(name);
  return all;
}

Path saved(const Path& file, const std::vector<std::string>& tensors) {
  std::vector<NamedTensor> all;
  for (const std::string& name : tensors) all.push_back({name, at::ones({2}) * static_cast<double>(all.size())});
  save_tensors(file, all);
  return file;
}

TEST(WeightSource, NamesAreMappedAndUnusedTensorsLeftOut) {
  const tessera::testing::ScratchFolder scratch;
  const WeightSource source(saved(scratch / "m.safetensors", {"llm.a", "llm.b", "tower.a", "old.table"}));
  EXPECT_THAT(names(source.part("llm.")), ElementsAre("a", "b"));
  const WeightSource mapped = source.renamed([](std::string_view name) {
    if (name == "old.table") return std::string();
    return name.starts_with("llm.") ? "lm." + std::string(name.substr(4)) : std::string(name);
  });
  EXPECT_THAT(names(mapped), ElementsAre("lm.a", "lm.b", "tower.a"));
  EXPECT_EQ(mapped.find("lm.b")->name, "llm.b") << "messages can name the tensor as the file does";
  EXPECT_EQ(mapped.find("lm.b")->bytes, source.find("llm.b")->bytes);
}

TEST(WeightSource, TwoTensorsOfOneNameAreRefusedWithBothOfTheirs) {
  const tessera::testing::ScratchFolder scratch;
  const WeightSource source(saved(scratch / "m.safetensors", {"a", "b"}));
  EXPECT_THAT([&] { source.renamed([](std::string_view) { return "same"; }); },
              ThrowsMessage<UserError>(AllOf(HasSubstr("m.safetensors: tensors 'a' and 'b' are both 'same'"))));
  EXPECT_THAT(
      [&] {
        WeightSource::joined("all", {source, WeightSource(saved(scratch / "n.safetensors", {"b"}))});
      },
      ThrowsMessage<UserError>(HasSubstr("n.safetensors: a second tensor 'b'")));
}

TEST(WeightSource, AFileThatIsNotWhatItsNameSaysIsToldSo) {
  const tessera::testing::ScratchFolder folder;
  const auto fault = [&](const std::string& name, const std::string& bytes) -> std::string {
    write_file_atomically(folder / name, bytes);
    try {
      WeightSource source(folder / name);
    } catch (const UserError& error) {
      return error.what();
    }
    return "accepted";
  };
  for (const std::string& bytes : {std::string("GGU"), std::string(40, '\0'), std::string("PK\3")}) {
    EXPECT_THAT(fault("a.gguf", bytes), HasSubstr("a.gguf is no GGUF file"));
    EXPECT_THAT(fault("a.pth", bytes), HasSubstr("a.pth is no file of torch.save"));
    EXPECT_THAT(fault("a.safetensors", bytes), HasSubstr("[safetensors]"));
  }
  EXPECT_EQ(fault("really-safetensors.bin", read_file(saved(folder / "a.safetensors", {"w"}))), "accepted");
}

TEST(WeightSource, TensorsOutliveTheSourceTheyCameFrom) {
  const tessera::testing::ScratchFolder scratch;
  StoredTensor kept;
  {
    const WeightSource source(saved(scratch / "m.safetensors", {"a", "b"}));
    kept = *source.part("").find("b");
  }
  std::filesystem::remove(scratch / "m.safetensors");
  EXPECT_TRUE(mapped_tensor(kept).equal(at::ones({2})));
}

/// A format of this test alone: "TOY1", then one tensor "only" of bytes, which are blocks of a packing called "toy".
class ToyFormat : public ::testing::Test {
 protected:
  ToyFormat() {
    weight_formats().insert(
        weight_formats().begin(),
        WeightFormat{
            .name = "toy",
            .recognises = [](std::string_view bytes) { return bytes.starts_with("TOY1"); },
            .read =
                [](std::string_view bytes, std::string_view source) {
                  if (bytes.size() < 5) throw UserError("[toy] {}: tensor 'only' is cut off", source);
                  StoredFile file{.metadata = {{"name", "toy"}, {"tokens", {"a", "b"}}}};
                  file.tensors.push_back(
                      {.name = "only", .dtype = Dtype::u8, .blocks = "toy", .shape = {2, 4}, .bytes = bytes.substr(4)});
                  return file;
                }});
  }
  ~ToyFormat() override { weight_formats().erase(weight_formats().begin()); }
  tessera::testing::ScratchFolder scratch_;
};

TEST_F(ToyFormat, AFurtherFormatIsPickedByItsContentWhateverTheFileIsCalled) {
  write_file_atomically(scratch_ / "model.safetensors", "TOY1xyz");
  const WeightSource source(scratch_.path());
  EXPECT_THAT(names(source), ElementsAre("only"));
  EXPECT_EQ(source.find("only")->bytes, "xyz");
  EXPECT_EQ(source.metadata()["tokens"][1], "b");
  EXPECT_THAT(names(WeightSource(saved(scratch_ / "plain.toy", {"a"}))), ElementsAre("a"));
}

TEST_F(ToyFormat, ReadersAndModulesNameFileAndTensor) {
  write_file_atomically(scratch_ / "t", "TOY1");
  EXPECT_THAT([&] { WeightSource(scratch_ / "t"); },
              ThrowsMessage<UserError>(AllOf(HasSubstr("/t: tensor 'only' is cut off"))));
  write_file_atomically(scratch_ / "t", "TOY1xyz");
  EXPECT_THAT(
      [&] {
        require_agreement({{"only", at::zeros({2, 4})}}, WeightSource(scratch_ / "t"), "test");
      },
      ThrowsMessage<UserError>(AllOf(HasSubstr("/t does not fit"), HasSubstr("only: got toy, want F32"))))
      << "blocks of a packing are no plain numbers";
}

}  // namespace
}  // namespace tessera
