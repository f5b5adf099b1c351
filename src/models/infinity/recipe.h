// What a recipe's `[model]` table makes: a new transformer over a codec, or one that is there, and the objectives over it.
#pragma once

#include "models/infinity/objective.h"
#include "train/recipe.h"

namespace tessera::infinity {

/// A recipe's `[model]` table: where the frozen codec is, and the shape of the transformer over it.
struct ModelTable {
  std::string from;    // model directory, or folder of released files, to start from; shape and codec are then its own
  std::string pixels;  // published area to train at; "": the model's own
  std::string codec_directory;
  int64_t grow_to = 0;       // blocks to have, where the given model has fewer; 0: as many as it has
  int64_t grow_text_to = 0;  // text_length to have, likewise
  train::TuneConfig tune;    // what of it learns
  InfinityConfig shape;      // bits and scales default to the codec's, text_width to the text encoder's
};
template <class V> void fields(V& v, ModelTable& t) {
  v("from", t.from, "model directory or folder of released files to start from; shape and codec are then its own");
  v("train_pixels", t.pixels, "published area to train at: 0.06M, 0.25M, 0.60M or 1M (empty: the model's own)");
  v("codec_directory", t.codec_directory, "directory of the trained codec");
  v("grow_to", t.grow_to, "blocks that the model to start from grows to (0: as many as it has)");
  v("grow_text_to", t.grow_text_to, "text_length that the model to start from grows to (0: its own)");
  v("tune", t.tune, "what of the model learns");
  fields(v, t.shape);
}

/// More blocks behind those that are there, `depth` in all. The function stays what it was: their last matrices are zero, as in the
/// growth of depth of arXiv 1511.05641. A pure function of the seed.
void add_blocks(Infinity& model, int64_t depth, uint64_t seed, const InitialScales& scales = {});

/// A longer text_length: what was known of the places that are there stays, the new ones are drawn from the seed. Prompts that fitted
/// give what they gave. The text encoder must be the model's own.
void lengthen_text(Infinity& model, int64_t length, uint64_t seed);

/// What a training of these models begins with.
struct Beginning {
  Infinity model;
  codec::Codec codec;
  InfinityStart start;
  std::vector<Sample>
      fixed;  // to measure: 64 held-out samples; where the data hold nothing out, the first ones that train
};
/// Completes the recipe's `[model]` table. Throws UserError.
Beginning begin(train::Recipe& recipe, const SampleSource& source, at::Device device, const InitialScales& initial);

/// The objective "infinity" of a recipe; completes its `[model]` and `[loss]` tables. Throws UserError.
std::unique_ptr<train::Objective> make_infinity_objective(train::Recipe& recipe, const SampleSource& source,
                                                          at::Device device);

}  // namespace tessera::infinity
