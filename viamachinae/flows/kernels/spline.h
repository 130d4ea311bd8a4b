// The rational-quadratic spline of splines.py (Durkan et al. 2019, arXiv:1906.04032).
//
// Raw parameters of a feature: `bins` widths, `bins` heights, and the slopes at the knots between
// them. All bins are touched in two places: `find`, which leaves the exponentials of the softmax
// where the raw sizes were, and `spread`, which writes the gradient.
#pragma once

#include <algorithm>
#include <cmath>

#include "functions.h"
#include "univariate.h"

namespace kernel {

class RationalQuadratic : public Univariate {
 public:
  RationalQuadratic(int bins, float bound, float min_width, float min_height, float min_slope)
      : bins(bins),
        bound(bound),
        side(2 * bound),
        floor{min_width, min_height},
        free{1 - float(bins) * min_width, 1 - float(bins) * min_height},
        min_slope(min_slope),
        // A raw slope of 0, which both ends of the spline have, is a slope of 1.
        raw_shift(float(std::log(std::expm1(1 - double(min_slope))))) {}

  int parameters() const override { return 3 * bins - 1; }
  int kept() const override { return sizeof(Found) / sizeof(Vec); }

  // arXiv:1906.04032, eqs. 4 and 5.
  void forward(float* raw, float* kept, const float* x, float* z, float* log_det,
               const Tile& tile) const override {
    for (int s = 0; s < tile.stars; s += LANES) {
      const Vec value = load(x + s), inside = clamped(value);
      const Found bin = find<false>(raw + s, (inside + bound) / side, tile.ld);
      kept_bin(kept, s) = bin;
      const Piece piece = scaled(bin);
      const Curve curve = at((inside - piece.left) / piece.width, piece, bin);
      store(z + s, piece.bottom + piece.height * curve.rise + (value - inside));
      store(log_det + s, load(log_det + s) + logarithm(curve.slope()));
    }
  }

  // The root of the quadratic equation of the bin: arXiv:1906.04032, eqs. 6 to 8.
  void inverse(float* raw, float*, const float* z, float* x, float* log_det,
               const Tile& tile) const override {
    for (int s = 0; s < tile.stars; s += LANES) {
      const Vec value = load(z + s), inside = clamped(value);
      const Found bin = find<true>(raw + s, (inside + bound) / side, tile.ld);
      const Piece piece = scaled(bin);
      const Vec mean = piece.height / piece.width;
      const Vec rise = (inside - piece.bottom) / piece.height;
      const Vec bend = rise * (bin.slope[0] + bin.slope[1] - 2 * mean);
      const Vec a = mean - bin.slope[0] + bend, b = bin.slope[0] - bend, c = -mean * rise;
      const Vec discriminant = b * b - 4 * a * c;
      const Vec root = square_root(discriminant < 0 ? Vec{} : discriminant);
      const Vec share = -2 * c / (b + root);
      store(x + s, piece.left + piece.width * share + (value - inside));
      store(log_det + s, load(log_det + s) - logarithm(at(share, piece, bin).slope()));
    }
  }

  void backward(const float* raw, const float* kept, const float* x, const float* by_z,
                const float* share, float* by_raw, float* by_x,
                const Tile& tile) const override {
    for (int s = 0; s < tile.stars; s += LANES) {
      const Vec value = load(x + s), inside = clamped(value);
      const Found& bin = kept_bin(kept, s);
      const Piece piece = scaled(bin);
      const Vec from_above = load(by_z + s);
      Found by;
      const Curve curve = at((inside - piece.left) / piece.width, piece, bin);
      const Vec by_inside = differentiate(bin, piece, curve, from_above, -load(share + s), by);
      spread(bin, by, raw + s, by_raw + s, tile.ld);
      store(by_x + s, value == inside ? by_inside : from_above);
    }
  }

 private:
  int bins;
  float bound, side;
  float floor[2], free[2];  // of widths and heights: the least, and what the softmax shares out
  float min_slope, raw_shift;

  // What belongs to the bin of a value; of two, the first is the width's, the second the
  // height's, or the lower and the upper knot's.
  struct Found {
    Vec index;
    Vec below[2], own[2];  // shares, by the softmax, of the bins below and of the bin
    Vec over[2];           // 1 / the sum of the exponentials
    Vec slope[2], bend[2];  // derivatives at the knots, and theirs by the raw slopes
  };
  struct Piece {
    Vec left, width, bottom, height;
  };
  // The terms of the curve at one point; `rise` is in units of the bin's height.
  struct Curve {
    Vec share, rest, bend, mean, excess, over, rise, above;
    Vec slope() const { return mean * over * (mean * over) * above; }
  };

  Vec clamped(Vec x) const {
    const Vec most = x > bound ? all(bound) : x;
    return most < -bound ? all(-bound) : most;
  }

  // Raw sizes to exponentials, in place; 1 / their sum.
  Vec soften(float* raw, long ld) const {
    Vec most = load(raw), total{};
    for (int k = 1; k < bins; ++k) most = maximum(load(raw + k * ld), most);
    for (int k = 0; k < bins; ++k) {
      const Vec size = decay(load(raw + k * ld) - most);
      store(raw + k * ld, size);
      total += size;
    }
    return 1 / total;
  }

