// Monotonic maps of single features, as in univariate.py, and what they are told of a tile.
#pragma once

#include "vectors.h"

namespace kernel {

// Stars that go through the flow together, one row of memory for each number of a star.
struct Tile {
  long ld;    // floats from one row of stars to the next
  int stars;  // to compute: a multiple of STEP
  int count;  // of which so many are there; the others repeat the last
};

// An increasing map x -> z of one feature by raw parameters, `parameters` rows of stars, that a
// network gives. The loss that `backward` knows is f(z) - share * ln(dz/dx), summed over stars.
class Univariate {
 public:
  virtual ~Univariate() = default;
  virtual int parameters() const = 0;
  // Rows that `forward` keeps of a feature for `backward`.
  virtual int kept() const = 0;

  // Adds ln(dz/dx) to log_det. Leaves in `raw` what `backward` wants to find there.
  virtual void forward(float* raw, float* kept, const float* x, float* z, float* log_det,
                       const Tile& tile) const = 0;
  // Adds ln(dx/dz) to log_det; `raw` and `kept` are scratch.
  virtual void inverse(float* raw, float* kept, const float* z, float* x, float* log_det,
                       const Tile& tile) const = 0;
  // The gradient of the loss by z in; by the raw parameters and, which may be in its place, by x
  // out.
  virtual void backward(const float* raw, const float* kept, const float* x, const float* by_z,
                        const float* share, float* by_raw, float* by_x,
                        const Tile& tile) const = 0;
};

}  // namespace kernel
