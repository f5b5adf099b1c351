// A recipe: everything that decides a training run, read strictly from TOML and written back as resolved.
#pragma once

#include <string>
#include <vector>

#include "core/files.h"
#include "core/json.h"
#include "data/source.h"
#include "train/loop.h"

namespace tessera::train {

/// One training run. `model` and `loss` are read by the objective that is named.
struct Recipe {
  std::string objective;       // what is trained: a name from models/objectives.cc
  std::string method;          // a published way of training, which completes the settings; empty: none
  Json tune = Json::object();  // settings of the method
  std::string out;             // run directory
  std::string edition;         // of the data, written when the run begins; a resumed run must find the same
  std::string knows;           // what the model can be asked, in a sentence for people; empty: not said
  bool must_see = false;       // all that the model learns is about pictures and clips
  data::DataConfig data;
  TrainConfig train;
  Json model = Json::object();  // shape of the model
  Json loss = Json::object();   // weights and choices of the objective
};
template <class V> void fields(V& v, Recipe& r) {
  v("objective", r.objective, "what is trained");
  v("out", r.out, "run directory");
  v("method", r.method, "a published way of training, which completes the settings: hyperfit");
  v("tune", r.tune, "settings of the method");
  v("knows", r.knows, "what the model can be asked, in a sentence that inspect and see show");
  v("must_see", r.must_see, "all questions of the data come with pictures: see refuses one without");
  v("edition", r.edition, "of the data (fonts, word lists), written when the run begins");
  v("data", r.data, "where samples come from");
  v("train", r.train, "the loop");
  v("model", r.model, "shape of the model");
  v("loss", r.loss, "weights and choices of the objective");
}

/// The settings of a TOML file with `overrides` applied: "train.steps=200"-like assignments with TOML values; a number names an entry of a
/// list, from 0, as in "data.mixture.0.weight=2". Throws UserError.
Json read_settings(const Path& file, const std::vector<std::string>& overrides);

/// Reads a recipe; `overrides` are applied before.
/// Throws UserError for an unknown key (naming the nearest), a wrong type, or an assignment without '='.
Recipe read_recipe(const Path& file, const std::vector<std::string>& overrides = {});

/// `model.from`, the directory that training starts from; "" when there is none. Throws UserError when it is no text.
std::string starting_model(const Recipe& recipe);

/// TOML text that reads back as the same recipe.
std::string to_text(const Recipe& recipe);

}  // namespace tessera::train
