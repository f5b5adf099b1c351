// A codec of another quantiser has tensors of the same names, so its model_type is compared before any of them is read.
#include "codec/codec_files.h"

#include "core/error.h"

namespace tessera::codec {

std::string codec_type(const Path& directory) {
  const Path file = directory / "config.json";
  if (!std::filesystem::is_regular_file(file)) return "";
  const Json tree = read_json_file(file);
  const auto type = tree.is_object() ? tree.find("model_type") : tree.end();
  return type != tree.end() && type->is_string() ? type->get<std::string>() : "";
}

Json read_codec_config(const Path& directory, std::string_view wanted, std::string_view module) {
  Json tree = read_json_file(directory / "config.json");
  const bool typed = tree.is_object() && tree.contains("model_type");
  if (!typed || tree["model_type"] != wanted)
    throw UserError("[{}] {} is no codec of this kind; its model_type is {}, want \"{}\"", module, directory.string(),
                    typed ? tree["model_type"].dump() : "missing", wanted);
  tree.erase("model_type");
  return tree;
}

void write_codec_directory(const Path& directory, std::string_view model_type, const Json& config,
                           const std::vector<NamedTensor>& tensors, StoredAs stored, FileSystem& files) {
  files.create_directories(directory);
  save_tensors(directory / "model.safetensors", tensors, files, {.stored_as = stored});
  Json tree = {{"model_type", model_type}};
  tree.update(config);
  write_file_atomically(directory / "config.json", tree.dump(2) + "\n", files);
}

std::vector<Image> pictures_of_levels(const Tensor& levels) {
  const Tensor bytes = levels.to(at::kByte).permute({0, 2, 3, 1}).contiguous().cpu();
  std::vector<Image> pictures;
  for (int64_t b = 0; b < bytes.size(0); ++b) {
    Image& picture = pictures.emplace_back(bytes.size(2), bytes.size(1), 3);
    const uint8_t* from = bytes[b].const_data_ptr<uint8_t>();
    std::copy(from, from + picture.pixels.size(), picture.pixels.begin());
  }
  return pictures;
}

}  // namespace tessera::codec
