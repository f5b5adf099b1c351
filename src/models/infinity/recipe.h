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
  train::TuneConfig tune;  // what of it learns
  InfinityConfig shape;    // bits and scales default to the codec's, text_width to the text encoder's
};
template <class V> void fields(V& v, ModelTable& t) {
  v("from", t.from, "model directory or folder of released files to start from; shape and codec are then its own");
  v("train_pixels", t.pixels, "published area to train at: 0.06M, 0.25M, 0.60M or 1M (empty: the model's own)");
  v("codec_directory", t.codec_directory, "directory of the trained codec");
  v("tune", t.tune, "what of the model learns");
  fields(v, t.shape);
}

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
