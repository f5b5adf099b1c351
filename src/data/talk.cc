// Which questions are asked, and in which order, is a function of (seed, index), like the picture itself.
#include "data/talk.h"

#include <algorithm>

#include "core/error.h"
#include "core/fields.h"
#include "data/permutation.h"
#include "media/read_media.h"

namespace tessera::data {

namespace {
const std::vector<std::string>& question_kinds() {
  static const std::vector<std::string> kinds{"name", "presence", "count",   "colour",    "position",
                                              "size", "place",    "reading", "direction", "order"};
  return kinds;
}
}  // namespace

void check(const TalkOptions& options) {
  check(options.emoji);
  if (options.turns < 1) throw UserError("[data] talk.turns is {}, want at least 1", options.turns);
  if (!(options.listing >= 0 && options.listing <= 1))
    throw UserError("[data] talk.listing is {}, want a share from 0 to 1", options.listing);
  if (options.frames < 0) throw UserError("[data] talk.frames is {}, want 0 (all) or more", options.frames);
  for (const std::string& kind : options.kinds) {
    if (std::ranges::count(question_kinds(), kind) == 0)
      throw UserError("[data] unknown kind of question '{}'; did you mean '{}'?", kind,
                      nearest_word(kind, question_kinds()));
  }
}

std::vector<Question> questions_of(const Sample& sample) {
  if (!sample.questions.empty()) return sample.questions;
  return {{"name", "What is this?", sample.caption}};
}

Question listing_of(const Sample& sample) {
  if (!sample.frames.empty()) return {"listing", "What happens?", sample.caption};
  if (sample.objects.empty()) return questions_of(sample).front();
  if (sample.objects.size() == 1) return {"name", "What is this?", sample.objects.front().name};  // as of a sprite
  std::vector<const PlacedObject*> across;
  for (const PlacedObject& object : sample.objects) across.push_back(&object);
  std::ranges::stable_sort(across, {}, [](const PlacedObject* o) { return 2 * o->x + o->size; });
  std::string names;
  for (const PlacedObject* object : across) names += (names.empty() ? "" : ", ") + object->name;
  return {"listing", "What is there, from left to right?", names};
}

Media media_of(const Sample& sample, int64_t frames, std::string source) {
  if (sample.frames.empty()) return {{sample.picture}, false, std::move(source)};
  if (frames == 0) return {sample.frames, true, std::move(source)};
  Media media{.frames = {}, .clip = true, .source = std::move(source)};
  for (const int64_t i : media::sampled_indexes(std::ssize(sample.frames), frames))
    media.frames.push_back(sample.frames[static_cast<size_t>(i)]);
  return media;
}

TalkSource::TalkSource(std::unique_ptr<SampleSource> pictures, TalkOptions options)
    : pictures_(std::move(pictures)), options_(std::move(options)) {}

Sample TalkSource::at(uint64_t index) const {
  return talk_about(pictures_->at(index),
                    Rng(static_cast<uint64_t>(options_.emoji.seed), index).split(hash_text("talk")));
}

std::vector<Sample> TalkSource::heldout(uint64_t most) const {
  std::vector<Sample> samples = pictures_->heldout(most);
  for (uint64_t i = 0; i < samples.size(); ++i) {
    samples[i] = talk_about(std::move(samples[i]),
                            Rng(static_cast<uint64_t>(options_.emoji.seed), i).split(hash_text("heldout talk")));
  }
  return samples;
}

Sample TalkSource::talk_about(Sample sample, Rng rng) const {
  std::vector<Question> asked = questions_of(sample);
  if (!options_.kinds.empty())
    std::erase_if(asked, [&](const Question& q) { return std::ranges::count(options_.kinds, q.kind) == 0; });
  shuffle(asked, rng);
  if (rng.chance(options_.listing) || asked.empty()) asked.insert(asked.begin(), listing_of(sample));
  if (std::ssize(asked) > options_.turns) asked.resize(static_cast<size_t>(options_.turns));
  for (const Question& question : asked) {
    sample.messages.push_back({.role = "user", .content = question.text, .media = sample.messages.empty() ? 1 : 0});
    sample.messages.push_back({.role = "assistant", .content = question.answer});
  }
  sample.media.push_back(media_of(sample, options_.frames, sample.caption));
  return sample;
}

std::string as_text(const std::vector<text::Message>& messages) {
  std::string lines;
  for (const text::Message& message : messages) lines += message.content + "\n";
  return lines;
}

}  // namespace tessera::data
