// The models that are served: loaded at the start, or, under a limit of memory, when they are asked for. What is at work is never unloaded.
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/files.h"
#include "models/registry.h"
#include "serve/worker.h"

namespace tessera::serve {

/// Stands behind a card's precision where LoadOptions::exact holds.
inline constexpr std::string_view exact_mark = ", exact";

struct ModelsOptions {
  std::vector<Path> paths;
  at::Device device = at::kCPU;
  LoadOptions load;
  EngineOptions engine;  // `positions` is found from `cache_bytes`
  int64_t cache_bytes =
      0;  // of keys and values of each model that writes; 0: eight full contexts, 2 GiB and a quarter of the free memory at most
  int64_t memory = 0;  // of the weights and caches of all models together; 0: no limit
};

class Models {
 public:
  /// Loads every model once, so that a mistake shows at once; those that do not fit together are unloaded again. Throws UserError for two
  /// models of one name, and for one that alone is larger than the limit.
  Models(const ModelsOptions& options, Metrics& metrics);
  ~Models();

  std::vector<ModelCard> cards() const;
  /// Throws as get() does.
  ModelCard card(const std::string& name) const;
  /// The model of that name, "" where there is but one; held in memory as long as the pointer lives. Loads it where it is not there, and waits
  /// for others to be idle where there is no room. Throws ApiError 404 that names those there are.
  std::shared_ptr<Worker> get(const std::string& name);
  /// Throws as get() does, and loads nothing.
  void require(const std::string& name) const;
  /// Whether get() would return at once.
  bool is_loaded(const std::string& name) const;
  /// Over all models: that wait, that run, positions held.
  size_t waiting() const;
  size_t running() const;
  int64_t held() const;
  size_t loaded() const;
  /// Of the models in memory, their weights and their caches.
  int64_t bytes() const;

 private:
  struct Entry {
    Path path;
    ModelCard card;
    int64_t bytes = 0;      // of its weights in memory and its cache; of its files until it has been loaded once
    int64_t positions = 0;  // of its cache; 0: not known yet
    std::shared_ptr<Worker> worker;
    Clock::time_point used;
    std::string name = card.name;  // stays as it is, so that it is read without the lock
  };
  size_t find(const std::string& name) const;
  int64_t cache_of(const Writes& writes) const;
  void load(Entry& entry);
  void require_fits(const Entry& entry) const;
  bool make_room(const Entry& wanted);
  bool choose_leaving(const Entry& wanted, std::vector<std::pair<std::string, std::shared_ptr<Worker>>>& leaving);
  void wait_for_room(const Entry& wanted);

  ModelsOptions options_;
  Metrics* metrics_;
  Turns turns_;
  mutable std::mutex mutex_;  // of the entries
  std::mutex loading_;        // one at a time
  std::vector<Entry> entries_;
};

/// What a model is called: the name of its folder, or of its file without ".gguf".
std::string served_name(const Path& path);
/// SHA-256 over the names, sizes and contents of its files; of a file larger than 256 MiB pieces evenly over it stand for the contents.
std::string hash_of_model(const Path& path);

/// "8G", "512M", "1500000": bytes. Throws UserError; `option` names it.
int64_t parse_bytes(const std::string& text, std::string_view option);

}  // namespace tessera::serve
