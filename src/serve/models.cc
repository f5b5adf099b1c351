// Which models are in memory. The least recently used one that is idle makes room.
#include "serve/models.h"

#include <algorithm>
#include <charconv>
#include <thread>

#include <fmt/ranges.h>

#include "core/digest.h"
#include "core/error.h"
#include "core/log.h"
#include "serve/api_error.h"
#include "tensor/model_dir.h"

namespace tessera::serve {

namespace {

std::vector<Path> files_of(const Path& path) {
  if (!std::filesystem::is_directory(path)) return {path};
  std::vector<Path> files;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(path)) {
    const bool hidden =
        entry.path().lexically_relative(path).string().starts_with('.');  // what versions and downloads keep
    if (entry.is_regular_file() && !hidden) files.push_back(entry.path());
  }
  std::ranges::sort(files);
  return files;
}

/// Of the files that a model's weights are read from: what is known before it is loaded.
int64_t bytes_of_files(const Path& path) {
  int64_t preferred = 0, others = 0;  // the same weights may lie there in an older format too
  for (const Path& file : files_of(path)) {
    const std::string kind = file.extension().string();
    const bool is_preferred = kind == ".safetensors" || kind == ".gguf";
    if (!is_preferred && kind != ".bin" && kind != ".pth" && kind != ".pt" && kind != ".ckpt") continue;
    (is_preferred ? preferred : others) += static_cast<int64_t>(std::filesystem::file_size(file));
  }
  return preferred > 0 ? preferred : others;
}

int64_t written_at(const Path& path) {
  const Path file = std::filesystem::is_directory(path) ? path / "config.json" : path;
  std::error_code error;
  const auto when = std::filesystem::last_write_time(file, error);
  if (error) return 0;
  const auto system = std::chrono::file_clock::to_sys(when);
  return std::chrono::duration_cast<std::chrono::seconds>(system.time_since_epoch()).count();
}

/// All of a file up to 256 MiB; of a larger one 256 pieces of 1 MiB, evenly over it, the first and the last megabyte among them.
void add_contents(Digest& digest, std::string_view bytes) {
  constexpr size_t piece = 1 << 20, pieces = 256;
  if (bytes.size() <= piece * pieces) return digest.update(bytes);
  const size_t last = bytes.size() - piece;
  for (size_t i = 0; i < pieces; ++i) digest.update(bytes.substr(last * i / (pieces - 1), piece));
}

}  // namespace

std::string served_name(const Path& path) {
  Path clean = path.lexically_normal();
  if (clean.filename().empty()) clean = clean.parent_path();
  if (clean.filename() == "." || clean.filename() == "..") clean = std::filesystem::canonical(path);
  return clean.extension() == ".gguf" ? clean.stem().string() : clean.filename().string();
}

std::string hash_of_model(const Path& path) {
  Digest digest;
  for (const Path& file : files_of(path)) {
    const auto size = std::filesystem::file_size(file);
    const std::string name = std::filesystem::is_directory(path) ? file.lexically_relative(path).string() : "";
    digest.update(fmt::format("{} {} {}\n", name.size(), name, size));
    if (size == 0) continue;
    const MappedFile map(file);
    add_contents(digest, map.bytes());
  }
  return digest.hex();
}

int64_t parse_bytes(const std::string& text, std::string_view option) {
  if (text.empty()) return 0;
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  const std::string_view unit = std::string_view(text).substr(static_cast<size_t>(end - text.data()));
  double factor = 0;
  if (unit.empty() || unit == "B") factor = 1;
  else if (unit == "K" || unit == "k" || unit == "KB" || unit == "KiB") factor = 1 << 10;
  else if (unit == "M" || unit == "MB" || unit == "MiB") factor = 1 << 20;
  else if (unit == "G" || unit == "GB" || unit == "GiB") factor = 1 << 30;
  if (error != std::errc() || factor == 0 || !(value > 0) || value * factor > 1e15)
    throw UserError("[serve] {} is '{}', want a size such as 8G or 512M", option, text);
  return static_cast<int64_t>(value * factor);
}

