// `tessera inspect` on models, files, runs and other things; it loads no LibTorch.
#include "apps/inspect.h"

#include <gmock/gmock.h>
#include <unistd.h>

#include "tensor/checkpoint.h"
#include "tensor/safetensors.h"
#include "tests/support/process.h"

namespace tessera::apps {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

void write_weights(const Path& file) {
  const std::string half(2 * 12, '\0'), whole(8 * 3, '\0');
  SafetensorsWriter writer;
  writer.add("block.weight", Dtype::f16, {4, 3}, half);
  writer.add("steps", Dtype::i64, {3}, whole);
  writer.set_metadata({{"recipe", "small"}});
  const auto out = disk().create(file);
  writer.write(*out);
  out->close();
}

void write_model(const Path& directory, const std::string& type) {
  std::filesystem::create_directories(directory);
  write_weights(directory / "model.safetensors");
  write_file_atomically(directory / "config.json",
                        "{\"model_type\": \"" + type + "\", \"width\": 64, \"scales\": [1, 2]}");
}

class Inspect : public ::testing::Test {
 protected:
  Inspect() {
    std::string name = (std::filesystem::temp_directory_path() / "inspect-XXXXXX").string();
    home_ = ::mkdtemp(name.data());
  }
  ~Inspect() override { std::filesystem::remove_all(home_); }

  Path checkpoint(int64_t step) const { return home_ / "checkpoints" / fmt::format("step-{}", step); }
  void save_checkpoint(int64_t step) const {
    CheckpointStore(home_ / "checkpoints").save(step, [](const Path& folder, FileSystem&) {
      write_file_atomically(folder / "state", "ten bytes.");
    });
  }

