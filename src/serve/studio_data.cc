// Samples of data, passages that an answer quotes, and votes in the form that preference tuning takes.
#include <algorithm>
#include <charconv>

#include "core/base64.h"
#include "core/error.h"
#include "core/utf8.h"
#include "data/source.h"
#include "media/picture_file.h"
#include "serve/api_error.h"
#include "serve/json_fields.h"
#include "serve/studio.h"

namespace tessera::serve {

/// One source of samples, with what turns its tokens into words.
struct Studio::Data {
  std::unique_ptr<SampleSource> source;
  std::unique_ptr<text::Tokenizer> tokenizer;
};

namespace {

constexpr std::string_view own_data = "Emoji World";
constexpr int64_t most_samples_at_once = 60;
constexpr int64_t least_quoted = 6;    // tokens of a passage
constexpr size_t most_passages = 5;    // shown of one quotation
constexpr int64_t around = 40;         // tokens shown before and after it
constexpr size_t most_text = 200'000;  // bytes of a text that is looked up

std::string picture_uri(const Image& picture) {
  return "data:image/png;base64," + base64_encoded(media::encode_picture(picture, media::PictureKind::png));
}

Json sample_json(const Sample& sample, const text::Tokenizer* tokenizer, int64_t index) {
  std::string text = sample.caption;
  const auto add = [&](const std::string& line) { text += (text.empty() ? "" : "\n") + line; };
  for (const text::Message& message : sample.messages) add(message.role + ": " + message.content);
  for (const Question& question : sample.questions) add(question.text + " \xE2\x86\x92 " + question.answer);
  if (!sample.tokens.empty()) {
    if (tokenizer != nullptr) add(tokenizer->decode(sample.tokens, false));
    else add(fmt::format("{} tokens", sample.tokens.size()));
  }
  Json json = {{"index", index}, {"text", to_utf8(text)}};
  const Image* picture = !sample.picture.pixels.empty() ? &sample.picture : nullptr;
  if (picture == nullptr && !sample.media.empty() && !sample.media[0].frames.empty())
    picture = &sample.media[0].frames[0];
  if (picture == nullptr && !sample.frames.empty()) picture = &sample.frames[0];
  if (picture != nullptr) json["picture"] = picture_uri(*picture);
  return json;
}

int64_t parameter(const HttpRequest& request, std::string_view name, int64_t usual, int64_t most) {
  const std::string text = request.parameter(name).value_or(std::to_string(usual));
  int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value < 0 || value > most)
    throw ApiError(400, fmt::format("'{}' must be a whole number from 0 to {}", name, most), std::string(name));
  return value;
}

}  // namespace

Studio::~Studio() = default;

/// Recipes of the runs by the runs' names.
std::map<std::string, Path> Studio::recipes() const {
  std::map<std::string, Path> found;
  std::error_code none;
  if (options_.runs.empty()) return found;
  for (const auto& entry : std::filesystem::directory_iterator(options_.runs, none)) {
    const Path recipe = entry.path() / "recipe.toml";
    const std::string name = entry.path().filename().string();
    if (!entry.is_symlink() && !name.starts_with('.') && std::filesystem::is_regular_file(recipe, none))
      found[name] = recipe;
  }
  return found;
}

Json Studio::list_data() {
  Json sets = Json::array({{{"name", own_data}}});
  for (const auto& [name, recipe] : recipes()) sets.push_back({{"name", name}});
  return {{"sets", sets}};
}

std::shared_ptr<const Studio::Data> Studio::data_of(const std::string& name) {
  const std::lock_guard lock(mutex_);
  if (const auto found = data_.find(name); found != data_.end()) return found->second;
  data::DataConfig config;
  if (name == own_data) {
    config.emoji.kind = "scene";
  } else {
    const auto all = recipes();
    const auto found = all.find(name);
    if (found == all.end()) throw ApiError(404, "there are no data of that name", "set");
    const Path& recipe = found->second;
    const Json tree = read_toml_file(recipe);
    if (!tree.contains("data")) throw ApiError(404, fmt::format("the recipe of {} names no data", name), "set");
    from_json(tree["data"], config, recipe.string(), "data");
  }
  auto made = std::make_shared<Data>();
  made->source = data::make_source(config);
  if (config.kind == "text" && !config.text.tokenizer.empty())
    made->tokenizer = text::load_tokenizer(config.text.tokenizer);
  return data_[name] = std::move(made);
}

Json Studio::data_samples(const HttpRequest& request) {
  const std::string name = request.parameter("set").value_or(std::string(own_data));
  const int64_t at = parameter(request, "at", 0, int64_t{1} << 40);
  const int64_t count = parameter(request, "count", 24, most_samples_at_once);
  std::shared_ptr<const Data> data;
  try {
    data = data_of(name);
  } catch (const Error& error) {
    throw ApiError(404, error.what(), "set");
  }
  const std::optional<uint64_t> pass = data->source->pass_length();
  const int64_t end = pass ? std::min(at + count, static_cast<int64_t>(*pass)) : at + count;
  Json samples = Json::array();
  for (int64_t i = at; i < end; ++i)
    samples.push_back(sample_json(data->source->at(static_cast<uint64_t>(i)), data->tokenizer.get(), i));
  return {{"at", at}, {"size", pass ? Json(*pass) : Json(nullptr)}, {"samples", samples}};
}

