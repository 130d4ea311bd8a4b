// Vectors of stars, as wide as the instruction set has them.
#pragma once

#include <cstdint>
#include <cstring>

namespace kernel {

#if defined(__AVX512F__)
constexpr int LANES = 16, REGISTERS = 32;
#elif defined(__AVX__)
constexpr int LANES = 8, REGISTERS = 16;
#elif defined(__aarch64__)
constexpr int LANES = 4, REGISTERS = 32;
#else
constexpr int LANES = 4, REGISTERS = 16;
#endif
// A product holds ROWS x COLUMNS sums in registers; the weights' gradient OUTER x 4.
constexpr int ROWS = 6, COLUMNS = REGISTERS == 32 ? 4 : 2, OUTER = REGISTERS == 32 ? 5 : 3;
// Stars that a product takes at once; tiles are multiples of it.
constexpr int STEP = 4 * LANES;
constexpr int LINE = 64;  // bytes of a cache line
// Floats of input that a product goes through again and again: half of an L1 cache.
constexpr int PANEL = 4096;

typedef float Vec __attribute__((vector_size(4 * LANES), may_alias));
typedef int32_t Int __attribute__((vector_size(4 * LANES), may_alias));
typedef float Quad __attribute__((vector_size(16), may_alias));
typedef int32_t QuadInt __attribute__((vector_size(16), may_alias));

inline Vec load(const float* from) { return *reinterpret_cast<const Vec*>(from); }
inline void store(float* to, Vec value) { *reinterpret_cast<Vec*>(to) = value; }
inline Vec all(float value) { return value - Vec{}; }
inline Vec maximum(Vec a, Vec b) { return a > b ? a : b; }
inline Vec magnitude(Vec x) { return (Vec)((Int)x & 0x7fffffff); }
// NaN stays NaN, so that a bad number is seen in the loss.
inline Vec rectified(Vec x) { return x < 0 ? Vec{} : x; }

inline float sum(Vec x) {
  float total = 0;
  for (int lane = 0; lane < LANES; ++lane) total += x[lane];
  return total;
}

// Loops over registers must vanish, or the registers become memory. Others go by twos: fewer
// instructions that only count.
#if defined(__clang__)
#define UNROLL _Pragma("unroll")
#define TWICE _Pragma("unroll 2")
#else
#define UNROLL _Pragma("GCC unroll 8")
#define TWICE _Pragma("GCC unroll 2")
#endif

#if defined(__clang__)
#define SHUFFLE(a, b, i, j, k, l) __builtin_shufflevector(a, b, i, j, k, l)
#else
#define SHUFFLE(a, b, i, j, k, l) __builtin_shuffle(a, b, QuadInt{i, j, k, l})
#endif

inline Quad fold(Vec x) {
  Quad parts[LANES / 4];
  std::memcpy(parts, &x, sizeof(x));
  Quad total = parts[0];
  for (int part = 1; part < LANES / 4; ++part) total += parts[part];
  return total;
}

// Adds to four numbers that need not be aligned.
inline void add(Quad x, float* total) {
  Quad before;
  std::memcpy(&before, total, sizeof(before));
  x += before;
  std::memcpy(total, &x, sizeof(x));
}

// The sums over lanes of four vectors.
inline Quad sums(const Vec* x) {
  const Quad a = fold(x[0]), b = fold(x[1]), c = fold(x[2]), d = fold(x[3]);
  const Quad ab = SHUFFLE(a, b, 0, 4, 1, 5) + SHUFFLE(a, b, 2, 6, 3, 7);
  const Quad cd = SHUFFLE(c, d, 0, 4, 1, 5) + SHUFFLE(c, d, 2, 6, 3, 7);
  return SHUFFLE(ab, cd, 0, 1, 4, 5) + SHUFFLE(ab, cd, 2, 3, 6, 7);
}

}  // namespace kernel
