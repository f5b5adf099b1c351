// See checkpoint_fixture.h. Reading goes through the same reader as training's resume: SafetensorsFile.
#include "tests/faults/checkpoint_fixture.h"

#include "core/rng.h"
#include "tensor/safetensors.h"

namespace tessera::testing {

namespace {
/// Never zero, so that lost bytes that read as zeros are noticed.
std::string noise(int64_t step, uint64_t stream, size_t size) {
  Rng rng(static_cast<uint64_t>(step), stream);
  std::string bytes;
  while (bytes.size() < size) bytes += static_cast<char>(1 + rng.below(255));
  return bytes;
}

constexpr size_t weight_bytes = 600, moment_bytes = 300, note_bytes = 40;
}  // namespace

void fill_checkpoint(int64_t step, const Path& folder, FileSystem& files) {
  const std::string weights = noise(step, 0, weight_bytes), moments = noise(step, 1, moment_bytes);
  write_file_atomically(
      folder / "state.safetensors",
      [&](WritableFile& file) {
        SafetensorsWriter writer;
        writer.add("weight", Dtype::u8, {static_cast<int64_t>(weight_bytes)}, weights);
        writer.set_metadata({{"step", std::to_string(step)}});
        writer.write(file);
      },
      files);
  files.create_directories(folder / "optimizer");
  const auto file = files.create(folder / "optimizer/moments");  // in pieces, and without a sync of its own
  for (size_t at = 0; at < moments.size(); at += 100) file->append(std::string_view(moments).substr(at, 100));
  file->close();
  write_file_atomically(folder / "note", noise(step, 2, note_bytes), files);
}

void save_step(CheckpointStore& store, int64_t step) {
  store.save(step, [&](const Path& folder, FileSystem& files) { fill_checkpoint(step, folder, files); });
}

Examined examine_checkpoint(const Path& folder) try {
  const int64_t step = CheckpointStore::step_of(folder);
  const SafetensorsFile state(folder / "state.safetensors");
  const TensorEntry* weight = state.find("weight");
  if (weight == nullptr || state.bytes(*weight) != noise(step, 0, weight_bytes))
    return {{}, "the weights are not those of its step"};
  if (state.metadata().at("step") != std::to_string(step)) return {{}, "the metadata are of another step"};
  if (read_file(folder / "optimizer/moments") != noise(step, 1, moment_bytes)) return {{}, "the moments are torn"};
  if (read_file(folder / "note") != noise(step, 2, note_bytes)) return {{}, "the note is torn"};
  return {step, ""};
} catch (const std::exception& error) {
  return {{}, error.what()};
}

}  // namespace tessera::testing
