// Texts and pictures become ids; what people typed never becomes a control token.
#include "models/liquid/prompts.h"

#include "core/error.h"
#include "core/text_file.h"

namespace tessera::liquid {

namespace {

constexpr std::string_view turn_begin = "<start_of_turn>", turn_end = "<end_of_turn>";

void require_turns(const std::vector<text::Message>& messages, size_t media) {
  int64_t counted = 0;
  for (size_t i = 0; i < messages.size(); ++i) {
    const std::string want = i % 2 == 0 ? "user" : "assistant";
    if (messages[i].role != want)
      throw UserError("[liquid] turn {} of the conversation is of '{}', want '{}': user and assistant in turn", i + 1,
                      messages[i].role, want);
    counted += messages[i].media;
  }
  if (counted != static_cast<int64_t>(media))
    throw UserError("[liquid] the conversation speaks of {} pictures, {} are given", counted, media);
}

}  // namespace

const std::vector<std::string>& drawing_suffixes() {
  static const std::vector<std::string> all{std::string(drawing_suffix),
                                            " Draw it.",
                                            " Draw a picture of this.",
                                            " Make an image of this description.",
                                            " Create a picture that shows this.",
                                            " Please draw what this says.",
                                            " Show it as an image.",
                                            " Generate the picture.",
                                            " Paint this.",
                                            " Turn this text into an image."};
  return all;
}

std::vector<int32_t> Prompter::begun() const {
  std::vector<int32_t> around = tokenizer_->encode("");
  const auto begin = tokenizer_->begin_token(), end = tokenizer_->end_token();
  const bool ends = !around.empty() && around.back() == end && (around.size() > 1 || begin != end);
  if (ends) around.pop_back();  // some tokenizers end texts too
  return around;
}

std::optional<int32_t> Prompter::end_of_turn() const {
  const auto begin = tokenizer_->id_of(turn_begin), end = tokenizer_->id_of(turn_end);
  return begin && end ? end : std::nullopt;
}

void Prompter::add_ids(Lesson& lesson, const std::vector<int32_t>& ids, bool learned) const {
  lesson.ids.insert(lesson.ids.end(), ids.begin(), ids.end());
  lesson.learned.resize(lesson.ids.size(), learned ? 1 : 0);
}

void Prompter::add_text(Lesson& lesson, std::string_view text, bool learned) const {
  add_ids(lesson, tokenizer_->encode(text, {.add_special = false, .parse_special = false}), learned);
}

void Prompter::add_picture(Lesson& lesson, const std::vector<int64_t>& codes, bool learned) const {
  add_ids(lesson, {static_cast<int32_t>(pictures_.begin)}, false);
  add_ids(lesson, ids_of(codes), learned);
  add_ids(lesson, {static_cast<int32_t>(pictures_.end)}, learned);
}

void Prompter::add_end(Lesson& lesson) const {
  if (const auto end = tokenizer_->end_token()) add_ids(lesson, {*end}, true);
}

std::vector<int32_t> Prompter::ids_of(const std::vector<int64_t>& codes) const {
  std::vector<int32_t> ids;
  for (const int64_t code : codes) {
    if (code < 0 || code >= pictures_.codes)
      throw UserError("[liquid] picture code {} is out of range, want 0 to {}", code, pictures_.codes - 1);
    ids.push_back(static_cast<int32_t>(pictures_.first + code));
  }
  return ids;
}

std::vector<int32_t> Prompter::drawing(std::string_view prompt, std::string_view suffix) const {
  if (is_blank(prompt)) throw UserError("[draw] a prompt is empty; say what to draw, as in \"red apple\"");
  Lesson lesson;
  add_ids(lesson, begun(), false);
  add_text(lesson, std::string(prompt) + std::string(suffix), false);
  add_ids(lesson, {static_cast<int32_t>(pictures_.begin)}, false);
  return lesson.ids;
}

std::vector<int32_t> Prompter::unconditional() const {
  std::vector<int32_t> ids = begun();
  ids.push_back(static_cast<int32_t>(pictures_.unconditional));
  ids.push_back(static_cast<int32_t>(pictures_.begin));
  return ids;
}

Prompter::Lesson Prompter::drawing_lesson(std::string_view prompt, std::string_view suffix,
                                          const std::vector<int64_t>& codes, bool without_prompt) const {
  Lesson lesson;
  std::vector<int32_t> before = without_prompt ? unconditional() : drawing(prompt, suffix);
  before.pop_back();  // <boi>, which the picture brings
  add_ids(lesson, before, false);
  add_picture(lesson, codes, true);
  add_end(lesson);
  return lesson;
}

Prompter::Lesson Prompter::caption_lesson(std::string_view caption, const std::vector<int64_t>& codes) const {
  Lesson lesson;
  add_ids(lesson, begun(), false);
  add_picture(lesson, codes, false);
  add_text(lesson, caption_question, false);
  add_text(lesson, caption, true);
  add_end(lesson);
  return lesson;
}

Prompter::Lesson Prompter::conversation(const std::vector<text::Message>& messages,
                                        const std::vector<std::vector<int64_t>>& media) const {
  require_turns(messages, media.size());
  const std::optional<int32_t> end = end_of_turn();
  Lesson lesson;
  add_ids(lesson, begun(), false);
  size_t picture = 0;
  std::string control;  // of turns, not yet added
  const auto add = [&](std::string_view typed) {
    add_ids(lesson, tokenizer_->encode_parts({{control, true}, {std::string(typed), false}}), false);
    control.clear();
  };
  for (const text::Message& message : messages) {
    if (message.role == "user") {
      if (end) control += std::string(turn_begin) + "user\n";
      if (message.media > 0) {
        add("");
        for (int64_t i = 0; i < message.media; ++i) add_picture(lesson, media[picture++], false);
        if (end) control = "\n";
      }
      if (!end) {
        add(message.content);
        continue;
      }
      add_ids(lesson,
              tokenizer_->encode_parts({{control, true},
                                        {message.content, false},
                                        {std::string(turn_end) + "\n" + std::string(turn_begin) + "model\n", true}}),
              false);
      control.clear();
    } else {
      add_text(lesson, message.content, true);
      if (end) {
        add_ids(lesson, {*end}, true);
        control = "\n";
      } else {
        add_end(lesson);
      }
    }
  }
  return lesson;
}

std::vector<int32_t> Prompter::seeing(const std::vector<text::Message>& messages,
                                      const std::vector<std::vector<int64_t>>& media) const {
  if (messages.empty() || messages.back().role != "user")
    throw UserError("[liquid] a conversation must end with a user's turn");
  return conversation(messages, media).ids;
}

Prompter::Lesson Prompter::talk_lesson(const std::vector<text::Message>& messages,
                                       const std::vector<std::vector<int64_t>>& media) const {
  return conversation(messages, media);
}

}  // namespace tessera::liquid
