// Adam (Kingma & Ba 2015, arXiv:1412.6980), as optimiser.py does it.
#pragma once

#include <algorithm>
#include <cmath>

namespace kernel {

constexpr float BETA_MEAN = 0.9f;              // as in optimiser.py
constexpr float BETA_SQUARE = 0.999f;          // as in optimiser.py
constexpr float EPSILON = 1e-8f;               // as in optimiser.py

// Zeroes what is masked in a gradient; the factor that makes it no longer than max_norm.
inline float shortening(float* gradient, const float* mask, long n, float max_norm) {
  double squares = 0;
  for (long start = 0; start < n; start += 1024) {
    const long stop = std::min(n, start + 1024);
    float parts[16] = {};
    for (long i = start; i + 16 <= stop; i += 16)
      for (int lane = 0; lane < 16; ++lane) {
        const float g = gradient[i + lane] *= mask[i + lane];
        parts[lane] += g * g;
      }
    for (long i = stop - (stop - start) % 16; i < stop; ++i) {
      const float g = gradient[i] *= mask[i];
      parts[0] += g * g;
    }
    for (float part : parts) squares += part;
  }
  const float shorten = max_norm / (float(std::sqrt(squares)) + EPSILON);
  return shorten > 1 ? 1.0f : shorten;  // NaN stays NaN
}

// The `step`-th update; to the gradient, times `shorten`, come the weights, times `decay`.
inline void adam(float* weights, const float* gradient, float* mean, float* square, long n,
                 float shorten, float step, float learning_rate, float decay) {
  const float root = std::sqrt(1 - std::pow(BETA_SQUARE, step));
  const float rate = learning_rate * root / (1 - std::pow(BETA_MEAN, step));
  const float floor = EPSILON * root;
  for (long i = 0; i < n; ++i) {
    const float g = gradient[i] * shorten + decay * weights[i];
    mean[i] += (1 - BETA_MEAN) * (g - mean[i]);
    square[i] += (1 - BETA_SQUARE) * (g * g - square[i]);
    weights[i] -= mean[i] * rate / (std::sqrt(square[i]) + floor);
  }
}

}  // namespace kernel
