// For tests of the verbs: a tiny language model's directory, and what standard input holds.
#pragma once

#include <iostream>
#include <sstream>
#include <string>

#include "core/log.h"
#include "core/progress.h"
#include "models/lm/architecture/model_files.h"
#include "models/lm/testing.h"
#include "tests/support/scratch.h"
#include "text/bpe_trainer.h"

namespace tessera::apps {

/// Random weights, a context of 64, a tokenizer of bytes and a few words with the "plain" chat template.
class TinyTextModel {
 public:
  explicit TinyTextModel(const Json& generation = Json::object()) {
    set_log_level(LogLevel::quiet);
    set_progress_enabled(false);
    std::filesystem::create_directories(directory());
    text::BpeTrainer trainer({.vocabulary = 280});
    trainer.add("once upon a time there was a cat, and the cat sat on the mat, and once there was a hat");
    trainer.save(trainer.train(), directory());
    lm::LmConfig config = lm::tiny_config();
    config.vocabulary = 300;
    lm::save_lm(directory(), lm::tiny_lm(config), {.stored_as = StoredAs::f32, .generation = generation});
  }
  Path directory() const { return scratch_ / "model"; }
  Path operator/(const std::string& name) const { return scratch_ / name; }

 private:
  testing::ScratchFolder scratch_;
};

/// Standard input holds these bytes as long as it lives.
class StandardInput {
 public:
  explicit StandardInput(const std::string& bytes) : bytes_(bytes), before_(std::cin.rdbuf(bytes_.rdbuf())) {
    std::cin.clear();
  }
  ~StandardInput() {
    std::cin.rdbuf(before_);
    std::cin.clear();
  }
  StandardInput(const StandardInput&) = delete;
  StandardInput& operator=(const StandardInput&) = delete;

 private:
  std::istringstream bytes_;
  std::streambuf* before_;
};

}  // namespace tessera::apps