Models::Models(const ModelsOptions& options, Metrics& metrics) : options_(options), metrics_(&metrics) {
  for (const Path& path : options_.paths) {
    Entry entry{
        .path = path,
        .card = {.name = served_name(path),
                 .precision = options_.load.dtype + std::string(options_.load.exact ? exact_mark : std::string_view())},
        .worker = nullptr};
    for (const Entry& other : entries_) {
      if (other.card.name == entry.card.name)
        throw UserError("[serve] {} and {} would both be called '{}'; rename one", other.path.string(), path.string(),
                        entry.card.name);
    }
    entries_.push_back(std::move(entry));
  }
  for (Entry& entry : entries_) {
    entry.bytes = bytes_of_files(entry.path);
    if (options_.load.dtype == "bf16") entry.bytes /= 2;  // as few as they may become
    require_fits(entry);
    make_room(entry);  // idle, all of them: nobody has asked yet
    load(entry);
  }
}

Models::~Models() {
  for (Entry& entry : entries_) entry.worker.reset();
}

std::vector<ModelCard> Models::cards() const {
  const std::lock_guard lock(mutex_);
  std::vector<ModelCard> all;
  for (const Entry& entry : entries_) all.push_back(entry.card);
  return all;
}

size_t Models::find(const std::string& name) const {
  if (name.empty() && entries_.size() == 1) return 0;
  std::vector<std::string> known;
  for (size_t i = 0; i < entries_.size(); ++i) {
    if (entries_[i].name == name) return i;
    known.push_back(entries_[i].name);
  }
  if (name.empty()) {
    throw ApiError(400, fmt::format("'model' is missing; there are: {}", fmt::join(known, ", ")), "model",
                   "missing_required_parameter");
  }
  throw ApiError(404, fmt::format("there is no model '{}' here, but: {}", name, fmt::join(known, ", ")), "model",
                 "model_not_found");
}

void Models::require(const std::string& name) const { find(name); }

ModelCard Models::card(const std::string& name) const {
  const std::lock_guard lock(mutex_);
  return entries_[find(name)].card;
}

bool Models::is_loaded(const std::string& name) const {
  const std::lock_guard lock(mutex_);
  return entries_[find(name)].worker != nullptr;
}

/// Bytes of keys and values that a model gets which writes.
int64_t Models::cache_of(const Writes& writes) const {
  if (options_.cache_bytes > 0) return options_.cache_bytes;
  const auto free = static_cast<int64_t>(available_memory());
  const int64_t context = (writes.context() + memory_block) * writes.position_bytes();
  int64_t cache = std::max(std::min(8 * context, int64_t{2} << 30), std::max(context, 16384 * writes.position_bytes()));
  if (free > 0) cache = std::min(cache, free / 4);
  if (options_.memory > 0) cache = std::min(cache, std::max(options_.memory / 4, int64_t{64} << 20));
  return cache;
}

/// Into memory, and what is said of it into the card. Room for it was made as far as its size was known; here it is counted, and room is made
/// for what it takes.
void Models::load(Entry& entry) {
  const auto began = Clock::now();
  auto model = load_model(entry.path, options_.device, options_.load);
  ModelCard card = entry.card;
  card.type = model->model_type();
  if (card.hash.empty()) card.hash = hash_of_model(entry.path);
  card.created = written_at(entry.path);
  card.sees = model->sees() != nullptr;
  card.must_see = card.sees && read_notes(entry.path).must_see;
  card.draws = model->draws() != nullptr;
  EngineOptions engine = options_.engine;
  int64_t cache = 0;
  if (const Writes* writes = model->writes(); writes != nullptr && writes->position_bytes() > 0) {
    card.writes = true;
    card.chats = writes->chat_template() != nullptr;
    card.context = writes->context();
    card.sampling = writes->drawn_sampling();
    if (entry.positions == 0)  // once: the same requests fit whenever it is loaded
      entry.positions =
          std::max(cache_of(*writes) / writes->position_bytes() / memory_block * memory_block, 4 * memory_block);
    engine.positions = entry.positions;
    cache = engine.positions * writes->position_bytes();
  }
  {
    const std::lock_guard lock(mutex_);
    entry.bytes = model->weight_bytes() + cache;
  }
  require_fits(entry);
  wait_for_room(entry);
  auto worker = std::make_shared<Worker>(std::move(model), card, engine, turns_, *metrics_);
  {
    const std::lock_guard lock(mutex_);
    entry.card = card;
    entry.worker = std::move(worker);
    entry.used = Clock::now();
  }
  const std::string room =
      card.writes ? fmt::format(", context {}, {} MiB for {} positions", card.context, cache >> 20, engine.positions)
                  : "";
  log_info("loaded {} in {:.1f} s: {}; weights {} MiB{}", card.name, seconds_between(began, Clock::now()),
           abilities_of(card), (entry.bytes - cache) >> 20, room);
}

