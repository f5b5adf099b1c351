// `tessera data emoji`: samples as files that a person can look at, and the atlas.
#include "apps/data.h"

#include <chrono>
#include <cstdio>

#include "core/counted.h"
#include "core/error.h"
#include "core/files.h"
#include "core/progress.h"
#include "data/atlas.h"
#include "data/talk.h"
#include "media/png.h"

namespace tessera::apps {

namespace {
Json line_of(const Sample& sample, const std::string& file) {
  Json line = {{"file", file}, {"caption", sample.caption}};
  if (!sample.questions.empty()) {
    line["questions"] = Json::array();
    for (const Question& q : sample.questions)
      line["questions"].push_back({{"kind", q.kind}, {"question", q.text}, {"answer", q.answer}});
  }
  if (!sample.objects.empty()) {
    line["objects"] = Json::array();
    for (const PlacedObject& o : sample.objects) {
      line["objects"].push_back(
          {{"name", o.name}, {"x", o.x}, {"y", o.y}, {"size", o.size}, {"quarter_turns", o.turn}});
    }
  }
  return line;
}

/// Writes one sample's pictures; returns the name that captions.jsonl gives it.
std::string write_pictures(const Sample& sample, const Path& folder, int64_t index) {
  if (sample.frames.empty()) {
    const std::string name = fmt::format("{:05}.png", index);
    media::write_png(folder / name, sample.picture);
    return name;
  }
  const std::string name = fmt::format("{:05}", index);
  std::filesystem::create_directories(folder / name);
  for (size_t f = 0; f < sample.frames.size(); ++f)
    media::write_png(folder / name / fmt::format("frame-{:03}.png", f), sample.frames[f]);
  return name;
}

void pack(const DataEmojiOptions& options, const data::EmojiOptions& emoji) {
  require_writable(options.pack, "data");
  const auto world = data::open_world(emoji);
  data::write_atlas(*world, options.pack);
  const auto bytes = static_cast<int64_t>(std::filesystem::file_size(options.pack));
  fmt::print("{} emoji in {} ({:.1f} MB; {})\n", world->size(), options.pack.string(), static_cast<double>(bytes) / 1e6,
             world->world());
  if (options.output.json)
    print_json(
        {{"file", options.pack.string()}, {"emoji", world->size()}, {"bytes", bytes}, {"world", world->world()}});
}

/// The words of every sample's whole conversation, line by line.
void write_talk(const DataEmojiOptions& options, const data::EmojiOptions& emoji) {
  require_writable(options.talk, "data");
  const data::TalkSource source(data::make_emoji_source(emoji), {.emoji = emoji, .turns = 100, .listing = 1});
  Progress progress("data", options.count, "conversations");
  std::string words;
  for (int64_t i = 0; i < options.count; ++i) {
    words += data::as_text(source.at(static_cast<uint64_t>(i)).messages);
    progress.update(i + 1);
  }
  progress.finish();
  write_file_atomically(options.talk, words);
  fmt::print("{} in {}\n", counted(options.count, "conversation"), options.talk.string());
}

void check_folder(const DataEmojiOptions& options) {
  const bool filled = std::filesystem::is_directory(options.out) && !std::filesystem::is_empty(options.out);
  if (filled && !options.overwrite)
    throw UserError("[data] {} already holds files; give another --out, or --overwrite", options.out.string());
  require_writable(options.out / "captions.jsonl", "data");
}
}  // namespace

int run_data_emoji(const DataEmojiOptions& options) {
  using Clock = std::chrono::steady_clock;
  const data::EmojiOptions emoji{.kind = options.kind,
                                 .size = options.size,
                                 .seed = options.seed,
                                 .ground = options.ground,
                                 .names = options.names,
                                 .names_seed = options.names_seed,
                                 .split = options.split,
                                 .frames = options.frames,
                                 .layout = options.layout,
                                 .kinds = options.kinds,
                                 .reworded = options.reworded,
                                 .keywords = options.keywords,
                                 .foreign = options.foreign,
                                 .languages = options.languages,
                                 .atlas = options.atlas};
  data::check(emoji);
  if (options.out.empty() && options.pack.empty() && options.talk.empty())
    throw UserError("[data] nothing to write; give --out DIR, --talk FILE or --pack FILE");
  if (!options.pack.empty()) pack(options, emoji);
  if (options.count < 1) throw UserError("[data] count is {}, want at least 1", options.count);
  if (!options.talk.empty()) write_talk(options, emoji);
  if (options.out.empty()) return 0;
  check_folder(options);

  const auto source = data::make_emoji_source(emoji);
  Progress progress("data", options.count, "samples");
  std::string captions;
  double making = 0;
  for (int64_t i = 0; i < options.count; ++i) {
    const auto began = Clock::now();
    const Sample sample = source->at(static_cast<uint64_t>(i));
    making += std::chrono::duration<double>(Clock::now() - began).count();
    captions += line_of(sample, write_pictures(sample, options.out, i)).dump() + "\n";
    progress.update(i + 1);
  }
  progress.finish();
  write_file_atomically(options.out / "captions.jsonl", captions);
  const double rate = static_cast<double>(options.count) / making;
  fmt::print("{} in {}; made at {:.0f} samples/s on one core, files not counted\n", counted(options.count, "sample"),
             options.out.string(), rate);
  if (options.output.json)
    print_json({{"samples", options.count}, {"samples_per_second", rate}, {"out", options.out.string()}});
  return 0;
}

}  // namespace tessera::apps
