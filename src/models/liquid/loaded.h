// What a loaded Liquid model can do: draw, answer about pictures, and write, all by one set of weights.
#pragma once

#include <memory>

#include "models/liquid/draw.h"
#include "models/liquid/model_files.h"
#include "models/lm/text/writes.h"

namespace tessera::liquid {

/// The square that a picture is seen as: laid on white where it is transparent, padded with the published grey to a square in whose middle it
/// stands, and resized with Lanczos' window to `edge` x `edge`.
Image fitted(const Image& picture, int64_t edge);
/// The codes of pictures of the codec's size, in rows.
std::vector<std::vector<int64_t>> codes_of(const vq::VqCodec& codec, const std::vector<Image>& pictures);
/// Whole pictures from codes in rows; of fewer rows than `edge`, the upper part, the rest in grey.
std::vector<Image> pictures_of(const vq::VqCodec& codec, const std::vector<std::vector<int64_t>>& codes, int64_t edge);

class LoadedLiquid final : public LoadedModel, public Draws, public Sees {
 public:
  LoadedLiquid(Bundle bundle, lm::WriterParts parts);

  std::string model_type() const override { return liquid::model_type; }
  int64_t weight_bytes() const override;
  const Draws* draws() const override { return this; }
  const Writes* writes() const override { return writer_.get(); }
  const Sees* sees() const override { return this; }

  /// A picture's "scales" are its rows of codes. Throws UserError for what this model has not: other shapes than the square, a number of
  /// guidance or temperature for each row, drawing without a cache.
  std::vector<Image> draw(const DrawRequest& request) const override;
  /// Throws UserError for clips, for conversations of another form than turns, and for what the context has no room for.
  std::vector<Written> see(const std::vector<SeeRequest>& requests) const override;
  int64_t prompt_length(const SeeRequest& request) const override;
  generate::Prompt prompt(const SeeRequest& request) const override;
  int64_t default_frames() const override { return 1; }

  const Bundle& bundle() const { return bundle_; }
  const Prompter& prompter() const { return *prompter_; }
  /// What the request and the model's own defaults make together; of all its pictures. Throws UserError.
  CodePlan plan_of(const DrawRequest& request) const;

 private:
  /// The pictures of a request, as they are seen. Throws UserError for clips.
  std::vector<Image> pictures_in(const SeeRequest& request) const;
  /// The request in ids. Throws UserError where the context has no room for it.
  std::vector<int32_t> asked(const SeeRequest& request, const std::vector<std::vector<int64_t>>& codes) const;

  Bundle bundle_;
  std::unique_ptr<lm::LmWriter> writer_;
  std::unique_ptr<Prompter> prompter_;
  lm::DecodeOptions decode_;
};

/// The loader of the registry, for both layouts.
std::unique_ptr<LoadedModel> load_liquid(const ModelDirectory& directory, at::Device device,
                                         const LoadOptions& options = {});

}  // namespace tessera::liquid
