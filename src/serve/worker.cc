// The thread goes round: other work, then a step of text, each in a turn of its own.
#include "serve/worker.h"

#include "core/log.h"
#include "serve/api_error.h"

namespace tessera::serve {

Worker::Worker(std::unique_ptr<LoadedModel> model, ModelCard card, const EngineOptions& options, Turns& turns,
               Metrics& metrics)
    : model_(std::move(model)), card_(std::move(card)), most_waiting_(options.queue), turns_(&turns) {
  if (const Writes* writes = model_->writes(); writes != nullptr && options.positions > 0)
    engine_ = std::make_unique<TextEngine>(*writes, options, metrics);
  thread_ = std::thread([this] { serve(); });
}

Worker::~Worker() {
  {
    const std::lock_guard lock(mutex_);
    leaving_ = true;
  }
  woken_.notify_all();
  thread_.join();
}

std::string abilities_of(const ModelCard& card) {
  std::string list;
  const auto add = [&](bool can, std::string_view what) {
    if (!can) return;
    if (!list.empty()) list += ", ";
    list += what;
  };
  add(card.chats, "chat");
  add(card.writes, "write");
  add(card.sees, "see");
  add(card.draws, "draw");
  return list;
}

void Worker::refuse(std::string_view wanted) const {
  throw ApiError(400, fmt::format("the model '{}' cannot {}; it can: {}", card_.name, wanted, abilities_of(card_)),
                 "model", "model_cannot");
}

const Writes& Worker::writes(std::string_view wanted) const {
  if (model_->writes() == nullptr || !engine_) refuse(wanted);
  return *model_->writes();
}

const Sees& Worker::sees() const {
  if (model_->sees() == nullptr || !engine_) refuse("see pictures");
  return *model_->sees();
}

const Draws& Worker::draws() const {
  if (model_->draws() == nullptr) refuse("draw");
  return *model_->draws();
}

std::shared_ptr<const generate::TokenTrie> Worker::token_trie() const {
  std::call_once(trie_once_,
                 [&] { trie_ = std::make_shared<const generate::TokenTrie>(model_->writes()->tokenizer()); });
  return trie_;
}

void Worker::submit(TextTask task) {
  task.lease = in_use_;
  engine_->submit(std::move(task));
  {
    const std::lock_guard lock(mutex_);
    wake_ = true;
  }
  woken_.notify_all();
}

void Worker::run(std::function<void(Turn&)> work, bool goes_on) {
  {
    const std::lock_guard lock(mutex_);
    if (!goes_on && work_.size() >= most_waiting_)
      throw ApiError(429, fmt::format("{} requests wait already, which is this server's limit", work_.size()), "",
                     "queue_full")
          .retry_after(10);
    work_.push_back([lease = in_use_, work = std::move(work)](Turn& turn) { work(turn); });
  }
  woken_.notify_all();
}

size_t Worker::waiting() const {
  const std::lock_guard lock(mutex_);
  return work_.size() + (engine_ ? engine_->waiting() : 0);
}

size_t Worker::running() const {
  const std::lock_guard lock(mutex_);
  return (working_ ? 1 : 0) + (engine_ ? engine_->running() : 0);
}

void Worker::serve() {
  bool more = false;
  while (true) {
    std::function<void(Turn&)> work;
    {
      std::unique_lock lock(mutex_);
      if (!more) woken_.wait(lock, [&] { return leaving_ || wake_ || !work_.empty(); });
      if (leaving_) return;
      wake_ = false;
      if (!work_.empty()) {
        work = std::move(work_.front());
        work_.pop_front();
        working_ = true;
      }
    }
    if (work) {
      Turn turn(*turns_);
      try {
        work(turn);
      } catch (const std::exception& fault) {
        log_warning("{}: {}", card_.name, fault.what());
      }
      work = nullptr;
      const std::lock_guard lock(mutex_);
      working_ = false;
    }
    more = false;
    if (engine_) {
      const Turn turn(*turns_);
      more = engine_->step();
      held_ = engine_->held();
    }
  }
}

}  // namespace tessera::serve