  Path home_;
};

TEST_F(Inspect, AWeightsFileShowsCountsFormatsAndMetadata) {
  write_weights(home_ / "w.safetensors");
  const Json report = inspect(home_ / "w.safetensors", true);
  EXPECT_EQ(report["kind"], "weights");
  EXPECT_EQ(report["parameters"], 15);
  EXPECT_EQ(report["bytes"], std::filesystem::file_size(home_ / "w.safetensors"));
  EXPECT_EQ(report["dtypes"]["F16"], 12);
  EXPECT_EQ(report["dtypes"]["I64"], 3);
  EXPECT_EQ(report["tensors"][0]["name"], "block.weight");
  EXPECT_EQ(report["tensors"][0]["shape"], Json::array({4, 3}));
  EXPECT_EQ(report["metadata"]["recipe"], "small");
}

TEST_F(Inspect, PackedLayersCountAsTheirUnpackedWeights) {
  const std::string bytes(1024, '\0');
  SafetensorsWriter writer;
  const auto add = [&](const char* name, Dtype dtype, std::vector<int64_t> shape) {
    const auto size = static_cast<uint64_t>(scalar_count(shape)) * dtype_size(dtype);
    writer.add(name, dtype, std::move(shape), std::string_view(bytes).substr(0, size));
  };
  add("q.qweight", Dtype::i32, {32, 2});
  add("q.qzeros", Dtype::i32, {2, 2});
  add("q.scales", Dtype::f16, {2, 16});
  add("v.weight", Dtype::i8, {8, 4});
  add("v.weight_scale", Dtype::f32, {8, 1});
  add("norm.weight", Dtype::f16, {32});
  add("other.scales", Dtype::f16, {5});
  const auto out = disk().create(home_ / "w.safetensors");
  writer.write(*out);
  out->close();
  const Json report = inspect(home_ / "w.safetensors", false);
  EXPECT_EQ(report["parameters"], 32 * 16 + 8 * 4 + 32 + 5);
  EXPECT_EQ(report["packed"],
            (Json{{"int4", {{"layers", 1}, {"parameters", 512}}}, {"int8", {{"layers", 1}, {"parameters", 32}}}}));
  EXPECT_THAT(inspect_text(report), HasSubstr("int4: 512 parameters in 1 layers"));
}

TEST_F(Inspect, FormatsThatCannotBeReadAreListed) {
  const std::string bytes(64, '\0');
  SafetensorsWriter writer;
  writer.add("a.complex", Dtype::c64, {2, 2}, std::string_view(bytes).substr(0, 32));
  writer.add("b.scale", Dtype::f8_e8m0, {3}, std::string_view(bytes).substr(0, 3));
  writer.add("c.codes", Dtype::f4, {2, 3}, std::string_view(bytes).substr(0, 3));
  writer.add("d.codes", Dtype::f6_e2m3, {4}, std::string_view(bytes).substr(0, 3));
  writer.add("e.fnuz", Dtype::f8_e4m3fnuz, {5}, std::string_view(bytes).substr(0, 5));
  const auto out = disk().create(home_ / "w.safetensors");
  writer.write(*out);
  out->close();
  const Json report = inspect(home_ / "w.safetensors", true);
  EXPECT_EQ(report["dtypes"], (Json{{"C64", 4}, {"F4", 6}, {"F6_E2M3", 4}, {"F8_E4M3FNUZ", 5}, {"F8_E8M0", 3}}));
  EXPECT_THAT(inspect_text(report), HasSubstr("F8_E8M0"));
}

TEST_F(Inspect, AnAdapterShowsItsConfigAndItsTensors) {
  write_weights(home_ / "adapter_model.safetensors");
  write_file_atomically(home_ / "adapter_config.json", R"({"peft_type": "LORA", "r": 4})");
  const Json report = inspect(home_, false);
  EXPECT_EQ(report["kind"], "adapter");
  EXPECT_EQ(report["config"]["r"], 4);
  EXPECT_EQ(report["parameters"], 15);
}

TEST_F(Inspect, ADrawingModelShowsItsConfigAndItsCodec) {
  write_model(home_ / "m", "infinity");
  write_model(home_ / "m/codec", "bsq_codec");
  const Json report = inspect(home_ / "m", false);
  EXPECT_EQ(report["model_type"], "infinity");
  EXPECT_EQ(report["config"]["width"], 64);
  EXPECT_EQ(report["tensors"], 2);
  EXPECT_EQ(report["codec"]["model_type"], "bsq_codec");
}

TEST_F(Inspect, AFolderOfReleasedFilesSaysWhatItHolds) {
  std::filesystem::create_directories(home_ / "shards");
  write_weights(home_ / "shards/model.safetensors");
  write_weights(home_ / "vae.pth");
  write_model(home_ / "text", "t5");
  const Json report = inspect(home_, false);
  EXPECT_EQ(report["kind"], "folder");
  ASSERT_EQ(report["parts"].size(), 3u);
  EXPECT_EQ(report["parts"][0]["path"], (home_ / "shards").string());
  EXPECT_EQ(report["parts"][0]["parameters"], 15);
  EXPECT_EQ(report["parts"][1]["model_type"], "t5");
  EXPECT_EQ(report["parts"][2]["kind"], "weights");
  EXPECT_THAT(inspect_text(report), ::testing::AllOf(HasSubstr("3 parts with weights"), HasSubstr("vae.pth: ")));
}

TEST_F(Inspect, AModelSaysWhatItKnows) {
  write_model(home_, "infinity");
  write_file_atomically(home_ / "recipe.toml", "knows = \"red and \\u001b[2J blue\"\n");
  EXPECT_THAT(inspect_text(inspect(home_, false)), HasSubstr("\nknows red and  [2J blue\n"));
  write_file_atomically(home_ / "recipe.toml", "knows = [broken");
  EXPECT_EQ(inspect(home_, false)["kind"], "model") << "notes that cannot be read do no harm";
}

TEST_F(Inspect, AModelThatKeepsItsRecipeIsStillAModel) {
  write_model(home_ / "m", "infinity");
  write_file_atomically(home_ / "m" / "recipe.toml", "[train]\nsteps = 30\n");
  EXPECT_EQ(inspect(home_ / "m", false)["model_type"], "infinity");
}

TEST_F(Inspect, ARunShowsTheNewestMetricsAndOnlyCompleteCheckpoints) {
  write_file_atomically(home_ / "recipe.toml", "[train]\nsteps = 30\n");
  write_file_atomically(home_ / "metrics.jsonl",
                        "{\"step\":10,\"loss\":2.5,\"psnr\":20}\n{\"step\":20,\"loss\":1.5}\n{\"step\":30,\"lo");
  save_checkpoint(10);
  save_checkpoint(30);
  std::filesystem::create_directories(checkpoint(20));
  std::filesystem::rename(checkpoint(30), home_ / "checkpoints/step-30.partial");
  const Json report = inspect(home_, false);
  EXPECT_EQ(report["kind"], "run");
  EXPECT_EQ(report["step"], 20);
  EXPECT_EQ(report["metrics"]["loss"], 1.5);
  EXPECT_EQ(report["metrics"]["psnr"], 20);
  EXPECT_THAT(report["checkpoints"].get<std::vector<int64_t>>(), ElementsAre(10));
  EXPECT_EQ(report["recipe"]["train"]["steps"], 30);
}

TEST_F(Inspect, ARecipeIsShownWithoutTheKindsOfDataThatItDoesNotUse) {
  write_file_atomically(home_ / "recipe.toml",
                        "[data]\nkind = 'mixture'\n[data.emoji]\nsize = 64\n"
                        "[[data.mixture]]\nkind = 'talk'\nweight = 0.5\n[data.mixture.talk]\nturns = 4\n"
                        "[data.mixture.talk.emoji]\nkind = 'sprite'\n[data.mixture.text]\nlength = 256\n"
                        "[[data.mixture]]\nkind = 'text'\n[data.mixture.text]\nlength = 128\n"
                        "[train.schedule]\nkind = 'wsd'\n[train.optimizer]\nclip = 1\n");
  const Json report = inspect(home_, false);
  EXPECT_TRUE(report["recipe"]["data"].contains("emoji")) << "programs get all of it";
  const Json want = parse_json(R"({"data":{"kind":"mixture","mixture":{
      "0":{"kind":"talk","weight":0.5,"talk":{"turns":4,"emoji":{"kind":"sprite"}}},"1":{"kind":"text","text":{"length":128}}}},
      "train":{"schedule":{"kind":"wsd"},"optimizer":{"clip":1}}})",
                               "recipe");
  EXPECT_EQ(nlohmann::json(used_settings(report["recipe"])), nlohmann::json(want));
  EXPECT_THAT(inspect_text(report),
              AllOf(HasSubstr("length  128"), Not(HasSubstr("length  256")), HasSubstr("turns  4")));
}

