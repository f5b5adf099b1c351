// Batches of continuations; what is new among them goes into the store with the number of the batch in one transaction.
#include "align/synthesis.h"

#include <algorithm>
#include <cctype>
#include <map>

#include "align/near_duplicates.h"
#include "align/writer.h"
#include "core/error.h"
#include "core/interrupt.h"
#include "core/json.h"
#include "core/log.h"
#include "core/rng.h"

namespace tessera::align {

namespace {
constexpr int64_t batch_size = 64;

std::string one_line(std::string_view text) {
  std::string line;
  for (const char c : text) line += c == '\n' || c == '\r' ? ' ' : c;
  return line;
}

/// Which seed prompts the i-th synthetic one is shown, a function of (seed, i).
std::vector<size_t> examples_for(Rng rng, size_t available, const PromptTable& table) {
  const auto least = static_cast<size_t>(table.shown_least), most = static_cast<size_t>(table.shown_most);
  const size_t count = std::min(available, least + rng.below(most - least + 1));
  std::vector<size_t> chosen;
  while (chosen.size() < count) {
    const size_t candidate = rng.below(available);
    if (std::ranges::find(chosen, candidate) == chosen.end()) chosen.push_back(candidate);
  }
  return chosen;
}

struct Batch {
  std::vector<WritingJob> jobs;
  std::vector<StoredPrompt> prompts;  // without their texts
};

Batch batch_of(const Writes& base, const std::vector<StoredPrompt>& examples, const PromptTable& table, uint64_t seed,
               int64_t number) {
  Batch batch;
  for (int64_t i = 0; i < batch_size; ++i) {
    const Rng rng = Rng(seed).split(static_cast<uint64_t>(number * batch_size + i));
    std::vector<std::string> shown;
    StoredPrompt prompt{.origin = "synthetic", .model = "base", .seed = rng.split(1).next()};
    for (const size_t each : examples_for(rng, examples.size(), table)) {
      shown.push_back(examples[each].text);
      if (!prompt.shown.empty()) prompt.shown += ' ';
      prompt.shown += std::to_string(examples[each].id);
    }
    batch.jobs.push_back({.prompt = text::encode_prompt(base.tokenizer(), few_shot_text(shown)),
                          .seed = prompt.seed,
                          .key = static_cast<size_t>(i)});
    batch.prompts.push_back(std::move(prompt));
  }
  return batch;
}
}  // namespace

std::string few_shot_text(const std::vector<std::string>& examples) {
  std::string text = "Here is a list of different tasks that people ask an assistant to do.\n\n";
  for (size_t i = 0; i < examples.size(); ++i) text += fmt::format("{}. {}\n", i + 1, one_line(examples[i]));
  return text + fmt::format("{}.", examples.size() + 1);
}

std::string prompt_in(std::string_view continuation) {
  std::string_view line = continuation.substr(0, continuation.find('\n'));
  const auto blank = [](char c) { return std::isspace(static_cast<unsigned char>(c)) != 0; };
  while (!line.empty() && blank(line.front())) line.remove_prefix(1);
  while (!line.empty() && blank(line.back())) line.remove_suffix(1);
  const bool says_something = std::ranges::any_of(line, [](char c) {
    return std::isalpha(static_cast<unsigned char>(c)) != 0 || static_cast<unsigned char>(c) >= 0x80;
  });
  return says_something ? std::string(line) : "";
}

Synthesis synthesize(const Writes& base, Store& store, const PromptTable& table, uint64_t seed, int64_t at_once,
                     const std::function<void(int64_t kept)>& on_progress) {
  const std::vector<StoredPrompt> examples = store.prompts("seed");
  if (std::ssize(examples) < table.shown_least)
    throw UserError("[align] {} different seed prompts, want at least the {} that are shown for a new one",
                    examples.size(), table.shown_least);
  NearDuplicates near(table.near);
  store.each_prompt([&](const StoredPrompt& prompt) {
    near.known_or_add(prompt.text);
    return true;
  });
  Synthesis result;
  if (const std::string counts = store.note("synthesis counts"); !counts.empty())
    from_json(parse_json(counts, "synthesis counts"), result, "synthesis counts");
  result.kept = store.count_prompts("synthetic");
  const std::string done = store.note("synthesis batches");
  const int64_t batches = (table.pool * table.attempts + batch_size - 1) / batch_size;
  for (int64_t number = done.empty() ? 0 : std::stoll(done); number < batches && result.kept < table.pool; ++number) {
    Batch batch = batch_of(base, examples, table, seed, number);
    write_all(base, batch.jobs,
              {.max_tokens = table.max_tokens,
               .temperature = table.temperature,
               .top_p = table.top_p,
               .stop = {"\n"},
               .at_once = at_once},
              [&](WrittenText written) {
                if (written.finished) batch.prompts[written.key].text = prompt_in(written.text);
                return !InterruptGuard::raised();
              });
    if (InterruptGuard::raised()) return result;  // the batch is written anew
    std::vector<StoredPrompt> fresh;
    for (StoredPrompt& prompt : batch.prompts) {
      if (result.kept + std::ssize(fresh) == table.pool) break;
      ++result.written;
      if (prompt.text.empty()) ++result.empty;
      else if (near.known_or_add(prompt.text)) ++result.near;
      else fresh.push_back(std::move(prompt));
    }
    result.kept += std::ssize(fresh);
    const int64_t added = store.add_prompts(
        fresh, {{"synthesis batches", std::to_string(number + 1)}, {"synthesis counts", to_json(result).dump()}});
    result.near += std::ssize(fresh) - added;  // equal ones whose words MinHash does not see, as those of signs alone
    result.kept += added - std::ssize(fresh);
    on_progress(result.kept);
  }
  if (result.kept < table.pool)
    log_warning(
        "[align] the pool has {} prompts, {} were wanted: the model repeats itself ({} near others, {} without words)",
        result.kept, table.pool, result.near, result.empty);
  return result;
}

std::vector<int64_t> choose_prompts(const Store& store, int64_t round, int64_t count, bool diversified, uint64_t seed) {
  std::map<int64_t, std::vector<int64_t>> unused;  // by cluster
  for (const auto& [id, cluster] : store.unused_prompts()) unused[diversified ? cluster : id].push_back(id);
  Rng rng = Rng(seed).split(static_cast<uint64_t>(round));
  std::vector<int64_t> groups;
  for (const auto& [group, prompts] : unused) groups.push_back(group);
  for (size_t i = groups.size(); i > 1; --i) std::swap(groups[i - 1], groups[rng.below(i)]);
  std::vector<int64_t> chosen;
  // With fewer clusters than prompts wanted, those that still have some give another one.
  while (std::ssize(chosen) < count && !groups.empty()) {
    std::vector<int64_t> left;
    for (const int64_t group : groups) {
      if (std::ssize(chosen) == count) break;
      std::vector<int64_t>& prompts = unused[group];
      const size_t at = rng.below(prompts.size());
      chosen.push_back(prompts[at]);
      prompts.erase(prompts.begin() + static_cast<std::ptrdiff_t>(at));
      if (!prompts.empty()) left.push_back(group);
    }
    groups = std::move(left);
  }
  if (std::ssize(chosen) < count)
    throw UserError("[align] round {} wants {} unused prompts, the pool has {}; make prompts.pool larger", round, count,
                    chosen.size());
  std::ranges::sort(chosen);
  return chosen;
}

}  // namespace tessera::align
