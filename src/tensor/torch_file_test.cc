// Files of torch.save: what torch.load reads from them is read, and every fault is named in one line.
#include "tensor/torch_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/error.h"
#include "tensor/pickle.h"
#include "tensor/zip_records.h"
#include "tests/fuzz/mutate.h"
#include "tests/support/scratch.h"

namespace tessera {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::ThrowsMessage;

Path golden(const std::string& name) { return Path(TESSERA_SOURCE_DIR) / "tests/golden/data/torch" / name; }

class Golden : public ::testing::TestWithParam<std::string> {};

TEST_P(Golden, TensorsAreThoseOfTorchLoad) {
  const WeightSource got(golden(GetParam() + ".pth")), want(golden(GetParam() + ".safetensors"));
  EXPECT_EQ(got.tensors().size(), want.tensors().size());
  for (const auto& [name, tensor] : want.tensors()) {
    const StoredTensor* found = got.find(name);
    ASSERT_NE(found, nullptr) << name;
    EXPECT_EQ(found->dtype, tensor.dtype) << name;
    EXPECT_EQ(found->shape, tensor.shape) << name;
    EXPECT_EQ(found->bytes, tensor.bytes) << name;
  }
}

INSTANTIATE_TEST_SUITE_P(Files, Golden, ::testing::Values("views", "types", "module", "dump"),
                         [](const auto& info) { return info.param; });

TEST(TorchFile, PlainValuesAtTheTopAreMetadata) {
  const Json metadata = read_weight_file(golden("dump.pth")).metadata;
  EXPECT_EQ(metadata,
            (Json{{"epoch", 3}, {"iter", int64_t{1} << 40}, {"lr", 2.5e-4}, {"name", "run"}, {"ema", false}}));
}

TEST(TorchFile, ContiguousNumbersAreViewsOfTheFile) {
  const std::string bytes = read_file(golden("views.pth"));
  for (const StoredTensor& tensor : read_torch(bytes, "views.pth").tensors) {
    const bool inside = tensor.bytes.data() >= bytes.data() && tensor.bytes.data() < bytes.data() + bytes.size();
    const bool dense =
        tensor.name != "turned" && tensor.name != "part" && tensor.name != "stepped" && tensor.name != "deep";
    EXPECT_EQ(inside, dense) << tensor.name;
  }
}

TEST(TorchFile, FilesFromBeforeItsZipFormAreNamed) {
  EXPECT_THAT(
      [] { WeightSource(golden("old.pth")); },
      ThrowsMessage<UserError>(AllOf(HasSubstr("old.pth was saved as before PyTorch 1.6"), Not(HasSubstr("\n")))));
}

TEST(TorchFile, StandsInADirectoryAsPytorchModelBin) {
  const testing::ScratchFolder folder;
  std::filesystem::copy_file(golden("module.pth"), folder / "pytorch_model.bin");
  EXPECT_EQ(WeightSource(folder / "").tensors().size(), 4u);
}

/// A pickle of opcodes after the protocol's.
std::string pickled(std::string_view opcodes) { return "\x80\x02" + std::string(opcodes) + "."; }
std::string text(std::string_view words) {
  return "X" + std::string(1, static_cast<char>(words.size())) + std::string(3, '\0') + std::string(words);
}
/// A storage of `count` floats in member data/0.
std::string storage(char count, std::string_view type = "FloatStorage", std::string_view key = "0") {
  return "(" + text("storage") + "ctorch\n" + std::string(type) + "\n" + text(key) + text("cpu") + "K" + count + "tQ";
}
std::string tensor(const std::string& storage, std::string_view rest) {
  return "ctorch._utils\n_rebuild_tensor_v2\n(" + storage + std::string(rest) + "tR";
}

/// A zip archive of stored members.
std::string zipped(const std::vector<std::pair<std::string, std::string>>& members, uint16_t method = 0) {
  const auto number = [](uint64_t value, int bytes) {
    std::string digits;
    for (int i = 0; i < bytes; ++i) digits += static_cast<char>(i < 8 ? value >> (8 * i) : 0);
    return digits;
  };
  std::string all, directory;
  for (const auto& [name, content] : members) {
    const std::string common = number(0, 2) + number(method, 2) + number(0, 8) + number(content.size(), 4) +
                               number(content.size(), 4) + number(name.size(), 2);
    directory += "PK\1\2" + number(20, 2) + number(20, 2) + common + number(0, 12) + number(all.size(), 4) + name;
    all += "PK\3\4" + number(20, 2) + common + number(3, 2) + name + "pad" + content;
  }
  const size_t begin = all.size();
  return all + directory + "PK\5\6" + number(0, 4) + number(members.size(), 2) + number(members.size(), 2) +
         number(directory.size(), 4) + number(begin, 4) + number(0, 2);
}
std::string archive(const std::string& pickle, const std::string& numbers = std::string(24, '\1')) {
  return zipped({{"a/data.pkl", pickle}, {"a/data/0", numbers}});
}
std::string refusal(const std::string& bytes) {
  try {
    read_torch(bytes, "a.pth");
  } catch (const UserError& error) {
    return error.what();
  }
  return "accepted";
}

TEST(TorchFile, FaultsAreNamed) {
  using namespace std::string_literals;
  const std::string six = storage(6), good = "}" + text("w") + tensor(six, "K\0K\2K\3\x86K\3K\1\x86"s) + "s";
  EXPECT_EQ(refusal(archive(pickled(good))), "accepted");
  const std::vector<std::pair<std::string, std::string>> cases{
      {archive(pickled("}" + text("w") + tensor(six, "K\1K\2K\3\x86K\3K\1\x86"s) + "s")), "'w' of shape [2, 3] at 1"},
      {archive(pickled("}" + text("w") + tensor(six, "K\0K\2K\3\x86K\0K\0\x86"s) + "s")), "accepted"},
      {archive(pickled("}" + text("w") + tensor(six, "K\0K\xffK\3\x86K\0K\0\x86"s) + "s")),
       "several times (an expanded tensor)"},
      {archive(pickled("}" + text("w") + tensor(six, "K\0J\xff\xff\xff\xff\x85K\1\x85"s) + "s")), "does not fit"},
      {archive(pickled("}" + text("w") + tensor(six, "K\0K\0J\xff\xff\xff\xff\x86K\1K\1\x86"s) + "s")), "does not fit"},
      {archive(pickled("}" + text("w") + tensor(storage(7), "K\0K\1\x85K\1\x85"s) + "s")),
       "told to be among 7 numbers of 4 bytes, but member data/0 has 24 bytes"},
      {archive(pickled("}" + text("w") + tensor(storage(6, "FloatStorage", "1"), "K\0K\1\x85K\1\x85"s) + "s")),
       "member data/1, which is missing"},
      {archive(pickled("}" + text("w") + tensor(storage(3, "ComplexFloatStorage"), "K\0K\1\x85K\1\x85"s) + "s")),
       "stored as torch.ComplexFloatStorage"},
      {archive(pickled("}" + text("w") + "cos\nsystem\n" + text("true") + "\x85Rs")),
       "'w' is made by os.system, which weights do not need; nothing is run"},
      {archive(pickled("cos\nsystem\n" + text("true") + "\x85R")), "it is made by os.system"},
      {archive(pickled("}")), "holds no tensors"},
      {archive(pickled("i")), "opcode 0x69, which files of weights do not have"},
      {archive("\x80\4."s), "stands protocol 4, want at most 2"},
      {archive(pickled("h\7"s)), "memo 7 was never written"},
      {archive(pickled("]q\1h\1a"s)), "contain each other"},
      {archive(pickled("(}u")), "nothing is on the stack"},
      {archive(pickled("s")), "nothing is on the stack"},
      {archive("\x80\2X\xff\xff\xff\x7f"s), "bytes are wanted"},
      {archive("\x80\2}"s), "1 bytes are wanted, 0 are left"},
      {zipped({{"a/x", "y"}}), "without data.pkl"},
      {zipped({{"a/data.pkl", pickled(good)}, {"b/data.pkl", pickled(good)}}), "two pickles"},
      {zipped({{"a/data.pkl", pickled(good)}, {"a/byteorder", "big"}}), "byte order 'big'"},
      {zipped({{"a/data.pkl", pickled("}")}, {"a/constants.pkl", ""}}), "TorchScript program"},
      {zipped({{"a/data.pkl", pickled(good)}}, 8), "is compressed"},
      {zipped({{"a/data.pkl", "x"}, {"a/data.pkl", "y"}}), "a second member 'a/data.pkl'"},
  };
  for (const auto& [bytes, want] : cases) EXPECT_THAT(refusal(bytes), AllOf(HasSubstr(want), Not(HasSubstr("\n"))));
}

TEST(TorchFile, ManyReferencesToOneObjectEndEarly) {
  std::string opcodes = "]q";
  opcodes += '\0';
  for (char depth = 1; depth < 30; ++depth) {  // each list holds the one before twice: 2^30 ways to the first
    const char before = static_cast<char>(depth - 1);
    opcodes += std::string("]q") + depth + "(h" + before + "h" + before + "e";
  }
  EXPECT_THAT(refusal(archive(pickled(opcodes))), HasSubstr("contain each other"));
}

TEST(TorchFile, CutFilesAndMutatedOnesAreReadOrRefusedInOneLine) {
  const std::vector<std::string> words{
      "PK\3\4", "PK\5\6", "PK\6\6", "PK\6\7", "storage", "\xff\xff\xff\xff", "ctorch\nFloatStorage\n", "h", "(",
      "t",      "R",      "Q",      "u",      "."};
  std::vector<std::string> corpus;
  for (const char* name : {"views.pth", "dump.pth", "module.pth"}) corpus.push_back(read_file(golden(name)));
  for (const std::string& whole : corpus) {
    for (size_t size = 0; size < whole.size(); size += 41)
      EXPECT_NE(refusal(whole.substr(0, size)), "accepted") << size;
  }
  Rng rng(17);
  size_t accepted = 0;
  for (int i = 0; i < 4000; ++i) {
    const std::string said = refusal(testing::mutate(corpus, words, rng));
    accepted += said == "accepted" ? 1 : 0;
    ASSERT_EQ(said.find('\n'), std::string::npos) << said;
  }
  EXPECT_GT(accepted, 0u);
}

TEST(Zip, Zip64NumbersAreRead) {
  // Written by Python's zipfile with force_zip64: sizes and offset stand in the extra field.
  const std::string name = "a", content = "numbers";
  const auto number = [](uint64_t value, int bytes) {
    std::string digits;
    for (int i = 0; i < bytes; ++i) digits += static_cast<char>(i < 8 ? value >> (8 * i) : 0);
    return digits;
  };
  const std::string local = "PK\3\4" + number(45, 2) + number(0, 12) + number(0xFFFFFFFF, 4) + number(0xFFFFFFFF, 4) +
                            number(1, 2) + number(20, 2) + name + number(1, 2) + number(16, 2) +
                            number(content.size(), 8) + number(content.size(), 8);
  const std::string entry = "PK\1\2" + number(45, 2) + number(45, 2) + number(0, 12) + number(0xFFFFFFFF, 4) +
                            number(0xFFFFFFFF, 4) + number(1, 2) + number(28, 2) + number(0, 10) +
                            number(0xFFFFFFFF, 4) + name + number(1, 2) + number(24, 2) + number(content.size(), 8) +
                            number(content.size(), 8) + number(0, 8);
  const uint64_t begin = local.size() + content.size();
  const std::string end64 = "PK\6\6" + number(44, 8) + number(45, 2) + number(45, 2) + number(0, 8) + number(1, 8) +
                            number(1, 8) + number(entry.size(), 8) + number(begin, 8);
  const std::string locator = "PK\6\7" + number(0, 4) + number(begin + entry.size(), 8) + number(1, 4);
  const std::string end = "PK\5\6" + number(0, 4) + number(0xFFFF, 2) + number(0xFFFF, 2) + number(0xFFFFFFFF, 4) +
                          number(0xFFFFFFFF, 4) + number(0, 2);
  EXPECT_EQ(zip_records(local + content + entry + end64 + locator + end, "z").at("a"), content);
}

}  // namespace
}  // namespace tessera
