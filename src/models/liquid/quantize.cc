// A Liquid model as packing wants it: its language model in 4 bits; codec, embedding and head stay as they are.
#include "models/liquid/quantize.h"

#include <algorithm>

#include <ATen/ops/tensor.h>
#include <torch/csrc/autograd/grad_mode.h>

#include "core/error.h"
#include "models/liquid/loaded.h"
#include "models/lm/architecture/quantize.h"
#include "quant/stored_form.h"

namespace tessera::liquid {

namespace {

class QuantizableLiquid final : public Quantizable {
 public:
  QuantizableLiquid(Bundle bundle, std::unique_ptr<text::Tokenizer> tokenizer)
      : bundle_(std::move(bundle)), tokenizer_(std::move(tokenizer)), prompter_(bundle_.config.pictures, *tokenizer_) {}

  std::vector<quant::SharedInput> language_inputs() override { return lm::shared_inputs(bundle_.model); }

  /// Pictures as they are drawn and as they are seen, in turn; texts as of any language model.
  int64_t calibrate(const CalibrationData& data) const override {
    const at::NoGradGuard no_grad;
    int64_t seen = 0;
    for (size_t i = 0; i < data.pictures.size() && seen < data.tokens; ++i) {
      const Image picture = fitted(data.pictures[i], bundle_.codec.config.picture_size);
      const std::vector<int64_t> codes = codes_of(bundle_.codec, {picture}).front();
      const Prompter::Lesson lesson = i % 2 == 0 ? prompter_.caption_lesson("a picture", codes)
                                                 : prompter_.drawing_lesson("a picture", drawing_suffix, codes, false);
      const Tensor ids = at::tensor(std::vector<int64_t>(lesson.ids.begin(), lesson.ids.end()), at::kLong).unsqueeze(0);
      bundle_.model.forward(bundle_.model.embed(ids),
                            lm::positions_of(bundle_.model, ids.size(1), {}, bundle_.model.embed_tokens.device()));
      seen += ids.size(1);
      if (data.on_progress) data.on_progress(static_cast<int64_t>(i) + 1, std::ssize(data.pictures));
    }
    if (!data.texts.empty() || data.pictures.empty()) seen += lm::calibrate(bundle_.model, *tokenizer_, data);
    return seen;
  }

  void save(const Path& out, const quant::Int4Format& format) override {
    Json text = text_config_json(bundle_);
    const auto packed = [](const nn::NamedLinear& layer) { return layer.linear->packed != nullptr; };
    if (std::ranges::any_of(nn::named_linears(bundle_.model), packed))
      text["quantization_config"] = quant::int4_format_json(format, lm::unpacked_layers(bundle_.model.config));
    vq::save_vq(bundle_.codec, out / "codec", vq::exact_format(bundle_.codec));
    if (bundle_.drafts) bundle_.drafts->save(out / PictureDrafts::file_name);
    Bundle stored = bundle_;
    stored.config.codec = vq::fingerprint(bundle_.codec);
    quant::write_packed_directory(bundle_.directory, out, quant::saving_form(bundle_.model),
                                  config_json(stored.config, text));
  }

 private:
  Bundle bundle_;
  std::unique_ptr<text::Tokenizer> tokenizer_;
  Prompter prompter_;
};

}  // namespace

std::unique_ptr<Quantizable> load_for_packing(const ModelDirectory& found, at::Device device) {
  auto tokenizer = text::load_tokenizer(found.path);
  Bundle bundle = load_bundle(found, *tokenizer, {.device = device, .dtype = "fp32", .writable = true});
  const auto packing = bundle.text_config.find("quantization_config");
  if (packing != bundle.text_config.end() && !packing->is_null())
    throw UserError("[quant] {} is packed already; give the model that it was made from", found.path.string());
  return std::make_unique<QuantizableLiquid>(std::move(bundle), std::move(tokenizer));
}

}  // namespace tessera::liquid
