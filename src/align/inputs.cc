// Files to prompts, rows and ratings.
#include "align/inputs.h"

#include <algorithm>

#include "core/counted.h"
#include "core/error.h"
#include "core/json.h"
#include "core/json_rows.h"
#include "core/text_file.h"
#include "data/chat_row.h"

namespace tessera::align {

namespace {
void require_file(const std::string& path, std::string_view key) {
  if (!std::filesystem::is_regular_file(path))
    throw UserError("[align] '{}' is {}, which is no file; give yours by --set {}=FILE", key, path, key);
}
}  // namespace

Inputs read_inputs(const AlignRecipe& recipe) {
  require_file(recipe.seeds, "seeds");
  if (trains_judge(recipe)) require_file(recipe.ratings, "ratings");
  Inputs inputs;
  int64_t number = 0;
  RowRepairs repairs;
  for (const std::string& line : read_text_lines(recipe.seeds, "align")) {
    const std::string where = fmt::format("{} row {}", recipe.seeds, ++number);
    const data::ChatRow row = data::parse_chat_row(line, where, &repairs);
    if (!row.media.empty()) throw UserError("[align] {} has pictures, want text alone", where);
    const auto user = std::ranges::find(row.messages, "user", &text::Message::role);
    if (user == row.messages.end() || is_blank(user->content)) throw UserError("[align] {} asks nothing", where);
    inputs.prompts.push_back({.text = user->content, .origin = "seed"});
    inputs.seed_rows += line + "\n";
  }
  repairs.warn("align");
  if (inputs.prompts.empty()) throw UserError("[align] {} holds no conversation", recipe.seeds);
  if (std::ssize(inputs.prompts) < recipe.prompts.shown_least)
    throw UserError("[align] {} holds {}, want at least the {} that are shown for a new prompt", recipe.seeds,
                    counted(std::ssize(inputs.prompts), "conversation"), recipe.prompts.shown_least);
  if (trains_judge(recipe)) inputs.ratings = read_ratings(recipe.ratings, recipe.judge.scale);
  return inputs;
}

std::string row_of(std::string_view prompt, std::string_view answer) {
  Json turns =
      Json::array({Json{{"role", "user"}, {"content", prompt}}, Json{{"role", "assistant"}, {"content", answer}}});
  const Json row = {{"messages", std::move(turns)}};
  return json_row(row);
}

std::string lessons_of(const std::vector<RatedAnswer>& ratings, const Scale& scale) {
  std::string rows;
  for (const RatedAnswer& rated : ratings) {
    const std::vector<text::Message> lesson = judge_lesson(rated, scale);
    rows += row_of(lesson[0].content, lesson[1].content);
  }
  return rows;
}

}  // namespace tessera::align
