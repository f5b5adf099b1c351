// Draw, then judge by pixels.
#include "eval/drawing.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <chrono>
#include <set>

#include "core/rng.h"
#include "data/wording.h"
#include "eval/scene_scorer.h"
#include "eval/sprite_matcher.h"

namespace tessera::eval {

namespace {
struct Drawn {
  std::vector<Image> pictures;
  double per_second = 0;
};

Drawn draw_all(const Draws& model, const DrawingTask& task, std::vector<std::string> prompts) {
  DrawRequest request = task.request;
  const auto total = static_cast<int64_t>(prompts.size());
  request.prompts = std::move(prompts);
  request.seed = task.seed;
  request.on_pictures = [&](size_t first, const std::vector<Image>& pictures) {
    if (task.on_progress) task.on_progress(static_cast<int64_t>(first) + std::ssize(pictures), total);
    return true;
  };
  const auto began = std::chrono::steady_clock::now();
  Drawn drawn{model.draw(request)};
  drawn.per_second =
      static_cast<double>(total) / std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
  return drawn;
}

/// `count` of `ids` without repetition, by a seeded shuffle.
std::vector<size_t> chosen_at_random(std::vector<size_t> ids, int64_t count, uint64_t seed) {
  Rng rng(seed, hash_text("retrieval"));
  const size_t wanted = count == 0 ? ids.size() : std::min(ids.size(), static_cast<size_t>(count));
  for (size_t i = 0; i < wanted; ++i) std::swap(ids[i], ids[i + rng.below(ids.size() - i)]);
  ids.resize(wanted);
  return ids;
}

struct Asked {
  std::string prompt;
  std::vector<size_t> right;  // sprites that would answer it, by their canonical ids
};

Asked ask_for(size_t id, const data::EmojiWorld& world, const SpriteMatcher& matcher, const DrawingTask& task) {
  const data::Emoji& emoji = world.emoji()[id];
  Asked asked{.prompt = emoji.name, .right = {matcher.canonical(id)}};
  Rng rng(task.seed, hash_text(task.words) + id);
  if (task.words == "reworded") asked.prompt = data::in_other_words(emoji.name, rng);
  if (task.words != "keywords" || emoji.keywords.empty()) return asked;
  const std::vector<std::string> words = data::some_keywords(emoji, rng);
  asked.prompt = fmt::format("{}", fmt::join(words, ", "));
  for (size_t other = 0; other < world.size(); ++other) {
    const std::vector<std::string>& has = world.emoji()[other].keywords;
    if (std::ranges::all_of(words, [&](const auto& word) { return std::ranges::find(has, word) != has.end(); }))
      asked.right.push_back(matcher.canonical(other));
  }
  return asked;
}
}  // namespace

RetrievalResult measure_retrieval(const Draws& model, const DrawingTask& task) {
  const auto world = data::open_world(task.emoji);
  const std::vector<size_t> ids = chosen_at_random(data::chosen_ids(*world, task.emoji), task.count, task.seed);
  const SpriteMatcher matcher(*world);
  std::vector<Asked> asked;
  std::vector<std::string> prompts;
  for (const size_t id : ids) {
    asked.push_back(ask_for(id, *world, matcher, task));
    prompts.push_back(asked.back().prompt);
  }
  const Drawn drawn = draw_all(model, task, prompts);

  RetrievalResult result{.count = static_cast<int64_t>(ids.size()), .pictures_per_second = drawn.per_second};
  std::set<size_t> shown, wanted;
  for (size_t i = 0; i < ids.size(); ++i) {
    const std::vector<size_t> nearest = matcher.nearest(drawn.pictures[i], 5);
    const auto is_right = [&](size_t id) { return std::ranges::find(asked[i].right, id) != asked[i].right.end(); };
    shown.insert(nearest.front());
    wanted.insert(asked[i].right.front());
    result.top1 += is_right(nearest.front());
    result.top5 += std::ranges::any_of(nearest, is_right);
    if (!is_right(nearest.front())) result.missed.push_back(prompts[i]);
  }
  result.variety = static_cast<double>(shown.size()) / static_cast<double>(wanted.size());
  result.top1 /= static_cast<double>(ids.size());
  result.top5 /= static_cast<double>(ids.size());
  return result;
}

SceneResult measure_scenes(const Draws& model, const DrawingTask& task) {
  const std::vector<data::Scene> scenes = scene_prompts(task.emoji, task.count);
  std::vector<std::string> prompts;
  for (size_t i = 0; i < scenes.size(); ++i) {
    Rng rng(task.seed, hash_text(task.words) + i);
    prompts.push_back(task.words == "reworded" ? data::in_other_words(scenes[i], rng) : data::caption_of(scenes[i]));
  }
  const Drawn drawn = draw_all(model, task, prompts);

  const auto world = data::open_world(task.emoji);
  const SceneScorer scorer(*world);
  std::map<std::string, std::pair<int64_t, int64_t>> tally;  // right, all
  for (size_t i = 0; i < scenes.size(); ++i) {
    auto& [right, all] = tally[std::string(data::scene_kind_name(scenes[i].kind))];
    right += scorer.correct(drawn.pictures[i], scenes[i]);
    ++all;
  }
  SceneResult result{.count = static_cast<int64_t>(scenes.size()), .pictures_per_second = drawn.per_second};
  for (const auto& [kind, counts] : tally) {
    result.kinds[kind] = static_cast<double>(counts.first) / static_cast<double>(counts.second);
    result.score += result.kinds[kind] / static_cast<double>(tally.size());
  }
  return result;
}

}  // namespace tessera::eval
