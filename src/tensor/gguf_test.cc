// GGUF files: what is written is read, and every fault of a file is named in one line.
#include "tensor/gguf.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/error.h"
#include "tensor/gguf_writer.h"
#include "tensor/model_dir.h"
#include "tests/fuzz/mutate.h"
#include "tests/support/scratch.h"

namespace tessera {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

class InMemory final : public WritableFile {
 public:
  void append(std::string_view bytes) override { text += bytes; }
  void sync() override {}
  void close() override {}
  std::string text;
};

GgufWriter small_writer() {
  GgufWriter writer;
  writer.set("general.architecture", "llama");
  writer.set("flag", true);
  writer.set("number", uint32_t{7});
  writer.set("fraction", 0.5f);
  writer.set("texts", std::vector<std::string_view>{"one", "", "three"});
  writer.set("numbers", std::vector<int32_t>{-1, 2});
  const auto fill = [](char with, size_t count) {
    return [=](WritableFile& file) { file.append(std::string(count, with)); };
  };
  writer.add("plain", *gguf_type("f32"), {2, 3}, fill('p', 24));
  writer.add("packed", *gguf_type("Q4_0"), {2, 64}, fill('q', 72));
  return writer;
}

std::string written(const GgufWriter& writer) {
  InMemory file;
  writer.write(file);
  return file.text;
}

/// `bytes` with `with` in place of what is at the first `what`.
std::string replaced(std::string bytes, std::string_view what, std::string_view with) {
  return bytes.replace(bytes.find(what), what.size(), with);
}

auto refusing(const std::string& bytes) {
  return [bytes] { parse_gguf(bytes, "m.gguf"); };
}

TEST(Gguf, WhatIsWrittenIsRead) {
  const std::string bytes = written(small_writer());
  const GgufFile file = parse_gguf(bytes, "m.gguf");
  EXPECT_EQ(file.version, 3u);
  EXPECT_EQ(file.find("general.architecture")->text(), "llama");
  EXPECT_EQ(file.find("flag")->whole(), 1);
  EXPECT_EQ(file.find("number")->whole(), 7);
  EXPECT_EQ(file.find("fraction")->number(), 0.5);
  EXPECT_THAT(*file.find("texts")->texts(), ElementsAre("one", "", "three"));
  EXPECT_THAT(*file.find("numbers")->numbers(), ElementsAre(-1, 2));
  EXPECT_EQ(file.find("absent"), nullptr);
  ASSERT_EQ(file.tensors.size(), 2u);
  EXPECT_EQ(file.tensors[0].name, "plain");
  EXPECT_THAT(file.tensors[0].shape, ElementsAre(2, 3));
  EXPECT_EQ(file.tensors[0].bytes, std::string(24, 'p'));
  EXPECT_EQ(file.tensors[1].blocks, "q4_0");
  EXPECT_EQ(file.tensors[1].bytes, std::string(72, 'q'));
}

TEST(Gguf, MetadataBecomesJsonWithoutLongArrays) {
  const std::string bytes = written(small_writer());
  const GgufFile file = parse_gguf(bytes, "m.gguf");
  EXPECT_EQ(gguf_json(file, 2).dump(),
            R"({"flag":true,"fraction":0.5,"general.architecture":"llama","number":7,"numbers":[-1,2]})");
  EXPECT_EQ(gguf_json(file)["texts"].dump(), R"(["one","","three"])");
}

TEST(Gguf, EveryTruncationIsRefused) {
  const std::string bytes = written(small_writer());
  const size_t last = bytes.size() - 24;  // what follows the last tensor is padding
  for (size_t length = 0; length < last; ++length)
    EXPECT_THROW(parse_gguf(std::string_view(bytes).substr(0, length), "m.gguf"), UserError) << length;
  parse_gguf(std::string_view(bytes).substr(0, last), "m.gguf");
}

TEST(Gguf, FaultsAreNamed) {
  const std::string bytes = written(small_writer());
  const auto refused = [&](std::string_view what, std::string_view with, const char* words) {
    EXPECT_THAT(refusing(replaced(bytes, what, with)),
                ThrowsMessage<UserError>(AllOf(HasSubstr("m.gguf"), HasSubstr(words))));
  };
  using namespace std::string_literals;
  refused("GGUF", "GGML", "does not begin with GGUF");
  refused("GGUF\3\0\0\0"s, "GGUF\0\0\0\3"s, "big-endian");
  refused("GGUF\3\0\0\0"s, "GGUF\1\0\0\0"s, "version 1, want 2 or 3");
  refused("\2\0\0\0\0\0\0\0\6\0"s, "\xff\xff\xff\xff\xff\xff\xff\0\6\0"s, "do not fit");
  refused("number\4\0\0\0"s, "number\15\0\0\0"s, "has a value of type 13");
  refused("numbers", "texts\0\0"s, "control characters");
  refused("fraction", "genera\nx", "control characters");
  refused("plain\2\0\0\0"s, "plain\5\0\0\0"s, "has 5 dimensions");
  refused("texts\11\0\0\0\10\0\0\0\3"s, "texts\11\0\0\0\10\0\0\0\377"s, "texts");
}

TEST(Gguf, TensorsThatOverlapOrAreOfUnknownTypeAreRefusedByName) {
  std::string bytes = written(small_writer());
  const size_t packed = bytes.find("packed") + 6 + 4 + 16;  // its type
  std::string unknown = bytes, overlapping = bytes, crooked = bytes;
  unknown[packed] = 99;
  EXPECT_THAT(refusing(unknown), ThrowsMessage<UserError>(HasSubstr("tensor 'packed' is of type 99")));
  overlapping[packed + 4] = 0;
  EXPECT_THAT(refusing(overlapping), ThrowsMessage<UserError>(HasSubstr("'plain' and 'packed' overlap")));
  crooked[packed + 4] = 33;
  EXPECT_THAT(refusing(crooked), ThrowsMessage<UserError>(HasSubstr("want a multiple of 32")));
}

TEST(Gguf, ArraysNestOnlySoDeep) {
  const auto nested = [](int depth) {
    std::string value;
    const auto put = [&](auto number) { value.append(reinterpret_cast<const char*>(&number), sizeof number); };
    for (int i = 0; i < depth; ++i) {
      put(uint32_t{9});
      put(uint64_t{1});
    }
    put(uint32_t{0});
    put(uint64_t{0});
    std::string bytes("GGUF\3\0\0\0\0\0\0\0\0\0\0\0\1\0\0\0\0\0\0\0\1\0\0\0\0\0\0\0k\11\0\0\0", 37);
    return bytes + value;
  };
  EXPECT_EQ(parse_gguf(nested(3), "m").metadata.size(), 1u);
  EXPECT_THAT(refusing(nested(4)), ThrowsMessage<UserError>(HasSubstr("nests arrays more than 4 deep")));
  EXPECT_THROW(parse_gguf(nested(100000), "m"), UserError);
}

TEST(Gguf, AnyPartOfASplitFileStandsForAllAndNoneMayBeMissing) {
  const tessera::testing::ScratchFolder scratch;
  const auto part = [&](int number, const char* tensor) {
    GgufWriter writer;
    if (number == 1) writer.set("general.architecture", "llama");
    writer.set("split.count", uint32_t{2});
    if (number == 1) writer.set("split.tensors.count", uint32_t{2});
    writer.add(tensor, *gguf_type("f32"), {2}, [](WritableFile& file) { file.append("12345678"); });
    write_file_atomically(scratch / ("m-0000" + std::to_string(number) + "-of-00002.gguf"), written(writer));
  };
  part(1, "a");
  EXPECT_THAT([&] { WeightSource(scratch / "m-00001-of-00002.gguf"); },
              ThrowsMessage<UserError>(AllOf(HasSubstr("m-00002-of-00002.gguf is missing"))));
  part(2, "b");
  for (const char* name : {"m-00001-of-00002.gguf", "m-00002-of-00002.gguf"}) {
    EXPECT_EQ(WeightSource(scratch / name).tensors().size(), 2u) << name;
    const ModelDirectory model = read_model_directory(scratch / name);
    EXPECT_EQ(model.model_type, "gguf.llama");
    EXPECT_EQ(model.weight_files.size(), 2u);
  }
  EXPECT_EQ(read_model_directory(scratch.path()).path, scratch / "m-00001-of-00002.gguf")
      << "a folder that holds one model";
  part(2, "a");
  EXPECT_THAT([&] { WeightSource(scratch / "m-00001-of-00002.gguf"); },
              ThrowsMessage<UserError>(HasSubstr("a second tensor 'a'")));
}

TEST(GgufFuzz, MutatedFilesAreReadOrRefusedInOneLine) {
  const std::vector<std::string> corpus = {written(small_writer())};
  using namespace std::string_literals;
  const std::vector<std::string> words = {"\xff\xff\xff\xff\xff\xff\xff\xff",
                                          "\0\0\0\0\0\0\0\0"s,
                                          "\11\0\0\0"s,
                                          "general.alignment",
                                          "split.count",
                                          "\1\0\0\0\0\0\0\0"s};
  int accepted = 0;
  for (uint64_t seed = 0; seed < 20000; ++seed) {
    Rng rng(seed, 15);
    const std::string bytes = tessera::testing::mutate(corpus, words, rng);
    try {
      const GgufFile file = parse_gguf(bytes, "m");
      gguf_json(file);
      for (const StoredTensor& tensor : file.tensors)
        ASSERT_TRUE(tensor.bytes.empty() || (tensor.bytes.data() >= bytes.data() &&
                                             tensor.bytes.data() + tensor.bytes.size() <= bytes.data() + bytes.size()));
      ++accepted;
    } catch (const UserError& error) {
      ASSERT_EQ(std::string(error.what()).find('\n'), std::string::npos) << error.what();
    }
  }
  EXPECT_GT(accepted, 100);
  EXPECT_LT(accepted, 19000);
}

}  // namespace
}  // namespace tessera
