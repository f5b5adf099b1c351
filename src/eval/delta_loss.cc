// Choosing rows, and the file of scores.
#include "eval/delta_loss.h"

#include <algorithm>
#include <cmath>

#include <torch/csrc/autograd/grad_mode.h>

#include "core/error.h"
#include "core/json_rows.h"

namespace tessera::eval {

namespace {
bool is_finite(const DeltaScore& s) { return std::isfinite(s.large) && std::isfinite(s.small); }

Json line_of(const DeltaScore& s) {
  // JSON has no non-finite numbers: null means "scored, not usable"
  const auto number = [](double x) { return std::isfinite(x) ? Json(x) : Json(nullptr); };
  return {{"source", s.source}, {"large", number(s.large)}, {"small", number(s.small)}, {"tokens", s.tokens}};
}

DeltaScore score_of(const Json& line, const std::string& where) {
  DeltaScore s;
  const auto number = [&](const char* key) {
    const auto found = line.is_object() ? line.find(key) : line.end();
    if (found == line.end() || !(found->is_number() || found->is_null()))
      throw UserError("[prune] {}: '{}' is no number", where, key);
    return found->is_null() ? std::nan("") : found->get<double>();
  };
  s.large = number("large");
  s.small = number("small");
  s.tokens = number("tokens");
  const auto source = line.find("source");
  if (source == line.end() || !source->is_string()) throw UserError("[prune] {}: 'source' is no text", where);
  s.source = source->get<std::string>();
  return s;
}
}  // namespace

Scorer scorer_of(train::Objective& objective) {
  return [&objective](const Sample& sample) {
    const at::NoGradGuard no_grad;
    const train::Loss loss = objective.loss({sample}, {.step = 0, .total_steps = 1, .rng = Rng(1)});
    return AnswerNats{loss.value.item<double>() * loss.weight, loss.weight};
  };
}

std::vector<size_t> kept_rows(const std::vector<DeltaScore>& scores, double share, bool per_token) {
  if (!(share > 0 && share <= 1)) throw UserError("[prune] keep is {}, want a share above 0 and at most 1", share);
  std::map<std::string, std::vector<size_t>> by_source;
  std::map<std::string, size_t> sizes;
  for (size_t i = 0; i < scores.size(); ++i) {
    ++sizes[scores[i].source];
    if (is_finite(scores[i])) by_source[scores[i].source].push_back(i);
  }
  std::vector<size_t> kept;
  for (auto& [source, rows] : by_source) {
    const auto wanted = static_cast<size_t>(std::max(1.0, std::round(share * static_cast<double>(sizes.at(source)))));
    std::stable_sort(rows.begin(), rows.end(),
                     [&](size_t a, size_t b) { return scores[a].delta(per_token) > scores[b].delta(per_token); });
    rows.resize(std::min(rows.size(), wanted));
    kept.insert(kept.end(), rows.begin(), rows.end());
  }
  std::sort(kept.begin(), kept.end());
  return kept;
}

ScoreFile::ScoreFile(const Path& file, const Json& made_of, FileSystem& files) {
  uint64_t complete = 0;
  if (std::filesystem::exists(file)) {
    const std::string text = read_file(file);
    int64_t number = 0;
    for (size_t end; (end = text.find('\n', complete)) != std::string::npos; complete = end + 1) {
      const std::string where = fmt::format("{} line {}", file.string(), ++number);
      const Json line = parse_json(std::string_view(text).substr(complete, end - complete), where);
      if (number > 1) scores_.push_back(score_of(line, where));
      else if (line != made_of)
        throw UserError("[prune] {} holds scores of other data or models; got {}, want {}; name another --scores file",
                        file.string(), line.dump(-1, ' ', false, Json::error_handler_t::replace), made_of.dump());
    }
    if (complete < text.size()) files.truncate(file, complete);  // torn by a crash
  } else if (file.has_parent_path()) {
    files.create_directories(file.parent_path());
  }
  out_ = files.open_append(file);
  if (complete == 0) out_->append(made_of.dump() + "\n");
}

void ScoreFile::append(const DeltaScore& score) {
  out_->append(json_row(line_of(score)));
  scores_.push_back(score);
}

void score_rows(ScoreFile& file, size_t count, const std::function<std::pair<Sample, std::string>(size_t)>& sample,
                const Scorer& large, const Scorer& small, const std::function<void(size_t)>& done) {
  if (file.scores().size() > count)
    throw UserError("[prune] the scores file holds {} rows, but there are {} samples", file.scores().size(), count);
  for (size_t i = file.scores().size(); i < count; ++i) {
    const auto [one, source] = sample(i);
    const AnswerNats a = large(one), b = small(one);
    if (a.tokens != b.tokens)
      throw UserError(
          "[prune] the models read row {} differently ({} and {} tokens of answer); want two with one tokenizer", i + 1,
          a.tokens, b.tokens);
    file.append({.source = source, .large = a.nats, .small = b.nats, .tokens = a.tokens});
    if (done) done(i + 1);
  }
}

std::map<std::string, PrunedSource> pruned_sources(const std::vector<DeltaScore>& scores,
                                                   const std::vector<size_t>& kept, bool per_token) {
  std::map<std::string, PrunedSource> sources;
  std::map<std::string, int64_t> finite;
  for (const DeltaScore& s : scores) {
    PrunedSource& source = sources[s.source];
    ++source.rows;
    if (is_finite(s)) {
      source.mean_delta += s.delta(per_token);
      ++finite[s.source];
    }
  }
  for (const size_t i : kept) {
    PrunedSource& source = sources[scores[i].source];
    ++source.kept;
    source.mean_delta_kept += scores[i].delta(per_token);
  }
  for (auto& [name, source] : sources) {
    source.mean_delta /= static_cast<double>(std::max<int64_t>(1, finite[name]));
    source.mean_delta_kept /= static_cast<double>(std::max<int64_t>(1, source.kept));
  }
  return sources;
}

}  // namespace tessera::eval
