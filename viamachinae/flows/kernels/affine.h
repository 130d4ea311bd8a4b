// The affine map: z = (x - shift) exp(-s), s = a / (1 + abs(a) / bound); raw: shift, a.
#pragma once

#include "functions.h"
#include "univariate.h"

namespace kernel {

constexpr float LOG_SCALE_BOUND = 5.0f;  // as in univariate.py

class Affine : public Univariate {
 public:
  int parameters() const override { return 2; }
  int kept() const override { return 1; }

  void forward(float* shift, float* scale, const float* x, float* z, float* log_det,
               const Tile& tile) const override {
    for (int s = 0; s < tile.stars; s += LANES) {
      const Vec log_scale = bounded(load(shift + tile.ld + s));
      const Vec factor = exponential(-log_scale);
      store(scale + s, factor);
      store(z + s, (load(x + s) - load(shift + s)) * factor);
      store(log_det + s, load(log_det + s) - log_scale);
    }
  }

  void inverse(float* shift, float*, const float* z, float* x, float* log_det,
               const Tile& tile) const override {
    for (int s = 0; s < tile.stars; s += LANES) {
      const Vec log_scale = bounded(load(shift + tile.ld + s));
      store(x + s, load(z + s) * exponential(log_scale) + load(shift + s));
      store(log_det + s, load(log_det + s) + log_scale);
    }
  }

  void backward(const float* shift, const float* scale, const float* x, const float* by_z,
                const float* share, float* by_raw, float* by_x,
                const Tile& tile) const override {
    for (int s = 0; s < tile.stars; s += LANES) {
      const Vec moved = load(by_z + s) * load(scale + s);
      const Vec bend = 1 / (1 + magnitude(load(shift + tile.ld + s)) * (1 / LOG_SCALE_BOUND));
      const Vec by_log_scale = load(share + s) - moved * (load(x + s) - load(shift + s));
      store(by_raw + s, -moved);
      store(by_raw + tile.ld + s, by_log_scale * bend * bend);
      store(by_x + s, moved);
    }
  }

 private:
  static Vec bounded(Vec raw) { return raw / (1 + magnitude(raw) * (1 / LOG_SCALE_BOUND)); }
};

}  // namespace kernel