TEST_F(Inspect, ListsTheCheckpointsThatARunWouldResumeFrom) {
  write_file_atomically(home_ / "recipe.toml", "");
  const CheckpointStore store(home_ / "checkpoints");
  const auto listed = [&] { return inspect(home_, false)["checkpoints"].get<std::vector<int64_t>>(); };
  const auto agrees = [&](std::vector<int64_t> steps) {
    EXPECT_EQ(listed(), steps);
    EXPECT_EQ(store.latest(), checkpoint(steps.back()));
  };
  save_checkpoint(10);
  save_checkpoint(20);
  agrees({10, 20});
  write_file_atomically(checkpoint(20) / "notes.txt", "a file that DONE does not list does no harm");
  agrees({10, 20});
  std::filesystem::resize_file(checkpoint(20) / "state", 9);
  agrees({10});
  save_checkpoint(20);
  std::filesystem::remove(checkpoint(20) / "state");
  agrees({10});
  save_checkpoint(20);
  write_file_atomically(checkpoint(20) / "DONE", "");
  agrees({10});
}

TEST_F(Inspect, TheTextOutputNamesEverythingInTheTree) {
  write_model(home_ / "m", "infinity");
  const std::string page = inspect_text(inspect(home_ / "m", true));
  EXPECT_THAT(page, HasSubstr("infinity, 15 parameters (F16, I64) in 2 tensors"));
  EXPECT_THAT(page, HasSubstr("  block.weight  F16      [4, 3]\n"));
  EXPECT_THAT(page, HasSubstr("  scales      [1,2]\n"));
}

TEST_F(Inspect, NamesFromAFileAreShownWithoutControlCharacters) {
  write_model(home_ / "m", "evil\\u001b[2J");
  EXPECT_THAT(inspect_text(inspect(home_ / "m", false)), Not(HasSubstr("\x1b")));
}

TEST_F(Inspect, MalformedTargetsAreUserErrors) {
  EXPECT_THROW(inspect(home_ / "absent", false), UserError);
  EXPECT_THROW(inspect(home_, false), UserError);  // an empty directory
  write_weights(home_ / "w.safetensors");
  std::filesystem::resize_file(home_ / "w.safetensors", 100);
  EXPECT_THROW(inspect(home_ / "w.safetensors", false), UserError);
  write_file_atomically(home_ / "recipe.toml", "not toml");
  EXPECT_THROW(inspect(home_, false), UserError);
}

TEST_F(Inspect, TheVerbPrintsOneJsonObjectAndLoadsNoLibTorch) {
  write_model(home_ / "m", "infinity");
  const auto finished = testing::tessera({"inspect", (home_ / "m").string(), "--json"}, {"LD_DEBUG=files"});
  EXPECT_EQ(finished.status, 0);
  EXPECT_EQ(parse_json(finished.out, "output")["parameters"], 15);
  EXPECT_THAT(finished.err, Not(HasSubstr("libtorch")));
  const auto absent = testing::tessera({"inspect", (home_ / "absent").string()});
  EXPECT_EQ(absent.status, 2);
  EXPECT_EQ(absent.err, "tessera inspect: [inspect] " + (home_ / "absent").string() + " does not exist\n");
}

TEST_F(Inspect, AMissingRunIsNothingToPull) {
  EXPECT_THAT(testing::tessera({"inspect", "org/absent"}).err, HasSubstr("`tessera pull org/absent` fetches it"));
  const std::vector<std::vector<std::string>> all = {
      {"--plot"}, {"--metric", "loss"}, {"--report", (home_ / "run.html").string()}};
  for (const std::vector<std::string>& drawn : all) {
    std::vector<std::string> words = {"inspect", "org/absent"};
    words.insert(words.end(), drawn.begin(), drawn.end());
    const auto absent = testing::tessera(words);
    EXPECT_EQ(absent.status, 2);
    EXPECT_THAT(absent.err, HasSubstr("[inspect] org/absent does not exist; --plot, --metric and --report want"));
    EXPECT_THAT(absent.err, Not(HasSubstr("pull")));
  }
}

}  // namespace
}  // namespace tessera::apps
