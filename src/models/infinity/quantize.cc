// Calibration draws pictures, so that layers see what they see when people draw: every scale, with and without a prompt.
#include "models/infinity/quantize.h"

#include "core/error.h"
#include "core/text_file.h"
#include "models/infinity/draw.h"

namespace tessera::infinity {

namespace {

using quant::SharedInput;

const std::vector<std::string>& usual_prompts() {
  static const std::vector<std::string> prompts{
      "a red apple on a wooden table",    "two cats under a blue umbrella",
      "a portrait of an old fisherman",   "a city street at night in the rain",
      "a mountain lake, oil on canvas",   "a green car beside a house",
      "a bowl of fruit, studio lighting", "a fox in the snow"};
  return prompts;
}

/// Lines of the texts that say something, at most so many.
std::vector<std::string> prompts_of(const std::vector<std::string>& texts, size_t most) {
  std::vector<std::string> prompts;
  for (const std::string& text : texts) {
    for (size_t begin = 0; begin < text.size() && prompts.size() < most;) {
      const size_t end = std::min(text.find('\n', begin), text.size());
      const std::string line = text.substr(begin, end - begin);
      if (!is_blank(line)) prompts.push_back(line);
      begin = end + 1;
    }
  }
  return prompts;
}

class QuantizableInfinity final : public Quantizable {
 public:
  explicit QuantizableInfinity(Bundle bundle) : bundle_(std::move(bundle)) {}

  std::vector<SharedInput> language_inputs() override { return shared_inputs(bundle_.model); }

  int64_t calibrate(const CalibrationData& data) const override {
    if (!data.pictures.empty()) throw UserError("[quant] an Infinity model is calibrated on prompts; give texts");
    const InfinityConfig& config = bundle_.model.config;
    const bool published = config.scales.empty();
    const int64_t positions = 2 * schedule_for(config, 1, published ? "0.06M" : "").tokens();  // guidance has two rows
    const auto most = static_cast<size_t>(std::max<int64_t>(1, data.tokens / positions));
    std::vector<std::string> prompts = data.texts.empty() ? usual_prompts() : prompts_of(data.texts, most);
    if (prompts.empty()) throw UserError("[quant] the calibration texts hold no prompts; want one on a line");
    prompts.resize(std::min(prompts.size(), most));
    const DrawingInfinity drawing(bundle_);  // shares the layers, and with them who watches
    DrawRequest request{.prompts = prompts, .seed = data.seed, .pixels = published ? "0.06M" : "", .batch = 1};
    request.on_pictures = [&](size_t first, const std::vector<Image>&) {
      if (data.on_progress) data.on_progress(static_cast<int64_t>(first) + 1, std::ssize(prompts));
      return true;
    };
    drawing.draw(request);
    return positions * std::ssize(prompts);
  }

  void save(const Path& out, const quant::Int4Format& format) override {
    save_bundle(bundle_, StoredAs::bf16, out, disk(), format.group);
  }

 private:
  Bundle bundle_;
};

}  // namespace

std::vector<SharedInput> shared_inputs(Infinity& model) {
  std::vector<SharedInput> all;
  for (size_t i = 0; i < model.blocks.size(); ++i) {
    InfinityBlock& block = model.blocks[i];
    const std::string name = "blocks." + std::to_string(i) + ".";
    const auto add = [&](const char* layer, nn::Linear& linear, bool clip = true) -> SharedInput& {
      return all.emplace_back(SharedInput{.name = name + layer, .consumers = {{.layer = &linear, .clip = clip}}});
    };
    add("sa.mat_qkv", block.sa.mat_qkv, /*clip=*/false);  // queries and keys are among them
    add("sa.proj", block.sa.proj);
    add("ca.mat_q", block.ca.mat_q, /*clip=*/false).norm =
        SharedInput::Norm{.weight = block.ca_norm.weight, .bias = block.ca_norm.bias};
    add("ca.mat_kv", block.ca.mat_kv, /*clip=*/false);
    add("ca.proj", block.ca.proj);
    add("ffn.fc1", block.ffn.fc1);
    add("ffn.fc2", block.ffn.fc2);
  }
  return all;
}

std::unique_ptr<Quantizable> quantizable(Bundle bundle) {
  return std::make_unique<QuantizableInfinity>(std::move(bundle));
}

}  // namespace tessera::infinity
