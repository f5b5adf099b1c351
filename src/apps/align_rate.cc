// `tessera align rate`: a judge beside people.
#include "apps/align_rate.h"

#include <map>

#include "align/judge.h"
#include "apps/text_request.h"
#include "core/error.h"
#include "core/files.h"
#include "core/interrupt.h"
#include "core/json.h"
#include "core/json_rows.h"
#include "core/progress.h"
#include "models/registry.h"
#include "tensor/device.h"

namespace tessera::apps {

namespace {
using align::Agreement;

std::vector<align::Judgement> judged(const align::Judge& judge, const std::vector<align::RatedAnswer>& rated) {
  constexpr size_t at_once = 32;
  std::vector<align::Judgement> all;
  Progress progress("scores", std::ssize(rated), "answers");
  while (all.size() < rated.size() && !InterruptGuard::raised()) {
    std::vector<align::Judge::Request> requests;
    for (size_t i = all.size(); i < std::min(all.size() + at_once, rated.size()); ++i)
      requests.push_back({rated[i].prompt, rated[i].answer});
    for (align::Judgement& each : judge.judge(requests)) all.push_back(std::move(each));
    progress.update(std::ssize(all));
  }
  progress.finish();
  return all;
}

Json to_json(const Agreement& agreement) {
  return {{"pairs", agreement.pairs}, {"agreement", agreement.share()}, {"ties", agreement.ties}};
}

void write_scores(const Path& out, const std::vector<align::RatedAnswer>& rated,
                  const std::vector<align::Judgement>& judgements) {
  std::string rows;
  for (size_t i = 0; i < judgements.size(); ++i) {
    const Json row = {
        {"prompt", rated[i].prompt},     {"response", rated[i].answer},          {"score", rated[i].rating},
        {"judged", judgements[i].score}, {"likeliest", judgements[i].likeliest}, {"tied", judgements[i].tied},
        {"mass", judgements[i].mass}};
    rows += json_row(row);
  }
  write_file_atomically(out, rows);
}
}  // namespace

int run_align_rate(const AlignRateOptions& options) {
  const align::Scale scale{.low = options.low, .high = options.high};
  if (scale.high <= scale.low)
    throw UserError("[align] the scale goes from {} to {}, want more than one score", scale.low, scale.high);
  const std::vector<align::RatedAnswer> rated = align::read_ratings(options.ratings, scale);
  if (!options.out.empty()) require_writable(options.out, "align");
  const auto model = load_model(options.judge, parse_device(options.compute.device));
  const InterruptGuard guard;
  const std::vector<align::Judgement> judgements =
      judged(align::Judge(require_writes(*model, options.judge, "align"), scale), rated);
  if (judgements.size() < rated.size()) return interrupted_status;

  std::map<std::string_view, int64_t> numbers;  // of prompts
  std::vector<int64_t> prompts;
  std::vector<double> people, real, likeliest;
  double mass = 0;
  for (size_t i = 0; i < rated.size(); ++i) {
    prompts.push_back(numbers.try_emplace(rated[i].prompt, std::ssize(numbers)).first->second);
    people.push_back(rated[i].rating);
    real.push_back(judgements[i].score);
    likeliest.push_back(static_cast<double>(judgements[i].likeliest));
    mass += judgements[i].mass / static_cast<double>(rated.size());
  }
  const Agreement by_mean = align::agreement(prompts, people, real),
                  by_mode = align::agreement(prompts, people, likeliest);
  if (!options.out.empty()) write_scores(options.out, rated, judgements);
  fmt::print("{} answers to {} prompts, {} pairs that people rate differently\n", rated.size(), numbers.size(),
             by_mean.pairs);
  fmt::print("  real-valued score  {:.3f} in the same order, {} ties\n", by_mean.share(), by_mean.ties);
  fmt::print("  most probable one  {:.3f} in the same order, {} ties (each counts half)\n", by_mode.share(),
             by_mode.ties);
  fmt::print("  probability that it gives one of the scores at all: {:.3f}\n", mass);
  if (options.output.json)
    print_json({{"answers", rated.size()},
                {"prompts", numbers.size()},
                {"real", to_json(by_mean)},
                {"integer", to_json(by_mode)},
                {"mass", mass}});
  return 0;
}

}  // namespace tessera::apps
