// Rules are a few lines each; a program is run once for all attempts of a step.
#include "train/verifier.h"

#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cmath>
#include <cstdio>
#include <cstdlib>

#include "core/error.h"
#include "core/files.h"
#include "core/json.h"
#include "core/json_rows.h"

namespace tessera::train {

namespace {
std::string_view trimmed(std::string_view text) {
  const size_t begin = text.find_first_not_of(" \t\r\n");
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(" \t\r\n") - begin + 1);
}

std::string lower(std::string_view text) {
  std::string copy(text);
  std::ranges::transform(copy, copy.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return copy;
}

bool is_digit(char c) { return c >= '0' && c <= '9'; }

bool same(const Attempt& a) { return trimmed(a.answer) == trimmed(a.reference); }

bool same_number(const Attempt& a) {
  const std::string want = last_number(a.reference);
  return !want.empty() && last_number(a.answer) == want;
}

bool contains(const Attempt& a) {
  const std::string want = lower(trimmed(a.reference));
  return !want.empty() && lower(a.answer).find(want) != std::string::npos;
}

using Rule = bool (*)(const Attempt&);

class RuleVerifier final : public Verifier {
 public:
  RuleVerifier(Rule rule, Rule lenient) : rule_(rule), lenient_(lenient) {}
  std::vector<Verdict> judge(const std::vector<Attempt>& attempts) const override {
    std::vector<Verdict> verdicts;
    for (const Attempt& each : attempts)
      verdicts.push_back({rule_(each) ? 1.0 : 0.0, same(each) ? 1.0 : 0.0, lenient_(each) ? 1.0 : 0.0});
    return verdicts;
  }

 private:
  Rule rule_, lenient_;
};

class ProgramVerifier final : public Verifier {
 public:
  explicit ProgramVerifier(std::string program) : program_(std::move(program)) {}
  std::vector<Verdict> judge(const std::vector<Attempt>& attempts) const override {
    std::string lines;
    for (const Attempt& each : attempts) {
      const Json row = {{"prompt", each.prompt}, {"answer", each.answer}, {"reference", each.reference}};
      lines += json_row(row);
    }
    const std::vector<double> rewards = run(lines, attempts.size());
    std::vector<Verdict> verdicts;
    for (size_t i = 0; i < attempts.size(); ++i)
      verdicts.push_back({rewards[i], same(attempts[i]) ? 1.0 : 0.0, contains(attempts[i]) ? 1.0 : 0.0});
    return verdicts;
  }

 private:
  std::vector<double> run(const std::string& lines, size_t want) const;
  std::string program_;
};

std::vector<double> ProgramVerifier::run(const std::string& lines, size_t want) const {
  std::string name = (std::filesystem::temp_directory_path() / "tessera-reward-XXXXXX").string();
  const int file = ::mkstemp(name.data());
  if (file < 0) throw FaultError("[reward] cannot write a file in {}", std::filesystem::temp_directory_path().string());
  ::close(file);
  std::string output;
  int status = 0;
  try {
    write_file_atomically(name, lines);
    FILE* pipe = ::popen(("(" + program_ + "\n) < '" + name + "'").c_str(), "r");
    if (pipe == nullptr) throw FaultError("[reward] cannot start '{}'", program_);
    std::array<char, 4096> part;
    for (size_t count = 0; (count = std::fread(part.data(), 1, part.size(), pipe)) > 0;)
      output.append(part.data(), count);
    status = ::pclose(pipe);
  } catch (...) {
    std::filesystem::remove(name);
    throw;
  }
  std::filesystem::remove(name);
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
    throw FaultError("[reward] '{}' ended with status {}, want 0", program_,
                     WIFEXITED(status) ? WEXITSTATUS(status) : -1);
  std::vector<double> rewards;
  const char* at = output.c_str();
  for (char* end = nullptr;; at = end) {
    const double number = std::strtod(at, &end);
    if (end == at) break;
    if (!std::isfinite(number)) throw FaultError("[reward] '{}' gave a reward that is no number", program_);
    rewards.push_back(number);
  }
  if (rewards.size() != want || !trimmed(at).empty())
    throw FaultError("[reward] '{}' wrote {} numbers{}, want one for each of {} answers", program_, rewards.size(),
                     trimmed(at).empty() ? "" : " and other words", want);
  return rewards;
}
}  // namespace

std::string last_number(std::string_view text) {
  size_t end = text.size();
  while (end > 0 && !is_digit(text[end - 1])) --end;
  size_t begin = end;
  const auto part_of_number = [&](size_t i) {
    if (is_digit(text[i])) return true;
    const bool between = i > 0 && is_digit(text[i - 1]) && i + 1 < text.size() && is_digit(text[i + 1]);
    return text[i] == '.' ? i + 1 < text.size() && is_digit(text[i + 1]) : text[i] == ',' && between;
  };
  while (begin > 0 && part_of_number(begin - 1)) --begin;
  std::string digits;
  for (size_t i = begin; i < end; ++i) {
    if (text[i] != ',') digits += text[i];
  }
  if (digits.empty()) return "";
  if (digits.find('.') != std::string::npos) {
    digits.erase(digits.find_last_not_of('0') + 1);
    if (digits.back() == '.') digits.pop_back();
  }
  digits.erase(0, std::min(digits.find_first_not_of('0'), digits.size()));
  if (digits.empty() || digits.front() == '.') digits.insert(0, 1, '0');
  const bool minus =
      begin > 0 && text[begin - 1] == '-' && (begin == 1 || !std::isalnum(static_cast<unsigned char>(text[begin - 2])));
  return minus && digits != "0" ? "-" + digits : digits;
}

std::unique_ptr<Verifier> make_verifier(const RewardTable& table) {
  if ((table.rule == "program") == table.program.empty())
    throw UserError("[reward] rule is '{}' and program '{}'; want a program with rule = \"program\" and with no other",
                    table.rule, table.program);
  if (table.rule == "program") return std::make_unique<ProgramVerifier>(table.program);
  if (table.rule == "exact") return std::make_unique<RuleVerifier>(same, contains);
  if (table.rule == "number") return std::make_unique<RuleVerifier>(same_number, same_number);
  if (table.rule == "contains") return std::make_unique<RuleVerifier>(contains, contains);
  throw UserError("[reward] rule is '{}', want exact, number, contains or program", table.rule);
}

std::vector<double> group_advantages(const std::vector<double>& rewards, int64_t group, bool scaled) {
  std::vector<double> advantages(rewards.size());
  for (size_t begin = 0; begin < rewards.size(); begin += static_cast<size_t>(group)) {
    const auto first = rewards.begin() + static_cast<std::ptrdiff_t>(begin), last = first + group;
    const double mean = std::accumulate(first, last, 0.0) / static_cast<double>(group);
    double squares = 0;
    for (auto at = first; at != last; ++at) squares += (*at - mean) * (*at - mean);
    const double spread = std::sqrt(squares / static_cast<double>(group - 1));
    for (int64_t i = 0; i < group; ++i) {
      const double above = *(first + i) - mean;
      advantages[begin + static_cast<size_t>(i)] = spread == 0 ? 0 : scaled ? above / (spread + 1e-4) : above;
    }
  }
  return advantages;
}

}  // namespace tessera::train
