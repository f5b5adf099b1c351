// A policy over the one id loop: who joins when.
#include "align/writer.h"

#include <algorithm>
#include <memory>

#include "core/error.h"

namespace tessera::align {

namespace {
int64_t up_to(int64_t value, int64_t multiple) { return (value + multiple - 1) / multiple * multiple; }

struct Running {
  const WritingJob* job = nullptr;
  std::unique_ptr<generate::TextSequence> sequence;
};

WrittenText result_of(const Running& running) {
  running.sequence->require_sound();
  const generate::Continuation written = running.sequence->result();
  return {.key = running.job->key,
          .text = written.text,
          .tokens = std::ssize(written.tokens),
          .finished =
              written.reason == generate::StopReason::end_token || written.reason == generate::StopReason::stop_text};
}
}  // namespace

void write_all(const Writes& model, const std::vector<WritingJob>& jobs, const WritingOptions& options,
               const std::function<bool(WrittenText)>& done) {
  if (jobs.empty()) return;
  int64_t longest = 0;
  for (const WritingJob& job : jobs) longest = std::max(longest, std::ssize(job.prompt));
  const int64_t length = std::min(model.context(), longest + options.max_tokens);
  const auto steps = model.steps(options.at_once * (up_to(length, 64) + 64));
  generate::IdLoop loop(*steps);
  std::vector<Running> running;
  for (size_t next = 0; next < jobs.size() || !running.empty();) {
    std::vector<generate::Sequence*> joining;
    while (next < jobs.size() && std::ssize(running) < options.at_once) {
      const WritingJob& job = jobs[next++];
      const generate::TextOptions how =
          model.completed({.max_new_tokens = options.max_tokens,
                           .sampling = {.temperature = options.temperature, .top_p = options.top_p, .seed = job.seed},
                           .stop = options.stop});
      running.push_back({&job, std::make_unique<generate::TextSequence>(generate::Prompt{.ids = job.prompt},
                                                                        model.tokenizer(), how, 0)});
      joining.push_back(running.back().sequence.get());
    }
    if (!joining.empty()) loop.join(joining);
    else loop.step();
    loop.leave();
    std::vector<Running> left;
    bool wanted = true;
    for (Running& each : running) {
      if (!each.sequence->finished()) left.push_back(std::move(each));
      else wanted = done(result_of(each)) && wanted;
    }
    running = std::move(left);
    if (!wanted) return;
  }
}

}  // namespace tessera::align
