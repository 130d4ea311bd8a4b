// Two maps of a feature in turn, each with raw parameters of its own.
#pragma once

#include <memory>
#include <utility>

#include "univariate.h"

namespace kernel {

class Chain : public Univariate {
 public:
  Chain(std::unique_ptr<Univariate> first, std::unique_ptr<Univariate> second)
      : first(std::move(first)), second(std::move(second)) {}

  int parameters() const override { return first->parameters() + second->parameters(); }
  // The row between the two, then what the first keeps, then what the second does.
  int kept() const override { return 1 + first->kept() + second->kept(); }

  void forward(float* raw, float* kept, const float* x, float* z, float* log_det,
               const Tile& tile) const override {
    first->forward(raw, kept + tile.ld, x, kept, log_det, tile);
    second->forward(raw_of_second(raw, tile), kept_of_second(kept, tile), kept, z, log_det, tile);
  }

  void inverse(float* raw, float* kept, const float* z, float* x, float* log_det,
               const Tile& tile) const override {
    second->inverse(raw_of_second(raw, tile), kept_of_second(kept, tile), z, kept, log_det, tile);
    first->inverse(raw, kept + tile.ld, kept, x, log_det, tile);
  }

  void backward(const float* raw, const float* kept, const float* x, const float* by_z,
                const float* share, float* by_raw, float* by_x,
                const Tile& tile) const override {
    second->backward(raw_of_second(raw, tile), kept_of_second(kept, tile), kept, by_z, share,
                     raw_of_second(by_raw, tile), by_x, tile);
    first->backward(raw, kept + tile.ld, x, by_x, share, by_raw, by_x, tile);
  }

 private:
  std::unique_ptr<Univariate> first, second;

  template <class Rows>
  Rows raw_of_second(Rows raw, const Tile& tile) const {
    return raw + first->parameters() * tile.ld;
  }
  template <class Rows>
  Rows kept_of_second(Rows kept, const Tile& tile) const {
    return kept + (1 + first->kept()) * tile.ld;
  }
};

}  // namespace kernel