  // The bin that holds a share of the box in x or, if inverted, in z.
  template <bool inverted>
  Found find(float* raw, Vec share, long ld) const {
    float *widths = raw, *heights = raw + bins * ld;
    const float* slopes = raw + 2 * bins * ld;
    Found bin{};
    bin.over[0] = soften(widths, ld), bin.over[1] = soften(heights, ld);
    const Vec scale = free[inverted] * bin.over[inverted];
    bin.own[0] = load(widths), bin.own[1] = load(heights);
    Vec below[2] = {}, first{}, second = load(slopes);
    for (int k = 1; k < bins; ++k) {
      below[0] += load(widths + (k - 1) * ld), below[1] += load(heights + (k - 1) * ld);
      const Int passed = share - floor[inverted] * float(k) >= below[inverted] * scale;
      bin.index = passed ? all(float(k)) : bin.index;
      bin.below[0] = passed ? below[0] : bin.below[0];
      bin.below[1] = passed ? below[1] : bin.below[1];
      bin.own[0] = passed ? load(widths + k * ld) : bin.own[0];
      bin.own[1] = passed ? load(heights + k * ld) : bin.own[1];
      first = passed ? load(slopes + (k - 1) * ld) : first;
      second = passed ? (k + 1 < bins ? load(slopes + k * ld) : Vec{}) : second;
    }
    for (int axis = 0; axis < 2; ++axis) {
      bin.below[axis] *= bin.over[axis], bin.own[axis] *= bin.over[axis];
      soften_slope(axis ? second : first, bin.slope[axis], bin.bend[axis]);
    }
    return bin;
  }

  // min_slope + softplus(raw + raw_shift), and its derivative.
  void soften_slope(Vec raw, Vec& slope, Vec& bend) const {
    const Vec shifted = raw + raw_shift;
    const Vec small = decay(-magnitude(shifted));
    slope = min_slope + (shifted < 0 ? Vec{} : shifted) + logarithm_above_one(small);
    bend = (shifted < 0 ? small : all(1)) / (1 + small);
  }

  Piece scaled(const Found& bin) const {
    return {side * (free[0] * bin.below[0] + floor[0] * bin.index) - bound,
            side * (free[0] * bin.own[0] + floor[0]),
            side * (free[1] * bin.below[1] + floor[1] * bin.index) - bound,
            side * (free[1] * bin.own[1] + floor[1])};
  }

  // At a share of the bin's width.
  static Curve at(Vec share, const Piece& piece, const Found& bin) {
    const Vec mean = piece.height / piece.width, rest = 1 - share, bend = share * rest;
    const Vec excess = bin.slope[0] + bin.slope[1] - 2 * mean;
    const Vec over = 1 / (mean + excess * bend);
    const Vec rise = (mean * share * share + bin.slope[0] * bend) * over;
    const Vec above = bin.slope[1] * share * share + 2 * mean * bend + bin.slope[0] * rest * rest;
    return {share, rest, bend, mean, excess, over, rise, above};
  }

  // The gradients by what `bin` holds, into `by`, and by x, which is returned.
  static Vec differentiate(const Found& bin, const Piece& piece, const Curve& at, Vec by_z,
                           Vec by_log_slope, Found& by) {
    // By numerator and denominator of the rise, and by the numerator of the slope.
    const Vec by_top = by_z * piece.height * at.over;
    const Vec by_bottom = -(by_top * at.rise + 2 * by_log_slope * at.over);
    const Vec by_above = by_log_slope / at.above;
    const Vec by_bend = by_top * bin.slope[0] + by_bottom * at.excess + 2 * by_above * at.mean;
    const Vec by_mean = by_top * at.share * at.share + by_bottom * (1 - 2 * at.bend) +
                        2 * by_above * at.bend + 2 * by_log_slope / at.mean;
    const Vec by_share = 2 * by_top * at.mean * at.share + by_bend * (1 - 2 * at.share) +
                         2 * by_above * (bin.slope[1] * at.share - bin.slope[0] * at.rest);
    by.slope[0] = (by_top + by_bottom) * at.bend + by_above * at.rest * at.rest;
    by.slope[1] = by_bottom * at.bend + by_above * at.share * at.share;
    const Vec narrow = 1 / piece.width, by_x = by_share * narrow;
    by.below[0] = -by_x, by.own[0] = -(by_x * at.share + by_mean * at.mean * narrow);
    by.below[1] = by_z, by.own[1] = by_z * at.rise + by_mean * narrow;
    return by_x;
  }

  // The gradients by a bin's position, size and slopes to those of all raw parameters.
  void spread(const Found& bin, const Found& by, const float* raw, float* by_raw, long ld) const {
    for (int axis = 0; axis < 2; ++axis) {
      const Vec by_below = side * free[axis] * by.below[axis];
      const Vec by_own = side * free[axis] * by.own[axis];
      // What softmax takes off every entry: its outputs times their gradients, summed.
      const Vec mean = bin.below[axis] * by_below + bin.own[axis] * by_own;
      const Vec low = (by_below - mean) * bin.over[axis], in = (by_own - mean) * bin.over[axis];
      const Vec high = -mean * bin.over[axis];
      for (int k = 0; k < bins; ++k) {
        const long row = (axis * bins + k) * ld;
        const Vec factor = bin.index > float(k) ? low : bin.index < float(k) ? high : in;
        store(by_raw + row, load(raw + row) * factor);
      }
    }
    const Vec first = by.slope[0] * bin.bend[0], second = by.slope[1] * bin.bend[1];
    for (int k = 0; k + 1 < bins; ++k) {
      const Vec lower = bin.index == float(k + 1) ? first : Vec{};
      store(by_raw + (2 * bins + k) * ld, bin.index == float(k) ? second : lower);
    }
  }

  // `kept` holds one for each vector of stars.
  static Found& kept_bin(float* kept, int s) { return reinterpret_cast<Found*>(kept)[s / LANES]; }
  static const Found& kept_bin(const float* kept, int s) {
    return reinterpret_cast<const Found*>(kept)[s / LANES];
  }
};

}  // namespace kernel
