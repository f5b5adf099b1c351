// Chooses the source by the kind the recipe names.
#include "data/source.h"

#include <algorithm>
#include <cmath>

#include "core/error.h"
#include "core/rng.h"
#include "data/selected.h"

namespace tessera::data {

namespace {
/// Draws each sample from one of several sources, by weight; part k's own samples are met in its own order.
class Mixture final : public SampleSource {
 public:
  explicit Mixture(const std::vector<MixturePart>& parts) {
    double total = 0;
    for (const MixturePart& part : parts) {
      if (!(part.weight > 0)) throw UserError("[data] a mixture's weight is {}, want a number above 0", part.weight);
      total += part.weight;
    }
    for (const MixturePart& part : parts) {
      shares_.push_back(part.weight / total);
      sources_.push_back(make_source({.kind = part.kind,
                                      .emoji = part.emoji,
                                      .talk = part.talk,
                                      .folder = part.folder,
                                      .text = part.text,
                                      .chat = part.chat}));
    }
  }

  std::string edition() const override {
    std::string all;
    for (const auto& source : sources_) all += (all.empty() ? "" : "; ") + source->edition();
    return all;
  }

  std::vector<Sample> heldout(uint64_t most) const override {
    std::vector<Sample> all;
    for (size_t part = 0; part < sources_.size(); ++part) {
      const auto share = static_cast<uint64_t>(std::ceil(static_cast<double>(most) * shares_[part]));
      std::ranges::move(sources_[part]->heldout(std::min<uint64_t>(share, most - all.size())), std::back_inserter(all));
    }
    return all;
  }

  Sample at(uint64_t index) const override {
    double mark = Rng(hash_text("mixture"), index).uniform();
    size_t part = 0;
    while (part + 1 < shares_.size() && mark >= shares_[part]) mark -= shares_[part++];
    // the share of earlier samples that fell to this part, so that each part runs through its passes evenly
    Sample sample = sources_[part]->at(static_cast<uint64_t>(static_cast<double>(index) * shares_[part]));
    if (sample.picture_id) sample.picture_id = mix64(*sample.picture_id + (static_cast<uint64_t>(part) << 32));
    return sample;
  }

 private:
  std::vector<double> shares_;
  std::vector<std::unique_ptr<SampleSource>> sources_;
};
}  // namespace

std::unique_ptr<SampleSource> make_source(const DataConfig& config) {
  if (config.samples < 0) throw UserError("[data] samples is {}, want 0 or more", config.samples);
  if (config.samples > 0) {
    DataConfig all = config;
    all.samples = 0;
    return std::make_unique<Subset>(make_source(all), config.samples, static_cast<uint64_t>(config.samples_seed));
  }
  if (!config.only.empty()) {
    DataConfig all = config;
    all.only.clear();
    return std::make_unique<Selected>(make_source(all), config.only);
  }
  if (config.kind == "emoji") return make_emoji_source(config.emoji);
  if (config.kind == "folder") return std::make_unique<FolderSource>(config.folder);
  if (config.kind == "talk") {
    check(config.talk);
    return std::make_unique<TalkSource>(make_emoji_source(config.talk.emoji), config.talk);
  }
  if (config.kind == "text") return std::make_unique<TextFolder>(config.text);
  if (config.kind == "chat") return std::make_unique<ChatSource>(config.chat);
  if (config.kind == "mixture") {
    if (config.mixture.empty()) throw UserError("[data] a mixture has no parts; give [[data.mixture]] tables");
    return std::make_unique<Mixture>(config.mixture);
  }
  throw UserError("[data] unknown kind of data '{}'; did you mean '{}'?", config.kind,
                  nearest_word(config.kind, {"emoji", "talk", "folder", "text", "chat", "mixture"}));
}

}  // namespace tessera::data