void Models::require_fits(const Entry& entry) const {
  if (options_.memory > 0 && entry.bytes > options_.memory)
    throw UserError("[serve] {} takes {} MiB with its cache, --memory allows {} MiB", entry.path.string(),
                    entry.bytes >> 20, options_.memory >> 20);
}

/// Throws ApiError 503 where those that work leave no room for a minute.
void Models::wait_for_room(const Entry& wanted) {
  const auto until = Clock::now() + std::chrono::seconds(60);
  while (!make_room(wanted)) {
    if (Clock::now() > until)
      throw ApiError(503, fmt::format("the model '{}' has to wait for others that work", wanted.card.name))
          .retry_after(10);
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
}

/// Unloads idle models, those used least recently first, until `wanted` fits. False where those that work leave no room.
bool Models::make_room(const Entry& wanted) {
  if (options_.memory == 0) return true;
  std::vector<std::pair<std::string, std::shared_ptr<Worker>>> leaving;  // ended, and told, without the lock
  const bool enough = choose_leaving(wanted, leaving);
  for (auto& [name, worker] : leaving) {
    worker.reset();
    log_info("unloaded {}", name);
  }
  return enough;
}

bool Models::choose_leaving(const Entry& wanted,
                            std::vector<std::pair<std::string, std::shared_ptr<Worker>>>& leaving) {
  const std::lock_guard lock(mutex_);
  while (true) {
    int64_t taken = wanted.worker ? 0 : wanted.bytes;
    Entry* oldest = nullptr;
    for (Entry& entry : entries_) {
      if (!entry.worker) continue;
      taken += entry.bytes;
      const bool idle = &entry != &wanted && entry.worker.use_count() == 1 && entry.worker->idle();
      if (idle && (oldest == nullptr || entry.used < oldest->used)) oldest = &entry;
    }
    if (taken <= options_.memory) return true;
    if (oldest == nullptr) return false;
    leaving.emplace_back(oldest->card.name, std::exchange(oldest->worker, nullptr));
  }
}

std::shared_ptr<Worker> Models::get(const std::string& name) {
  const size_t index = find(name);
  const auto loaded = [&]() -> std::shared_ptr<Worker> {
    const std::lock_guard lock(mutex_);
    Entry& entry = entries_[index];
    entry.used = Clock::now();
    return entry.worker;
  };
  if (auto worker = loaded()) return worker;
  const std::lock_guard one(loading_);
  if (auto worker = loaded()) return worker;
  wait_for_room(entries_[index]);
  load(entries_[index]);
  return loaded();
}

size_t Models::waiting() const {
  const std::lock_guard lock(mutex_);
  size_t all = 0;
  for (const Entry& entry : entries_) all += entry.worker ? entry.worker->waiting() : 0;
  return all;
}

size_t Models::running() const {
  const std::lock_guard lock(mutex_);
  size_t all = 0;
  for (const Entry& entry : entries_) all += entry.worker ? entry.worker->running() : 0;
  return all;
}

int64_t Models::held() const {
  const std::lock_guard lock(mutex_);
  int64_t all = 0;
  for (const Entry& entry : entries_) all += entry.worker ? entry.worker->held() : 0;
  return all;
}

int64_t Models::bytes() const {
  const std::lock_guard lock(mutex_);
  int64_t all = 0;
  for (const Entry& entry : entries_) all += entry.worker ? entry.bytes : 0;
  return all;
}

size_t Models::loaded() const {
  const std::lock_guard lock(mutex_);
  return static_cast<size_t>(std::ranges::count_if(entries_, [](const Entry& e) { return e.worker != nullptr; }));
}

}  // namespace tessera::serve
