// People's own words: any folder of .txt files, as windows of token ids for a language model. What must stay true: no token that
// is held out is ever in a window that trains.
#pragma once

#include <string>
#include <vector>

#include "core/fields.h"
#include "data/sample.h"
#include "data/text_files.h"
#include "data/token_array.h"

namespace tessera::data {

/// A recipe's `[data.text]` table.
struct TextFolderOptions {
  std::string path;                  // the folder, looked through with all folders in it
  std::string tokenizer;             // directory
  int64_t length = 256;              // tokens that are predicted in a window; the window has one more
  std::vector<std::string> heldout;  // names of files that never train; * and ? match any letters and any letter
  double heldout_share = 0.005;      // of the end of every other file
  int64_t samples = 0;               // number of windows to train on, chosen by the seed, over and over; 0: all
  int64_t max_tokens = 0;            // the same counted in tokens
  std::string cache;                 // folder of token files; empty: the user's cache folder; "off": none
  int64_t seed = 0;                  // which windows, and the order of each pass
  int64_t order = 0;                 // another order of the same windows
  bool operator==(const TextFolderOptions&) const = default;
};
template <class V> void fields(V& v, TextFolderOptions& o) {
  v("path", o.path, "folder of .txt files, also in folders inside");
  v("tokenizer", o.tokenizer, "tokenizer directory");
  v("length", o.length, "tokens of a window");
  v("heldout", o.heldout, "files that never train, by name; * and ? match any letters and any letter");
  v("heldout_share", o.heldout_share, "share of the end of every other file that never trains");
  v("samples", o.samples, "number of windows to train on (0: all)");
  v("max_tokens", o.max_tokens, "number of tokens to train on (0: all)");
  v("cache", o.cache, "folder where tokens are kept (empty: the user's cache folder; off: none)");
  v("seed", o.seed, "which windows, and the order of each pass");
  v("order", o.order, "another order of the same windows");
}

/// Every pass visits the training tokens once, in windows with an offset and an order of the pass's own.
/// Documents end with the tokenizer's end token; a window may hold several. Where the tokenizer begins texts with a token, so does
/// every window: any position is then a beginning, as a prompt's is.
class TextFolder final : public SampleSource {
 public:
  /// Reads and tokenises the files, or takes the tokens from the cache. Throws UserError: no folder, no .txt file in it, a file
  /// that is not text, a name that matches none, no tokenizer or one without an end token, too few tokens for one window.
  explicit TextFolder(TextFolderOptions options);

  /// `tokens` has length + 1 ids: `length` of the stream after the begin token, or else after the token before them.
  Sample at(uint64_t index) const override;
  std::string edition() const override;
  std::optional<uint64_t> pass_length() const override { return windows_; }
  /// Windows one after another through what is held out, each token predicted once; the last of a text may be shorter.
  std::vector<Sample> heldout(uint64_t most) const override;

  /// Tokens that train, and tokens that never do.
  int64_t training_tokens() const { return stream_; }
  int64_t heldout_tokens() const;

 private:
  struct Span {
    int64_t begin, end;     // in the token array
    int64_t first = 0;      // training: position in the stream of all training spans
    std::string part = "";  // held out: "texts" or "ends"
  };
  TokenArray tokenised(const std::vector<TextFile>& files, const std::vector<uint64_t>& digests);
  void divide(const std::vector<TextFile>& files, const std::vector<uint64_t>& digests);
  std::vector<bool> chosen_files(const std::vector<TextFile>& files, const std::vector<uint64_t>& digests) const;
  std::vector<int32_t> window(uint64_t begin) const;
  std::vector<int32_t> begun(std::span<const int32_t> tokens) const;

  TextFolderOptions options_;
  std::string key_;               // of words and tokenizer
  std::optional<int32_t> begin_;  // what the tokenizer puts before every text
  TokenArray tokens_;
  std::vector<Span> training_, heldout_;
  int64_t stream_ = 0;    // tokens of all training spans
  uint64_t windows_ = 0;  // of a pass
  uint64_t all_ = 0;      // windows of a pass when none are left out
};

}  // namespace tessera::data