/// The index over ids of this tokenizer. Throws ApiError 400 where it is of another one.
std::shared_ptr<const data::CitationIndex> Studio::citation_index(const text::Tokenizer& tokenizer) {
  const std::string key = text::fingerprint(tokenizer);
  const std::lock_guard lock(mutex_);
  auto& known = indexes_[key];
  try {
    if (known == nullptr)
      known = std::make_shared<const data::CitationIndex>(data::CitationIndex::open(options_.citations, key));
  } catch (const Error& error) {
    throw ApiError(400, error.what(), "model");
  }
  return known;
}

Json Studio::citations(const Json& body) {
  const Fields fields(body);
  if (options_.citations.empty())
    throw ApiError(404, "this server has no citation index; start it with --citations FILE");
  const std::string text = fields.required_text("text");
  if (text.size() > most_text) throw ApiError(413, fmt::format("the text has more than {} bytes", most_text), "text");
  const auto worker = models_->get(fields.text("model"));
  const text::Tokenizer& tokenizer = worker->writes("citations").tokenizer();
  const std::shared_ptr<const data::CitationIndex> index = citation_index(tokenizer);
  const std::vector<int32_t> ids = tokenizer.encode(text, {.add_special = false, .parse_special = false});
  const auto text_of = [&](std::span<const int32_t> run) {
    return to_utf8(tokenizer.decode({run.begin(), run.end()}, false));
  };
  Json parts = Json::array(), matches = Json::array();
  std::string plain;
  const auto flush = [&] {
    if (!plain.empty()) parts.push_back({{"text", to_utf8(plain)}});
    plain.clear();
  };
  for (size_t at = 0; at < ids.size();) {
    const int64_t length = index->match(std::span(ids).subspan(at));
    if (length < least_quoted) {
      plain += tokenizer.text_of(ids[at], at == 0);
      ++at;
      continue;
    }
    flush();
    const std::span<const int32_t> run = std::span(ids).subspan(at, static_cast<size_t>(length));
    Json passages = Json::array();
    const auto [found, count] = index->occurrences(run, most_passages);
    for (const auto& [number, begin] : found) {
      const auto passage = index->passage(number);
      const int64_t first = std::max<int64_t>(begin - around, 0), after = begin + length;
      const int64_t last = std::min<int64_t>(after + around, std::ssize(passage));
      passages.push_back(
          {{"number", number},
           {"before", text_of(passage.subspan(static_cast<size_t>(first), static_cast<size_t>(begin - first)))},
           {"match", text_of(run)},
           {"after", text_of(passage.subspan(static_cast<size_t>(after), static_cast<size_t>(last - after)))}});
    }
    std::string quoted;
    for (size_t k = 0; k < run.size(); ++k) quoted += tokenizer.text_of(run[k], at + k == 0);
    parts.push_back({{"text", to_utf8(quoted)}, {"match", matches.size()}});
    matches.push_back({{"tokens", length}, {"count", count}, {"passages", passages}});
    at += static_cast<size_t>(length);
  }
  flush();
  return {{"least_tokens", least_quoted},
          {"index", {{"tokens", index->tokens()}, {"passages", index->passages()}}},
          {"parts", parts},
          {"matches", matches}};
}

Json Studio::vote(const Json& body) {
  const Fields fields(body);
  if (options_.votes.empty()) throw ApiError(404, "this server keeps no votes; start it with --votes FILE");
  const std::string prompt = fields.required_text("prompt");
  const Json* const answers = fields.list("answers");
  if (answers == nullptr || answers->size() < 2 || answers->size() > 4)
    fields.refuse("answers", body.value("answers", Json()), "two to four answers");
  for (size_t i = 0; i < answers->size(); ++i)
    Fields((*answers)[i], "answers[" + std::to_string(i) + "].").required_text("text");
  const auto best = fields.whole("best", 0, std::ssize(*answers) - 1);
  const auto turn = [](const std::string& role, const Json& text) {
    return Json::array({{{"role", role}, {"content", text}}});
  };
  const auto about = [](const Json& answer) {
    return Json{{"model", answer.value("model", Json())}, {"seed", answer.value("seed", Json())}};
  };
  std::string lines;
  for (size_t i = 0; best && i < answers->size(); ++i) {
    if (static_cast<int64_t>(i) == *best) continue;
    const Json &chosen = (*answers)[static_cast<size_t>(*best)], &rejected = (*answers)[i];
    lines += wire({{"prompt", turn("user", prompt)},
                   {"chosen", turn("assistant", chosen["text"])},
                   {"rejected", turn("assistant", rejected["text"])},
                   {"chosen_by", about(chosen)},
                   {"rejected_by", about(rejected)},
                   {"blind", fields.flag("blind")}}) +
             "\n";
  }
  const std::lock_guard lock(mutex_);
  if (!lines.empty()) {
    const auto file = disk().open_append(options_.votes);
    file->append(lines);
    file->sync();
    file->close();
    ++votes_;
  }
  return {{"votes", votes_}};
}

}  // namespace tessera::serve
