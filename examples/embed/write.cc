// Continues a text and shows it as it comes.
// Usage: write MODEL_DIR "Once"
#include <cstdio>

#include "tessera/core/error.h"
#include "tessera/models/registry.h"
#include "tessera/tensor/device.h"

int main(int count, char** words) try {
  if (count != 3) throw tessera::UserError("[write] usage: write MODEL_DIR TEXT");
  const auto model = tessera::load_model(words[1], tessera::parse_device("auto"));
  const tessera::Writes* writes = model->writes();
  if (writes == nullptr) throw tessera::UserError("[write] {} cannot write", model->model_type());

  tessera::generate::TextOptions options;
  options.max_new_tokens = 64;
  options.sampling = {.temperature = 0.8, .top_p = 0.95, .seed = 1};  // left out: the most likely token each time
  options.on_text = [](size_t, std::string_view text) {
    std::fwrite(text.data(), 1, text.size(), stdout);
    std::fflush(stdout);
    return true;  // false ends this text
  };
  const tessera::Written written = writes->write({words[2]}, options).front();
  std::printf("\n%zu tokens, ended by %s\n", written.continuation.tokens.size(),
              std::string(tessera::generate::name_of(written.continuation.reason)).c_str());
  return 0;
} catch (const tessera::Error& error) {
  std::fprintf(stderr, "write: %s\n", error.what());
  return error.exit_status();
}
