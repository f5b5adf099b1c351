// What must stay true: memory for a sequence's longest end is set aside before it begins, so that nothing that runs is ever put off.
#include "serve/text_engine.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "core/error.h"
#include "serve/api_error.h"

namespace tessera::serve {

namespace {
constexpr int64_t piece = 256;  // positions that a prompt is read at a time
}  // namespace

TextEngine::TextEngine(const Writes& writes, const EngineOptions& options, Metrics& metrics)
    : writes_(&writes), options_(options), metrics_(&metrics) {
  take_memory();
}

TextEngine::~TextEngine() {
  const auto error = std::make_exception_ptr(ApiError(503, "the server is ending"));
  fail_all(error);
  fail_waiting(error);
}

void TextEngine::take_memory() {
  steps_ = writes_->steps(options_.positions);
  loop_ = std::make_unique<generate::IdLoop>(*steps_);
}

int64_t TextEngine::reservation(const TextTask& task) const {
  const int64_t longest = std::min(task.prompt_length + task.options.max_new_tokens, task.options.context);
  return (longest + memory_block - 1) / memory_block * memory_block * task.choices;
}

void TextEngine::submit(TextTask task) {
  const int64_t wanted = reservation(task);
  if (wanted > options_.positions) {
    throw ApiError(
        400,
        fmt::format("the request may take {} positions ({} of the prompt, up to {} new, {} choices), and the "
                    "server has memory for {}; ask for fewer, or start it with a larger --cache",
                    wanted, task.prompt_length, task.options.max_new_tokens, task.choices, options_.positions),
        "max_tokens", "context_length_exceeded");
  }
  if (task.choices > options_.rows)
    throw ApiError(
        400, fmt::format("n is {}, this server runs at most {} sequences at once", task.choices, options_.rows), "n");
  const std::lock_guard lock(mutex_);
  if (waiting_ >= options_.queue) {
    throw ApiError(429, fmt::format("{} requests wait already, which is this server's limit", waiting_), "",
                   "queue_full")
        .retry_after(std::max<int>(1, static_cast<int>(waiting_ / 32)));
  }
  auto& queue = queues_[task.client];
  if (queue.empty()) turns_.push_back(task.client);
  queue.push_back(std::move(task));
  ++waiting_;
}

size_t TextEngine::waiting() const {
  const std::lock_guard lock(mutex_);
  return waiting_;
}

/// Forgets requests that nobody waits for any more.
void TextEngine::drop_gone() {
  for (Active& active : active_) {
    if (!active.task.listener->gone()) continue;
    for (const auto& sequence : active.sequences) sequence->finish(generate::StopReason::caller);
  }
  std::vector<TextTask> left;  // told without the lock
  {
    const std::lock_guard lock(mutex_);
    for (auto& [client, queue] : queues_) {
      const auto gone =
          std::ranges::stable_partition(queue, [](const TextTask& task) { return !task.listener->gone(); });
      waiting_ -= static_cast<size_t>(std::ranges::ssize(gone));
      std::ranges::move(gone, std::back_inserter(left));
      queue.erase(gone.begin(), gone.end());
    }
    std::erase_if(turns_, [&](const std::string& client) { return queues_[client].empty(); });
    std::erase_if(queues_, [](const auto& entry) { return entry.second.empty(); });
  }
  const auto error = std::make_exception_ptr(ApiError(499, "the client left"));
  for (const TextTask& task : left) task.listener->failed(error);
}

/// Lets the next request begin if there is room for it. Clients take turns; nobody overtakes a large request for ever.
bool TextEngine::admit() {
  std::unique_lock lock(mutex_);
  if (turns_.empty()) return false;
  const std::string client = turns_.front();
  auto& queue = queues_[client];
  const int64_t wanted = reservation(queue.front());
  size_t rows = 0;
  for (const Active& active : active_) rows += active.sequences.size();
  if (reserved_ + wanted > options_.positions || static_cast<int64_t>(rows) + queue.front().choices > options_.rows)
    return false;
  TextTask task = std::move(queue.front());
  queue.pop_front();
  --waiting_;
  running_ += static_cast<size_t>(task.choices);
  turns_.pop_front();
  if (queue.empty()) queues_.erase(client);
  else turns_.push_back(client);
  lock.unlock();
  begin(std::move(task), wanted);
  return true;
}

void TextEngine::begin(TextTask task, int64_t reserved) {
  const auto listener = task.listener;
  const auto choices = static_cast<size_t>(task.choices);
  try {
    Active active{.task = std::move(task), .sequences = {}, .reserved = reserved, .began = Clock::now()};
    generate::Prompt prompt = active.task.see ? active.task.see() : std::move(active.task.prompt);
    for (int64_t c = 0; c < active.task.choices; ++c)
      active.sequences.push_back(
          std::make_unique<ServedSequence>(prompt, writes_->tokenizer(), active.task, static_cast<size_t>(c)));
    metrics_->queue_seconds.observe(seconds_between(active.task.arrived, active.began));
    active_.push_back(std::move(active));
    reserved_ += reserved;
  } catch (...) {
    running_ -= choices;
    listener->failed(std::current_exception());
  }
}

/// Reads on in prompts, one piece of each in turn, as the step's budget allows.
void TextEngine::read_prompts() {
  int64_t budget = std::max<int64_t>(options_.step_tokens - std::ssize(loop_->running()), 1);
  std::vector<Active*> ready;
  for (Active& active : active_) {
    while (budget > 0 && active.joined < active.sequences.size()) {
      const ServedSequence& next = *active.sequences[active.joined];
      if (next.finished()) {  // its client left before it began
        steps_->forget(next.prompt());
        ++active.joined;
        continue;
      }
      if (active.joined > 0 && !active.started) break;  // the first one's prompt is read first, the others find it
      const int64_t before = steps_->read_ahead(next.prompt(), 0).left;
      const auto [left, known] = steps_->read_ahead(next.prompt(), before > piece ? 1 : 0);
      if (active.joined == 0) active.known = known;
      if (before > piece) {
        budget -= piece;
        continue;
      }
      budget -= left;  // the last piece, which is read by joining
      ready.push_back(&active);
      ++active.joined;
      if (!active.started) break;
    }
  }
  // those that were read go to the back, so that long prompts take turns
  if (!active_.empty()) active_.splice(active_.end(), active_, active_.begin());
  if (!ready.empty()) join(ready);
}

/// `ready`: once for each sequence that joins, which are the last of their requests that were counted.
void TextEngine::join(const std::vector<Active*>& ready) {
  std::map<Active*, size_t> from;
  for (Active* active : ready) ++from[active];
  std::vector<generate::Sequence*> joining;
  for (auto& [active, count] : from) {
    for (size_t s = active->joined - count; s < active->joined; ++s) joining.push_back(active->sequences[s].get());
  }
  for (auto& [active, count] : from) {
    if (active->started) continue;
    active->started = true;
    metrics_->prompt_tokens.add(static_cast<uint64_t>(active->task.prompt_length));
    metrics_->cached_tokens.add(static_cast<uint64_t>(active->known));
    active->task.listener->started(active->task.prompt_length, active->known);
  }
  loop_->join(joining);
  for (auto& [active, count] : from) {
    if (active->joined == count)
      metrics_->first_token_seconds.observe(seconds_between(active->task.arrived, Clock::now()));
  }
  metrics_->new_tokens.add(joining.size());
}

/// A request of which one sequence met a fault of its own ends as a whole.
void TextEngine::fail_faulty() {
  for (Active& active : active_) {
    const auto faulty =
        std::ranges::find_if(active.sequences, [](const auto& each) { return each->error() != nullptr; });
    if (faulty == active.sequences.end()) continue;
    const std::exception_ptr error = (*faulty)->error();
    for (const auto& sequence : active.sequences) {
      if (!sequence->finished()) sequence->fail(error);
    }
    active.task.listener->failed(error);
  }
}

void TextEngine::clear_finished() {
  fail_faulty();
  loop_->leave();
  for (auto at = active_.begin(); at != active_.end();) {
    const bool done = std::ranges::all_of(at->sequences, [](const auto& sequence) { return sequence->finished(); });
    if (!done) {
      ++at;
      continue;
    }
    for (const auto& sequence : at->sequences) guess_.forget(*sequence);
    for (size_t s = at->joined; s < at->sequences.size(); ++s) steps_->forget(at->sequences[s]->prompt());
    reserved_ -= at->reserved;
    at = active_.erase(at);
  }
  size_t rows = 0;
  for (const Active& active : active_) rows += active.sequences.size();
  running_ = rows;
}

void TextEngine::fail_all(const std::exception_ptr& error) {
  for (Active& active : active_) active.task.listener->failed(error);
  active_.clear();
  reserved_ = 0;
  running_ = 0;
}

void TextEngine::fail_waiting(const std::exception_ptr& error) {
  std::map<std::string, std::deque<TextTask>> queues;
  {
    const std::lock_guard lock(mutex_);
    queues.swap(queues_);
    turns_.clear();
    waiting_ = 0;
  }
  for (const auto& [client, queue] : queues) {
    for (const TextTask& task : queue) task.listener->failed(error);
  }
}

/// After a fault the state of the rows is not known any more. Memory is given back, and taken again by the next step; where that fails too,
/// those who wait are told.
void TextEngine::give_up(const std::exception_ptr& error) {
  const bool had_memory = loop_ != nullptr;
  fail_all(error);
  if (!had_memory) fail_waiting(error);
  guess_ = {};
  loop_.reset();
  steps_.reset();
}

bool TextEngine::step() noexcept {
  try {
    if (loop_ == nullptr) take_memory();
    return advance();
  } catch (...) {
    give_up(std::current_exception());
  }
  return waiting() > 0;
}

bool TextEngine::advance() {
  drop_gone();
  clear_finished();
  while (admit()) {
  }
  if (active_.empty()) return false;
  if (!loop_->running().empty()) {
    const auto began = Clock::now();
    const int64_t rows = std::ssize(loop_->running());
    const int64_t before = loop_->drawn();
    if (rows <= options_.speculate) loop_->step(guess_);
    else loop_->step();
    metrics_->new_tokens.add(static_cast<uint64_t>(loop_->drawn() - before));
    metrics_->step_seconds.observe(seconds_between(began, Clock::now()));
  }
  read_prompts();
  clear_finished();
  return true;
}

}  // namespace tessera::serve
