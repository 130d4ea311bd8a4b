// Elementary functions of vectors, to a few units in the last place. NaN stays NaN.
#pragma once

#include <cmath>

#include "vectors.h"

namespace kernel {

// e^x for abs(x) <= 80: 2^n times a Taylor polynomial on abs(r) < ln(2) / 2, with ln(2) in two
// parts (Cody & Waite).
inline Vec exponential(Vec x) {
  const float shift = 12582912.0f;  // 1.5 * 2^23: adding it rounds to an integer
  const Vec shifted = x * 1.44269504f + shift;
  const Vec n = shifted - shift;
  const Vec r = (x - n * 0.693359375f) + n * 2.12194440e-4f;
  Vec p = r * (1.0f / 5040) + 1.0f / 720;
  p = p * r + 1.0f / 120;
  p = p * r + 1.0f / 24;
  p = p * r + 1.0f / 6;
  p = p * r + 0.5f;
  p = p * r + 1.0f;
  p = p * r + 1.0f;
  return p * (Vec)(((Int)shifted << 23) + (127 << 23));
}

// e^x for any x <= 0; what is less than e^-80 is that.
inline Vec decay(Vec x) { return exponential(x < -80 ? all(-80) : x); }

// 2 artanh(s) for abs(s) <= 1/3, by its series.
inline Vec twice_artanh(Vec s) {
  const Vec q = s * s;
  Vec p = q * (1.0f / 15) + 1.0f / 13;
  p = p * q + 1.0f / 11;
  p = p * q + 1.0f / 9;
  p = p * q + 1.0f / 7;
  p = p * q + 1.0f / 5;
  p = p * q + 1.0f / 3;
  return 2 * s + 2 * s * q * p;
}

// ln(1 + x) for 0 <= x <= 1.
inline Vec logarithm_above_one(Vec x) { return twice_artanh(x / (2 + x)); }

// ln(x) of normal numbers: x = 2^n m with m between sqrt(1/2) and sqrt(2). What is not positive
// and what is infinite give NaN.
inline Vec logarithm(Vec x) {
  const Int n = ((Int)x - 0x3f3504f3) >> 23;
  const Vec m = (Vec)((Int)x - (n << 23));
  // An integer below 2^22, as the last digits of 1.5 * 2^23.
  const Vec whole = (Vec)(n + 0x4b400000) - 12582912.0f;
  const Vec found = twice_artanh((m - 1) / (m + 1)) + whole * 0.693147181f;
  return x > 0 ? found + (x - x) : all(NAN);
}

inline Vec square_root(Vec x) {
  float lanes[LANES];
  std::memcpy(lanes, &x, sizeof(x));
  for (float& lane : lanes) lane = std::sqrt(lane);
  std::memcpy(&x, lanes, sizeof(x));
  return x;
}

}  // namespace kernel
