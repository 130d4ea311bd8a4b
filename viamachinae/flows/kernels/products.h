// Products of weights and rows of stars, and their gradients, with all sums in registers.
#pragma once

#include <algorithm>

#include "vectors.h"

namespace kernel {

enum class Then { nothing, rectify, gate };

// A product with a matrix of element (k, r) at w[k * row + r * column], of which row k needs no
// more than r in [begin[k], end[k]); both never fall with k.
struct Product {
  const float* w;
  long row, column;
  const int *begin, *end;
};

// out[k][s] = sum over r of w(k, r) * in[r][s], for R rows from `first` on and all stars; then
// negative values (or those where `gate` is not positive) become 0.
template <int R, Then then>
void rows_of(const Product& p, int first, const float* in, float* out, const float* gate, long ld,
             int stars) {
  constexpr int C = R > 2 ? COLUMNS : 4;
  // Copies: for all that the compiler knows, a store might change what `p` points at.
  const long row = p.row, column = p.column;
  const float* w = p.w + first * row;
  const int begin = p.begin[first], end = p.end[first + R - 1];
  for (int s = 0; s < stars; s += C * LANES) {
    Vec total[R][C];
    UNROLL for (int k = 0; k < R; ++k)
      UNROLL for (int c = 0; c < C; ++c) total[k][c] = Vec{};
    TWICE for (int r = begin; r < end; ++r) {
      Vec x[C];
      UNROLL for (int c = 0; c < C; ++c) x[c] = load(in + r * ld + s + c * LANES);
      UNROLL for (int k = 0; k < R; ++k) {
        const Vec weight = all(w[k * row + r * column]);
        UNROLL for (int c = 0; c < C; ++c) total[k][c] += weight * x[c];
      }
    }
    UNROLL for (int k = 0; k < R; ++k)
      UNROLL for (int c = 0; c < C; ++c) {
        const long at = (first + k) * ld + s + c * LANES;
        Vec value = total[k][c];
        if (then == Then::rectify) value = rectified(value);
        if (then == Then::gate) value = load(gate + at) > 0 ? value : Vec{};
        store(out + at, value);
      }
  }
}

// Rows [first, last), at most `most` together: fewer skip more of what is masked, more save
// loads.
template <int most, Then then>
void multiply(const Product& p, int first, int last, const float* in, float* out,
              const float* gate, long ld, int stars) {
  if (first == last) return;
  const int used = std::max(1, p.end[last - 1] - p.begin[first]);
  const int panel = std::max(STEP, PANEL / used / STEP * STEP);
  for (int s = 0; s < stars; s += panel) {
    const int n = std::min(panel, stars - s);
    int k = first;
    if (most >= ROWS)
      for (; k + ROWS <= last; k += ROWS)
        rows_of<ROWS, then>(p, k, in + s, out + s, gate + s, ld, n);
    for (; k + 2 <= last; k += 2) rows_of<2, then>(p, k, in + s, out + s, gate + s, ld, n);
    if (k < last) rows_of<1, then>(p, k, in + s, out + s, gate + s, ld, n);
  }
}

// gradient[k][i] += sum over stars of g[k][s] * in[i][s], for R rows k and 4 inputs i.
template <int R>
void outer(const float* g, const float* in, float* gradient, long stride, long ld, int stars) {
  Vec total[R][4];
  UNROLL for (int k = 0; k < R; ++k)
    UNROLL for (int i = 0; i < 4; ++i) total[k][i] = Vec{};
  for (int step = 0; step < stars; step += STEP)
    UNROLL for (int s = step; s < step + STEP; s += LANES) {
      Vec y[R];
      UNROLL for (int k = 0; k < R; ++k) y[k] = load(g + k * ld + s);
      UNROLL for (int i = 0; i < 4; ++i) {
        const Vec x = load(in + i * ld + s);
        UNROLL for (int k = 0; k < R; ++k) total[k][i] += y[k] * x;
      }
    }
  UNROLL for (int k = 0; k < R; ++k) add(sums(total[k]), gradient + k * stride);
}

// The same for rows [first, last).
inline void outer_rows(int first, int last, const float* g, const float* in, float* gradient,
                long stride, long ld, int stars) {
  for (int k = first, rows; k < last; k += rows) {
    const int left = last - k;
    rows = left >= OUTER && left != OUTER + 1 ? OUTER : std::min(left, 2);
    const auto some = rows == OUTER ? outer<OUTER> : rows == 2 ? outer<2> : outer<1>;
    some(g + k * ld, in, gradient + k * stride, stride, ld, stars);
  }
}

}  // namespace kernel
