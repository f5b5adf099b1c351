// `tessera see`: files and a question -> the model's Sees -> standard output. A file that cannot be read ends it: no picture is
// ever left out of a question.
#include "apps/see.h"

#include <algorithm>

#include "apps/terminal_picture.h"
#include "apps/text_request.h"
#include "core/error.h"
#include "core/files.h"
#include "core/interrupt.h"
#include "core/log.h"
#include "core/text_file.h"
#include "media/read_media.h"
#include "tensor/device.h"
#include "tensor/model_dir.h"

namespace tessera::apps {

namespace {

bool is_file(const std::string& word) {
  std::error_code error;  // a long question is no path, and no error either
  return std::filesystem::exists(word, error);
}

struct Asked {
  std::vector<std::string> files;
  std::string question;
};

/// All words but the last are files (one may be "-"), the last is not.
Asked asked(const SeeOptions& options) {
  constexpr const char* example = "as in: tessera see -m DIR picture.png \"how many cats?\"";
  if (options.words.empty()) throw UserError("[see] no pictures and no question; {}", example);
  Asked all{options.words, options.words.back()};
  all.files.pop_back();
  if (const auto dashes = std::count(all.files.begin(), all.files.end(), "-"); dashes > 1)
    throw UserError("[see] '-' is given {} times; standard input is read once", dashes);
  if (is_dash(all.question))
    throw UserError("[see] the last word is '-', which is a picture from standard input; end with the question, {}",
                    example);
  for (const std::string& file : all.files) {
    if (is_dash(file)) continue;
    if (!is_file(file))
      throw UserError("[see] {} does not exist; want pictures and clips, and last the question, {}", file, example);
    if (std::filesystem::is_directory(file)) throw UserError("[see] {} is a directory, want a picture or a clip", file);
  }
  if (is_file(all.question))
    throw UserError("[see] the last word, {}, is a file; end with the question, {}", all.question, example);
  if (is_blank(all.question)) throw UserError("[see] the question is empty; {}", example);
  if (options.frames < 0 || options.frames > 4096)
    throw UserError("[see] --frames is {}, want 1 to 4096, or 0 for the model's own", options.frames);
  return all;
}

const Sees& require_sees(const LoadedModel& model, const Path& directory) {
  if (const Sees* sees = model.sees()) return *sees;
  throw UserError("[see] {} holds a model of type '{}', which cannot see", directory.string(), model.model_type());
}

Json to_json(const Asked& asked, const Written& written, uint64_t seed) {
  const generate::Continuation& said = written.continuation;
  return {{"question", asked.question},
          {"media", asked.files},
          {"answer", said.text},
          {"tokens", said.tokens},
          {"reason", generate::name_of(said.reason)},
          {"prompt_tokens", written.prompt_tokens},
          {"first_token_seconds", written.first_token_seconds},
          {"seconds", written.seconds},
          {"tokens_per_second", tokens_per_second({written})},
          {"seed", seed}};
}

}  // namespace

int run_see(const SeeOptions& options) {
  const Asked what = asked(options);
  text_options(options.sampling, {}, 0);  // refuses bad numbers before anything is loaded
  std::optional<PicturePainter> painter;
  if (options.show || options.show_as != "auto") painter.emplace(options.show_as);
  if (painter && !painter->paints())
    log_warning("[see] standard output is no terminal; --show paints nothing (--show-as blocks paints all the same)");
  const ModelNotes notes = read_notes(options.model);
  if (notes.must_see && what.files.empty())
    throw UserError(
        "[see] a question without a picture; {} has only learnt to answer about pictures, as in: tessera see -m DIR "
        "picture.png \"What is this?\"",
        options.model.string());
  if (!notes.knows.empty()) log_info("{} knows {}", options.model.string(), notes.knows);
  const auto model =
      load_model(options.model, parse_device(options.compute.device), load_options(options.memory, options.adapter));
  const Sees& sees = require_sees(*model, options.model);

  SeeRequest request{.messages = {{.role = "user", .content = what.question, .media = std::ssize(what.files)}}};
  const int64_t frames = options.frames > 0 ? options.frames : sees.default_frames();
  for (const std::string& file : what.files)
    request.media.push_back(is_dash(file) ? media::decode_media(read_standard_input(), "standard input", frames)
                                          : media::read_media(file, frames));
  if (painter && !options.output.json) {
    for (const Media& media : request.media) painter->paint(media.frames.front());
  }
  const Writes* writes = model->writes();
  request.options =
      text_options(options.sampling, writes ? writes->sampling() : generate::TokenSampling{}, options.compute.seed);
  const InterruptGuard guard;
  request.options.on_step = [](int64_t) { return !InterruptGuard::raised(); };
  const bool streams = !options.output.json;
  if (streams) {
    request.options.on_text = [](size_t, std::string_view text) {
      show(text);
      return true;
    };
  }
  const Written written = sees.see({request}).front();
  if (streams) show("\n");
  log_info("{}", summary_of({written}, writes != nullptr ? writes->context() : 0));
  if (options.output.json) print_json(to_json(what, written, options.compute.seed));
  return InterruptGuard::raised() ? interrupted_status : 0;
}

}  // namespace tessera::apps
