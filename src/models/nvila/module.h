// The whole model: pictures through the tower and the projector become rows of embeddings among those of the words
// in the language model. Tensor names are those of the flat checkpoints: llm., vision_tower., mm_projector.layers.
#pragma once

#include <vector>

#include "models/lm/architecture/module.h"
#include "models/nvila/config.h"
#include "models/nvila/preprocess.h"
#include "models/nvila/projector.h"
#include "models/nvila/prompt.h"
#include "models/nvila/vision_tower.h"

namespace tessera::nvila {

struct NvilaModel {
  NvilaConfig config;
  lm::DecoderLm llm;
  VisionTower vision_tower;
  Projector mm_projector;

  NvilaModel() = default;
  /// Checks `config` and builds the layers with undefined weights. Throws UserError.
  explicit NvilaModel(const NvilaConfig& config);

  /// Pictures each seen alone and whole: pixels [N, 3, S, S] -> [N, T, C], T rows of embeddings. Under Dynamic-S2 the one
  /// scale is used for all. `recompute`: the tower's blocks are computed again in the backward pass instead of kept.
  Tensor features(const Tensor& pixels, bool recompute = false) const;
  /// Rows of embeddings of all media, in order: tiles [N, 3, S, S] -> [R, C], R the sum of block_rows() of the plans.
  Tensor media_rows(const Tensor& pixels, const std::vector<MediaPlan>& plans, bool recompute = false) const;
  /// [B, L, C]: the words' embeddings, and the media's rows in their positions.
  Tensor embed(const Assembled& batch, bool recompute = false) const;
  /// Logits [B, L, V] (fp32) of a whole batch, without a cache.
  Tensor logits(const Assembled& batch) const;
};
template <class V> void tensors(V& v, NvilaModel& m) {
  v("llm", m.llm);
  v("vision_tower", m.vision_tower);
  v("mm_projector", m.mm_projector);
}

/// Dynamic-S2's joining of scales: features [tiles, P, W] of one picture, scale by scale, each stitched, brought to the
/// last scale's size by area averages and joined along channels -> [grid.tiles(), P, W * scales], tiles of the last scale.
Tensor joined_scales(const Tensor& features, const TileConfig& tiles, const Grid& grid);

/// Initial weights, a pure function of the seed: the language model's by its own rule, the rest normal with deviation
/// 1 / sqrt(fan in), less where it ends in the residual stream.
void initialise(NvilaModel& model, uint64_t seed);
void initialise(VisionTower& tower, uint64_t seed);
void initialise(Projector& projector, uint64_t seed);

}  // namespace tessera::nvila
