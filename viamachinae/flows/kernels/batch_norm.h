// Batch norm of one feature in a flow, as transforms.py does it.
#pragma once

#include <cmath>

#include "univariate.h"

namespace kernel {

constexpr float BATCH_NORM_EPSILON = 1e-5f;  // as in transforms.py
constexpr float BATCH_NORM_MOMENTUM = 0.1f;  // as in transforms.py

// One feature's numbers; the pointers are to its place in those of the flow.
struct BatchNorm {
  float gain, offset;
  float *mean, *var;

  // In place; in training by mean and variance of the tile, which move the running ones. Keeps
  // the standardised feature, and returns the standard deviation used.
  float forward(float* z, float* normal, float* log_det, const Tile& tile, bool training) const {
    float centre = *mean, spread = *var;
    if (training) {
      double total = 0, squares = 0;
      for (int s = 0; s < tile.count; ++s) total += z[s];
      centre = float(total / tile.count);
      for (int s = 0; s < tile.count; ++s) squares += double(z[s] - centre) * (z[s] - centre);
      spread = float(squares / tile.count);
      *mean += BATCH_NORM_MOMENTUM * (centre - *mean);
      *var += BATCH_NORM_MOMENTUM * (spread - *var);
    }
    const float deviation = std::sqrt(spread + BATCH_NORM_EPSILON);
    const float slope = std::exp(gain), log_slope = gain - std::log(deviation);
    for (int s = 0; s < tile.stars; s += LANES) {
      const Vec standard = (load(z + s) - centre) / deviation;
      store(normal + s, standard);
      store(z + s, standard * slope + offset);
      store(log_det + s, load(log_det + s) + log_slope);
    }
    return deviation;
  }

  void inverse(float* x, float* log_det, const Tile& tile) const {
    const float deviation = std::sqrt(*var + BATCH_NORM_EPSILON);
    const float slope = std::exp(gain) / deviation;
    const float log_slope = gain - std::log(deviation);
    for (int s = 0; s < tile.stars; s += LANES) {
      store(x + s, (load(x + s) - offset) / slope + *mean);
      store(log_det + s, load(log_det + s) - log_slope);
    }
  }

  // The gradient by z to that by x, in place; those by gain and offset are added. With y the
  // standardised feature and a = dL/dy: dL/dx = (a - mean(a) - y mean(a y) + y / count) /
  // deviation, where the last term comes from ln(deviation) in the loss.
  void backward(float* a, const float* y, float deviation, const float* share, float& by_gain,
                float& by_offset, const Tile& tile) const {
    double total = 0, product = 0;
    for (int s = 0; s < tile.count; ++s) {
      total += a[s];
      product += double(a[s]) * y[s];
    }
    const float slope = std::exp(gain);
    by_gain += float(product * slope) - 1;
    by_offset += float(total);
    const float by_y = float(1 - product * slope) / float(tile.count);
    const float constant = float(total * slope) / float(tile.count);
    for (int s = 0; s < tile.stars; s += LANES) {
      const Vec moved = (load(a + s) * slope - constant + load(y + s) * by_y) / deviation;
      store(a + s, load(share + s) > 0 ? moved : Vec{});
    }
  }
};

}  // namespace kernel
