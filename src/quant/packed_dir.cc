// Copies what is not weights, writes what is.
#include "quant/packed_dir.h"

#include "tensor/weights.h"

namespace tessera::quant {

namespace {
/// Weights in any of the formats that directories come with, and what is written anew.
bool is_replaced(const Path& file) {
  const std::string name = file.filename().string();
  for (const char* end :
       {".safetensors", ".safetensors.index.json", ".bin", ".bin.index.json", ".pt", ".pth", ".gguf"}) {
    if (name.ends_with(end)) return true;
  }
  return name == "config.json" || name.starts_with('.');
}
}  // namespace

std::vector<NamedTensor> stored_in_halves(const std::vector<NamedTensor>& tensors) {
  std::vector<NamedTensor> stored;
  for (const auto& [name, tensor] : tensors) {
    const bool kept = !at::isFloatingType(tensor.scalar_type()) || name.ends_with(".weight_scale");
    const bool fits = kept || tensor.numel() == 0 || tensor.abs().max().to(at::kDouble).item<double>() <= 65504;
    stored.push_back({name, kept ? tensor : tensor.to(fits ? at::kHalf : at::kBFloat16)});
  }
  return stored;
}

void write_packed_directory(const Path& source, const Path& out, const std::vector<NamedTensor>& tensors,
                            const Json& config, FileSystem& files) {
  files.create_directories(out);
  for (const auto& entry : std::filesystem::directory_iterator(source)) {
    if (!entry.is_regular_file() || is_replaced(entry.path())) continue;
    write_file_atomically(out / entry.path().filename(), read_file(entry.path()), files);
  }
  save_tensors(out / "model.safetensors", stored_in_halves(tensors), files,
               {.stored_as = StoredAs::unchanged, .metadata = {{"format", "pt"}}});
  write_file_atomically(out / "config.json", config.dump(2) + "\n", files);
}

}  // namespace tessera::quant
