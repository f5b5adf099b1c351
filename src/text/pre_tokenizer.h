// How a text is cut into the words that BPE works on: the pre_tokenizer of a tokenizer.json.
#pragma once

#include <deque>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

namespace tessera::text {

/// Words of one text: views into it, or into `made` where a step has changed them.
struct Words {
  std::vector<std::string_view> views;
  std::deque<std::string> made;
};

/// One step: cuts every word further.
class PreTokenizer {
 public:
  virtual ~PreTokenizer() = default;
  virtual void split(Words& words) const = 0;
};

/// The steps of a tokenizer.json, in order: Split, Digits, ByteLevel (last), alone or in a Sequence. Throws UserError for
/// any other, and where ByteLevel is missing from what works on bytes or there in what does not; `source` names the file.
std::vector<std::unique_ptr<PreTokenizer>> read_pre_tokenizer(const nlohmann::json& tree, bool on_bytes,
                                                              const std::string& source);

}  // namespace tessera::text
