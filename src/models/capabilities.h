// What a loaded model can do, and the loaded model itself. Verbs and servers ask for a capability and use nothing else of a
// model.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "generate/text_sequence.h"
#include "media/image.h"
#include "tensor/tensor.h"
#include "text/message.h"

namespace tessera {

namespace text {
class ChatTemplate;
}

/// Pictures of one batch as decoded after a scale.
struct ScaleView {
  size_t scale = 0;   // from 0
  size_t scales = 0;  // how many there are
  size_t first = 0;   // index of the batch's first prompt
  std::vector<Image> pictures;
};

struct PictureSize {
  int64_t width = 0, height = 0;
};

/// Ways to draw faster that change the picture a little (docs/infinity.md has what each costs and gains). 0: not.
struct FastDrawing {
  int64_t unguided_scales = 0;  // so many last scales without guidance: half of their work
  double settled =
      0;  // in the last two scales, the share of tokens that changed least before; they are taken from the scale before
  int64_t local_attention = 0;  // tokens of large scales see others within this distance, and small scales whole
  bool operator==(const FastDrawing&) const = default;
};

struct DrawRequest {
  std::vector<std::string> prompts;  // one picture each
  uint64_t seed = 0;
  uint64_t first_picture = 0;     // index that the first prompt counts as: picture i draws by (seed, first_picture + i)
  std::vector<double> cfg;        // guidance, one number or one per scale; empty: the model's own
  std::vector<double> tau;        // temperature, one number or one per scale; empty: the model's own
  std::optional<double> top_p;    // absent: the model's own
  std::optional<int64_t> top_k;   // of models that draw by codes, 0: all; absent: the model's own
  std::optional<int64_t> window;  // of them: codes guessed ahead and read in one pass; absent: the model's own
  std::optional<int64_t>
      settle;         // of them: passes after which guesses are taken as they are, 0: never; absent: the model's own
  double aspect = 1;  // height / width
  std::optional<PictureSize> size;     // in place of `aspect`: exactly this size
  std::string pixels;                  // a published picture area that the model draws at; "": its own
  std::string negative;                // what guidance leads away from; "": no prompt
  std::vector<int64_t> cfg_layers{0};  // where guidance mixes: 0 on the logits, -k on what leaves the k-th last block
  bool positive_prompt = false;        // prompts that speak of people get the publisher's words about faces
  std::optional<Image> from;           // a picture whose first `keep_scales` scales are kept ("gt_leak")
  int64_t keep_scales = 0;
  FastDrawing fast;
  int64_t batch = 16;     // prompts drawn at once
  bool use_cache = true;  // false: every scale goes through all earlier ones again (the slow second way)
  std::function<void(const ScaleView&)> on_scale;  // absent: only finished pictures are decoded
  /// Called after every scale of a batch, before the next; false: no more is to be drawn, and the pictures under way are left out.
  std::function<bool(size_t scale, size_t scales)> on_step;
  /// Takes pictures as they are finished, of which `first` is the prompt of the first one; false: no more are to be drawn.
  std::function<bool(size_t first, const std::vector<Image>& pictures)> on_pictures;
};

/// Pictures from words.
class Draws {
 public:
  virtual ~Draws() = default;
  /// One picture for each prompt, for fewer where on_pictures or on_step ended it. Throws UserError for an empty or over-long prompt and for numbers out of range.
  virtual std::vector<Image> draw(const DrawRequest& request) const = 0;
  /// Throws what draw() would throw of a request, without drawing.
  virtual void check(const DrawRequest& /*request*/) const {}
};

/// What came of a request for text, with what it took.
struct Written {
  generate::Continuation continuation;
  int64_t prompt_tokens = 0;
  int64_t remembered_tokens = 0;   // of the prompt, whose keys and values were there from the turn before
  double first_token_seconds = 0;  // from the request to the first token
  double seconds = 0;              // all of it
};

/// A token's log probability given all before it, whether it is the most likely one, and of what it was drawn from.
struct ScoredToken {
  int32_t id = 0;
  double log_probability = 0;
  bool greedy = false;
  double entropy = 0;          // nats
  double top_probability = 0;  // of the most likely token
  int32_t most_likely = 0;
  std::vector<std::pair<int32_t, double>> top =
      {};  // the most likely ones with their log probabilities, where they were asked for
};

/// Text from text.
class Writes {
 public:
  virtual ~Writes() = default;
  virtual const text::Tokenizer& tokenizer() const = 0;
  /// Longest sequence, prompt and continuation together.
  virtual int64_t context() const = 0;
  /// The publisher's sampling; greedy where the files give none. For callers who ask for the model's own way.
  virtual generate::TokenSampling sampling() const { return {}; }
  /// For callers who draw unless they are told otherwise, as servers do: the publisher's numbers also where the files do not say that the model
  /// draws; temperature 1 where they give none.
  virtual generate::TokenSampling drawn_sampling() const { return {.temperature = 1}; }
  /// Continues each prompt. The model adds its own end tokens to the options'. Throws UserError for a prompt of no
  /// tokens or one over the context length (by how much).
  virtual std::vector<Written> write(const std::vector<std::string>& prompts,
                                     const generate::TextOptions& options) const = 0;
  /// Answers in a conversation that ends with a user's turn. Throws UserError when the model has no chat template.
  virtual Written chat(const std::vector<text::Message>& messages, const generate::TextOptions& options) const = 0;
  /// The token ids that chat() continues.
  virtual std::vector<int32_t> chat_prompt(const std::vector<text::Message>& messages) const = 0;
  /// The same two with what a chat template may ask for beside the messages. Throws UserError where a model takes nothing but messages.
  virtual Written chat(const std::vector<text::Message>& messages, const generate::TextOptions& options,
                       const text::TemplateInputs& inputs) const;
  virtual std::vector<int32_t> chat_prompt(const std::vector<text::Message>& messages,
                                           const text::TemplateInputs& inputs) const;
  /// Steps that sequences join and leave as they come; they must not outlive the model. Memory for keys and values of `positions` positions
  /// is taken at once; a row needs its length rounded up to 64. Each row is what write() and a first chat() would make of it, bit for bit on the
  /// CPU. Throws UserError where the model cannot.
  virtual std::unique_ptr<generate::TokenSteps> steps(int64_t positions) const;
  /// Bytes of one position in such steps.
  virtual int64_t position_bytes() const { return 0; }
  /// Options with what the model adds to them: its end tokens and its context; throws UserError as generate::check() does.
  virtual generate::TextOptions completed(generate::TextOptions options) const { return options; }
  /// Throws UserError for ids that the model has no embedding for. `what` names them.
  virtual void require_known(std::span<const int32_t> /*ids*/, std::string_view /*what*/) const {}
  /// The chat template; null where there is none.
  virtual const text::ChatTemplate* chat_template() const { return nullptr; }
  /// The tokens of each `continuation` given its `prompt`, in the order given; prompts may be empty where the
  /// tokenizer has a begin token.
  struct ScoreRequest {
    std::vector<int32_t> prompt, continuation;
    double temperature = 1;  // above 0
    int64_t top = 0;         // how many of the most likely tokens are told of each
  };
  /// `positions`: counts the positions that went through the model for it.
  virtual std::vector<std::vector<ScoredToken>> score(const std::vector<ScoreRequest>& requests,
                                                      int64_t* positions = nullptr) const = 0;
  /// The mean over its positions of each text's last hidden states, [N, C] fp32 on the CPU; of longer texts the beginning that the context
  /// holds. Throws UserError where the model cannot, and for a text of no tokens.
  virtual Tensor represent(const std::vector<std::string>& texts) const;
};

struct SeeRequest {
  std::vector<text::Message> messages;  // ends with a user's turn; Message::media counts along `media`
  std::vector<Media> media;
  generate::TextOptions options;
};

/// Text from pictures, clips and text.
class Sees {
 public:
  virtual ~Sees() = default;
  /// One answer for each request; requests are independent and may run as one batch.
  virtual std::vector<Written> see(const std::vector<SeeRequest>& requests) const = 0;
  /// How many positions a request takes; throws UserError as see() does. Takes no time to speak of.
  virtual int64_t prompt_length(const SeeRequest& request) const;
  /// What the steps of the model's Writes go on from: what is seen in the pictures is computed here.
  virtual generate::Prompt prompt(const SeeRequest& request) const;
  /// How many frames of a clip the model was made for, and at most.
  virtual int64_t default_frames() const = 0;
};

/// Vectors that stand for pictures.
class Embeds {
 public:
  virtual ~Embeds() = default;
  /// One row of features for each picture, [N, D] fp32 on the CPU. Pictures of any size; what is transparent is white.
  virtual Tensor embed(const std::vector<Image>& pictures) const = 0;
};

/// A model in memory. A capability that it does not have is null.
class LoadedModel {
 public:
  virtual ~LoadedModel() = default;
  virtual std::string model_type() const = 0;
  virtual const Draws* draws() const { return nullptr; }
  virtual const Writes* writes() const { return nullptr; }
  virtual const Sees* sees() const { return nullptr; }
  virtual const Embeds* embeds() const { return nullptr; }
  /// Bytes of its weights as they are held in memory. What a request takes beside them (keys and values, activations) is not among them.
  virtual int64_t weight_bytes() const = 0;
};

/// Reads "W:H" (16:9) or a height / width number (0.5625). Throws UserError outside 1:4 to 4:1.
double parse_aspect(std::string_view text);
/// Reads "1344x768", width first. Throws UserError.
PictureSize parse_size(std::string_view text);

}  // namespace tessera
