// The shape of a flow, as variants.py declares it, and the map of features that it asks for.
#pragma once

#include <memory>
#include <utility>

#include "affine.h"
#include "chain.h"
#include "spline.h"

namespace kernel {

struct Shape {
  int features, conditions, blocks;
  int batch_norm;  // whether one follows each block
  int affine;      // whether a block has an affine map
  int bins;        // of its spline, which comes after that; 0: it has none
  float bound, min_width, min_height, min_slope;  // of the spline
  int n_hidden;        // hidden layers
  const int* hidden;   // their units
  const int* degrees;  // of all units, layer by layer, sorted within each
  const int* places;   // place in block b of feature i of block b - 1, for b = 1, 2, ...
};

inline std::unique_ptr<Univariate> univariate_of(const Shape& shape) {
  std::unique_ptr<Univariate> affine, spline;
  if (shape.affine) affine = std::make_unique<Affine>();
  if (shape.bins)
    spline = std::make_unique<RationalQuadratic>(shape.bins, shape.bound, shape.min_width,
                                                 shape.min_height, shape.min_slope);
  if (affine && spline) return std::make_unique<Chain>(std::move(affine), std::move(spline));
  return affine ? std::move(affine) : std::move(spline);
}

}  // namespace kernel
