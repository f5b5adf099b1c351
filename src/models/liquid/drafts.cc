// The table is a few thousand pictures: looking through all of them takes far less than one pass through a model.
#include "models/liquid/drafts.h"

#include <ATen/ops/tensor.h>

#include <algorithm>
#include <limits>

#include "core/error.h"
#include "tensor/weights.h"

namespace tessera::liquid {

namespace {

constexpr const char* tensor_name = "codes";

/// How many of the last of `codes` a picture has at the same places.
size_t agreeing_end(const std::vector<int32_t>& picture, std::span<const int64_t> codes) {
  size_t run = 0;
  while (run < codes.size() && picture[codes.size() - 1 - run] == codes[codes.size() - 1 - run]) ++run;
  return run;
}

int64_t agreeing_places(const std::vector<int32_t>& picture, std::span<const int64_t> codes) {
  int64_t places = 0;
  for (size_t i = 0; i < codes.size(); ++i) places += picture[i] == codes[i];
  return places;
}

}  // namespace

PictureDrafts::PictureDrafts(std::vector<std::vector<int32_t>> pictures) : pictures_(std::move(pictures)) {
  if (pictures_.empty()) throw UserError("[liquid] drafts of no pictures");
  for (const auto& picture : pictures_) {
    if (picture.size() != pictures_.front().size())
      throw UserError("[liquid] drafts of {} and of {} codes, want one number", pictures_.front().size(),
                      picture.size());
  }
  std::ranges::sort(pictures_);
  const auto repeated = std::ranges::unique(pictures_);
  pictures_.erase(repeated.begin(), repeated.end());
}

std::vector<int32_t> PictureDrafts::after(std::span<const int64_t> codes, int64_t most) const {
  const size_t length = pictures_.front().size();
  if (codes.empty() || codes.size() >= length || most < 1) return {};
  const std::vector<int32_t>* best = nullptr;
  std::pair<size_t, int64_t> best_fit{0, 0};
  for (const auto& picture : pictures_) {
    const size_t run = agreeing_end(picture, codes);
    if (run == 0 || run < best_fit.first) continue;
    const std::pair<size_t, int64_t> fit{run, agreeing_places(picture, codes)};
    if (fit <= best_fit) continue;
    best_fit = fit;
    best = &picture;
  }
  if (best == nullptr) return {};
  const auto begin = best->begin() + std::ssize(codes);
  return {begin, begin + std::min<ptrdiff_t>(most, best->end() - begin)};
}

void PictureDrafts::save(const Path& file, FileSystem& files) const {
  std::vector<int32_t> all;
  for (const auto& picture : pictures_) all.insert(all.end(), picture.begin(), picture.end());
  const bool narrow = std::ranges::max(all) <= std::numeric_limits<int16_t>::max();
  const Tensor codes = at::tensor(all, at::kInt).view({std::ssize(pictures_), -1});
  save_tensors(file, {{tensor_name, narrow ? codes.to(at::kShort) : codes}}, files, {.stored_as = StoredAs::unchanged});
}

std::shared_ptr<const PictureDrafts> PictureDrafts::in(const Path& directory, int64_t count, int64_t codes) {
  const Path file = directory / file_name;
  if (!std::filesystem::is_regular_file(file)) return nullptr;
  const auto tensors = load_tensors(file);
  const auto found = tensors.find(tensor_name);
  const bool whole = found != tensors.end() && found->second.dim() == 2 && found->second.size(0) > 0 &&
                     found->second.size(1) == count && !at::isFloatingType(found->second.scalar_type());
  if (!whole)
    throw UserError("[liquid] {} has no whole numbers '{}' [pictures, {}]", file.string(), tensor_name, count);
  const Tensor table = found->second.to(at::kLong).contiguous();
  const int64_t least = table.min().item<int64_t>(), most = table.max().item<int64_t>();
  if (least < 0 || most >= codes)
    throw UserError("[liquid] {} has the code {}, want 0 to {}", file.string(), least < 0 ? least : most, codes - 1);
  std::vector<std::vector<int32_t>> pictures;
  for (int64_t i = 0; i < table.size(0); ++i) {
    const int64_t* row = table[i].const_data_ptr<int64_t>();
    pictures.emplace_back(row, row + count);
  }
  return std::make_shared<const PictureDrafts>(std::move(pictures));
}

}  // namespace tessera::liquid
