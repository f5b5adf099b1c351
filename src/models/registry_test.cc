// Loading through the registry: every name is registered once, and a load reads each config once.
#include "models/registry.h"

#include <array>
#include <set>

#include <gmock/gmock.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "core/error.h"
#include "models/quantizable.h"
#include "tests/support/scratch.h"

namespace tessera {
namespace {

using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

/// Counts, from the kernel's own notes, how often a file is opened.
class Opens {
 public:
  explicit Opens(const Path& file) : notes_(::inotify_init1(IN_NONBLOCK)) {
    // Reads and closes are watched too, since equal notes that follow each other are delivered as one.
    const uint32_t what = IN_OPEN | IN_ACCESS | IN_CLOSE;
    if (notes_ < 0 || ::inotify_add_watch(notes_, file.c_str(), what) < 0) throw std::runtime_error("inotify");
  }
  ~Opens() { ::close(notes_); }
  Opens(const Opens&) = delete;
  Opens& operator=(const Opens&) = delete;

  int count() {
    alignas(inotify_event) std::array<char, 1 << 16> notes;
    const ssize_t bytes = ::read(notes_, notes.data(), notes.size());
    for (ssize_t at = 0; at < bytes;) {
      const auto* note = reinterpret_cast<const inotify_event*>(notes.data() + at);
      opens_ += (note->mask & IN_OPEN) != 0 ? 1 : 0;
      at += static_cast<ssize_t>(sizeof(inotify_event)) + note->len;
    }
    return opens_;
  }

 private:
  int notes_, opens_ = 0;
};

/// How often `load` opens each config.json of a model directory, by path. Works on a copy, which no other test reads.
template <class Load> std::map<std::string, int> config_reads(const Path& model, Load load) {
  const testing::ScratchFolder scratch;
  const Path directory = scratch / "model";
  std::filesystem::copy(model, directory, std::filesystem::copy_options::recursive);
  std::map<std::string, std::unique_ptr<Opens>> watched;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(directory)) {
    if (entry.path().filename() == "config.json")
      watched[entry.path().lexically_relative(directory).string()] = std::make_unique<Opens>(entry.path());
  }
  load(directory);
  std::map<std::string, int> reads;
  for (const auto& [path, opens] : watched) reads[path] = opens->count();
  return reads;
}

const Path root = TESSERA_SOURCE_DIR;

TEST(Registry, LoadingReadsEachConfigOnce) {
  const auto load = [](const Path& directory) { load_model(directory, at::kCPU); };
  using Reads = std::map<std::string, int>;
  EXPECT_EQ(config_reads(root / "models/books-lm", load), (Reads{{"config.json", 1}}));
  EXPECT_EQ(config_reads(root / "models/emoji-nvila", load), (Reads{{"config.json", 1}}));
  EXPECT_EQ(config_reads(root / "models/emoji-infinity", load), (Reads{{"codec/config.json", 1}, {"config.json", 1}}));
  EXPECT_EQ(config_reads(root / "tests/golden/data/nvila-legacy", load), (Reads{{"config.json", 1},
                                                                                {"llm/config.json", 1},
                                                                                {"mm_projector/config.json", 1},
                                                                                {"vision_tower/config.json", 1}}));
}

TEST(Registry, LoadingForPackingReadsEachConfigOnce) {
  const auto load = [](const Path& directory) { load_quantizable(directory, at::kCPU); };
  for (const auto& [path, reads] : config_reads(root / "models/books-lm", load)) EXPECT_EQ(reads, 1) << path;
  for (const auto& [path, reads] : config_reads(root / "tests/golden/data/nvila-legacy", load))
    EXPECT_EQ(reads, 1) << path;
}

TEST(Registry, EveryNameIsRegisteredOnce) {
  std::set<std::string> types, objectives;
  for (const ModelRegistration& model : registered_models()) {
    for (const std::string& type : model.model_types) EXPECT_TRUE(types.insert(type).second) << type;
    for (const ObjectiveRegistration& one : model.objectives) {
      EXPECT_TRUE(objectives.insert(one.name).second) << one.name;
      EXPECT_NE(one.make, nullptr) << one.name;
    }
    EXPECT_EQ(model.model_types.empty(), model.load == nullptr);
  }
}

TEST(Registry, ATypeThatIsUnknownOrCannotBePackedNamesThoseThatCan) {
  const testing::ScratchFolder scratch;
  std::filesystem::copy(root / "models/books-lm", scratch / "m");
  Json config = read_json_file(scratch / "m/config.json");
  config["model_type"] = "mamba";
  write_file_atomically(scratch / "m/config.json", config.dump());
  EXPECT_THAT([&] { load_model(scratch / "m", at::kCPU); },
              ThrowsMessage<UserError>(
                  HasSubstr("has model_type 'mamba', want one of: gemma, gemma2, gemma3_text, infinity, ")));
  EXPECT_THAT([&] { models::objective_of(read_model_directory(scratch / "m")); },
              ThrowsMessage<UserError>(HasSubstr("want one that can be trained: ")));
  EXPECT_THAT([&] { load_quantizable(scratch / "m", at::kCPU); },
              ThrowsMessage<UserError>(HasSubstr("has model_type 'mamba', want one that can be packed: gemma, ")));
}

TEST(Registry, AnUnknownObjectiveNamesTheNearest) {
  EXPECT_THAT([] { models::objective("codek"); }, ThrowsMessage<UserError>(HasSubstr("did you mean 'codec'?")));
}

}  // namespace
}  // namespace tessera
