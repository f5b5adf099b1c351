// What requests for text have in common: how tokens are drawn, how many, what ends them, what is reported.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "generate/json/grammar.h"
#include "generate/text_sequence.h"
#include "serve/json_fields.h"

namespace tessera::serve {

struct TextRequest {
  std::string model;
  std::string user;               // takes turns with other users
  generate::TextOptions options;  // max_new_tokens 0: not said
  std::optional<double> temperature, top_p, min_p, repetition_penalty;
  std::optional<int64_t> top_k;
  std::optional<uint64_t> seed;
  int64_t choices = 1;
  int64_t notes = -1;                  // log probabilities, with so many of the most likely tokens; -1: none
  bool stream = false, usage = false;  // a last chunk with what was used
  bool ignore_eos = false;             // go on after end tokens, as benchmarks want it
  bool receipt = false;                // the answer carries what repeats it
};

/// Reads model, stream, stream_options, temperature, top_p, seed, n, stop, penalties, logit_bias and, as further fields, top_k, min_p and
/// repetition_penalty. Throws ApiError.
TextRequest read_text_request(const Fields& fields);

/// Throws ApiError context_length_exceeded for a prompt that leaves no room for an answer.
void require_room(int64_t length, int64_t context, std::string_view param);
/// Throws ApiError for what other servers call a grammar, which would otherwise be passed over.
void refuse_other_formats(const Fields& fields);
/// What `response_format` (or `json_schema`, as llama.cpp's server takes it) lets an answer be; null for any text. Throws ApiError that names a
/// keyword which is not enforced.
std::shared_ptr<const generate::JsonGrammar> read_format(const Fields& fields);
/// The calls that `tool_choice` leaves an answer, as {"name": ..., "arguments": ...}; null where it leaves others. The tools were read.
std::shared_ptr<const generate::JsonGrammar> read_required_call(const Fields& fields);

/// The drawing of a request on top of the model's own (Writes::drawn_sampling, which has OpenAI's temperature 1 where the model gives none).
/// `seed`: where the request has none.
generate::TokenSampling sampling_of(const TextRequest& request, const generate::TokenSampling& model_own,
                                    uint64_t seed);

}  // namespace tessera::serve
