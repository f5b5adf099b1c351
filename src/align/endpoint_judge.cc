// The two ways to ask, and what is read out of the answers.
#include "align/endpoint_judge.h"

#include <algorithm>
#include <charconv>

#include "core/error.h"
#include "core/log.h"
#include "text/chat_template.h"

namespace tessera::align {

namespace {
/// The question as a text that the answer follows.
std::string question_text(const JudgeTable& judge, const Judge::Request& request) {
  const std::string question = judge_question(request.prompt, request.answer, judge.scale);
  if (judge.chat_template.empty()) return question + "\n\n";
  return text::ChatTemplate::named(judge.chat_template).render({{.role = "user", .content = question}});
}

EndpointJob echo_job(const JudgeTable& judge, const Judge::Request& request, size_t key) {
  Json prompts = Json::array();
  const std::string question = question_text(judge, request);
  for (int64_t score = judge.scale.low; score <= judge.scale.high; ++score)
    prompts.push_back(question + judge_answer(score));
  Json body = {{"max_tokens", 0}, {"echo", true}, {"logprobs", 1}, {"temperature", 1.0}};
  body["prompt"] = std::move(prompts);
  return {.path = "/completions", .body = std::move(body), .key = key};
}

EndpointJob chat_job(const JudgeTable& judge, const Judge::Request& request, size_t key) {
  constexpr int64_t enough_for_a_rating = 64;
  Json body = chat_body(judge_question(request.prompt, request.answer, judge.scale));
  body["max_tokens"] = enough_for_a_rating;
  body["temperature"] = 0.0;
  return {.body = std::move(body), .key = key};
}

Judgement certain(int64_t score, const Scale& scale) {
  Judgement result{.score = static_cast<double>(score), .likeliest = score, .mass = 1};
  result.probabilities.assign(static_cast<size_t>(scale.count()), 0);
  result.probabilities[static_cast<size_t>(score - scale.low)] = 1;
  return result;
}

Judgement no_score(const Scale& scale) {
  return {.score = static_cast<double>(scale.low), .likeliest = scale.low, .mass = 0};
}

std::optional<Judgement> judgement_in(const Json& body, JudgeForm form, const Scale& scale) {
  if (form == JudgeForm::integers) {
    const auto score = score_in(chat_words(body), scale);
    if (!score) return std::nullopt;
    return certain(*score, scale);
  }
  const auto logs = echoed_log_probabilities(body, scale);
  if (!logs) return std::nullopt;
  return judgement_of(*logs, scale);
}

/// The sum over the last tokens, which together say `answer`; nothing where they do not.
std::optional<double> echoed_answer(const Json& choice, const std::string& answer) {
  const Json logprobs = choice.value("logprobs", Json());
  if (!logprobs.is_object() || !logprobs.contains("tokens") || !logprobs.contains("token_logprobs"))
    return std::nullopt;
  const Json &tokens = logprobs["tokens"], &logs = logprobs["token_logprobs"];
  if (!tokens.is_array() || !logs.is_array() || tokens.size() != logs.size()) return std::nullopt;
  std::string said;
  double sum = 0;
  for (size_t i = tokens.size(); i-- > 0;) {
    if (!tokens[i].is_string() || !logs[i].is_number()) return std::nullopt;
    said.insert(0, tokens[i].get<std::string>());
    sum += logs[i].get<double>();
    if (said.size() >= answer.size()) break;
  }
  if (!said.ends_with(answer)) return std::nullopt;
  return sum;
}

std::optional<int64_t> number_at(std::string_view text, size_t at, const Scale& scale) {
  while (at < text.size() && (text[at] == ' ' || text[at] == '[' || text[at] == '*')) ++at;
  int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data() + at, text.data() + text.size(), value);
  if (error != std::errc() || value < scale.low || value > scale.high) return std::nullopt;
  const bool fraction = end + 1 < text.data() + text.size() && *end == '.' && end[1] >= '0' && end[1] <= '9';
  return fraction ? std::nullopt : std::optional(value);
}
}  // namespace

std::string name_of(JudgeForm form) { return form == JudgeForm::integers ? "integers" : "log probabilities"; }

JudgeForm judge_form_of(std::string_view name) {
  for (const JudgeForm form : {JudgeForm::integers, JudgeForm::log_probabilities})
    if (name == name_of(form)) return form;
  throw UserError("[align] the store says that servers judge by '{}', want log probabilities or integers", name);
}

std::optional<JudgeForm> judge_form(const JudgeTable& judge, const std::function<bool()>& stop) {
  JudgeForm form = JudgeForm::log_probabilities;
  for (const Endpoint& endpoint : judge.endpoints) {
    EndpointJob job = echo_job(judge, {"What is 2 + 2?", "4"}, 0);
    job.may_refuse = true;
    bool answered = false, gives = false;
    ask_endpoints(
        {endpoint}, {std::move(job)},
        [&](const EndpointAnswer& answer, bool) {
          answered = true;
          gives = !answer.body.is_null() && echoed_log_probabilities(answer.body, judge.scale);
          return true;
        },
        stop);
    if (!answered) return std::nullopt;
    if (gives) continue;
    log_info("{} gives no log probabilities of texts: all answers are judged by the whole numbers that are written",
             endpoint.url);
    form = JudgeForm::integers;
  }
  return form;
}

void judge_elsewhere(const JudgeTable& judge, JudgeForm form, const std::vector<Judge::Request>& requests,
                     const std::function<void(size_t request, const Judgement& judgement)>& done,
                     const std::function<bool()>& stop) {
  std::vector<EndpointJob> jobs;
  for (size_t i = 0; i < requests.size(); ++i)
    jobs.push_back(form == JudgeForm::integers ? chat_job(judge, requests[i], i) : echo_job(judge, requests[i], i));
  ask_endpoints(
      judge.endpoints, std::move(jobs),
      [&](const EndpointAnswer& answer, bool last_try) {
        const auto found = judgement_in(answer.body, form, judge.scale);
        if (!found && !last_try) return false;
        done(answer.key, found.value_or(no_score(judge.scale)));
        return true;
      },
      stop);
}

std::optional<int64_t> score_in(std::string_view words, const Scale& scale) {
  if (const size_t at = words.find("[["); at != std::string_view::npos) return number_at(words, at + 2, scale);
  if (const size_t at = words.find("Rating:"); at != std::string_view::npos) return number_at(words, at + 7, scale);
  const size_t begin = words.find_first_not_of(" \t\r\n");
  return begin == std::string_view::npos ? std::nullopt : number_at(words, begin, scale);
}

std::optional<std::vector<double>> echoed_log_probabilities(const Json& body, const Scale& scale) {
  const Json& choices = body["choices"];
  if (std::ssize(choices) != scale.count()) return std::nullopt;
  std::vector<std::optional<double>> found(choices.size());
  for (const Json& choice : choices) {
    const Json index = choice.value("index", Json());
    if (!index.is_number_unsigned() || index.get<size_t>() >= found.size()) return std::nullopt;
    const auto at = index.get<size_t>();
    found[at] = echoed_answer(choice, judge_answer(scale.low + static_cast<int64_t>(at)));
  }
  std::vector<double> logs;
  for (const auto& each : found) {
    if (!each) return std::nullopt;
    logs.push_back(*each);
  }
  return logs;
}

}  // namespace tessera::align
