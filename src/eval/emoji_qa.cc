// Which picture and which question come next is a function of the task alone, so that arms can be paired question by
// question.
#include "eval/emoji_qa.h"

#include <algorithm>
#include <memory>

#include "core/error.h"
#include "core/rng.h"
#include "data/talk.h"

namespace tessera::eval {

namespace {
constexpr uint64_t kMostTries = 1000;   // pictures without a question of the wanted kinds, in a row
constexpr int64_t kLongestAnswer = 32;  // tokens

/// A source with the index of its next sample.
struct Asking {
  std::string kind;
  std::unique_ptr<SampleSource> samples;
  uint64_t next = 0;
};

struct Asked {
  QaOutcome outcome;
  SeeRequest request;
};

Asked next_question(Asking& from, const QaTask& task, int64_t frames) {
  for (uint64_t tries = 0; tries < kMostTries; ++tries) {
    const uint64_t index = from.next++;
    const Sample sample = from.samples->at(index);
    std::vector<Question> questions = data::questions_of(sample);
    std::erase_if(questions, [&](const Question& q) {
      return !task.kinds.empty() && std::ranges::count(task.kinds, q.kind) == 0;
    });
    if (questions.empty()) continue;
    const Question& question = questions[Rng(task.seed, index).split(hash_text("emoji-qa")).below(questions.size())];
    Asked asked{.outcome = {from.kind, index, question.kind, question.text, question.answer, "", false}};
    asked.request.messages = {{.role = "user", .content = question.text, .media = 1}};
    asked.request.media = {data::media_of(sample, frames, fmt::format("{} {}", from.kind, index))};
    asked.request.options.max_new_tokens = kLongestAnswer;
    return asked;
  }
  throw UserError("[eval] no {} of {} has a question of the kinds that are asked for", from.kind, kMostTries);
}

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view blank = " \t\r\n";
  while (!text.empty() && blank.find(text.front()) != std::string_view::npos) text.remove_prefix(1);
  while (!text.empty() && blank.find(text.back()) != std::string_view::npos) text.remove_suffix(1);
  if (!text.empty() && text.back() == '.') text.remove_suffix(1);
  return text;
}

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

void answer(const Sees& model, std::vector<Asked>& waiting, QaResult& result) {
  std::vector<SeeRequest> requests;
  for (Asked& asked : waiting) requests.push_back(std::move(asked.request));
  const std::vector<Written> written = model.see(requests);
  for (size_t i = 0; i < waiting.size(); ++i) {
    QaOutcome& outcome = result.outcomes.emplace_back(std::move(waiting[i].outcome));
    outcome.said = written[i].continuation.text;
    outcome.right = same_answer(outcome.said, outcome.answer);
    QaShare& kind = result.kinds[outcome.source + " " + outcome.kind];
    ++kind.count;
    ++result.all.count;
    kind.right += outcome.right;
    result.all.right += outcome.right;
  }
  waiting.clear();
}
}  // namespace

bool same_answer(std::string_view said, std::string_view answer) {
  said = trimmed(said);
  answer = trimmed(answer);
  return std::equal(said.begin(), said.end(), answer.begin(), answer.end(),
                    [](char a, char b) { return lower(a) == lower(b); });
}

QaResult measure_emoji_qa(const Sees& model, const QaTask& task) {
  if (task.count < 1 || task.batch < 1 || task.sources.empty())
    throw UserError("[eval] {} questions in batches of {} from {} sources; want at least one of each", task.count,
                    task.batch, task.sources.size());
  std::vector<Asking> sources;
  for (const data::EmojiOptions& options : task.sources)
    sources.push_back({options.kind, data::make_emoji_source(options), 0});
  const int64_t frames = task.frames > 0 ? task.frames : model.default_frames();
  QaResult result;
  std::vector<Asked> waiting;
  for (int64_t i = 0; i < task.count; ++i) {
    waiting.push_back(next_question(sources[static_cast<size_t>(i) % sources.size()], task, frames));
    if (std::ssize(waiting) < task.batch && i + 1 < task.count) continue;
    answer(model, waiting, result);
    if (task.on_progress) task.on_progress(i + 1);
  }
  return result;
}

}  // namespace tessera::eval
