// One zeroed piece of memory for all rows of stars.
#pragma once

#include <algorithm>
#include <cstdlib>
#include <new>

#include "vectors.h"

namespace kernel {

inline int rounded_up(long n, int multiple) {
  return int((n + multiple - 1) / multiple) * multiple;
}

// Stars in a tile: many make sums over stars cheap, few keep their rows in the cache. Measured.
constexpr int TILE = 128, WIDE_TILE = 256;
constexpr long BYTES_OF_WIDE_TILE = 7L << 18;  // at most

// Used twice by the same sequence of `take`: to count, and after `allocate` to hand out.
class Memory {
 public:
  Memory() = default;
  Memory(const Memory&) = delete;
  Memory& operator=(const Memory&) = delete;
  ~Memory() { std::free(floats); }

  int tile = 0;  // stars in a row
  long ld = 0;   // floats from one row to the next

  // What suits the rows counted.
  int usual_tile() const { return bytes(WIDE_TILE) <= BYTES_OF_WIDE_TILE ? WIDE_TILE : TILE; }

  void allocate(int stars) {
    tile = rounded_up(stars, STEP);
    ld = spread(tile);
    floats = static_cast<float*>(std::aligned_alloc(LINE, size_t(bytes(tile))));
    if (!floats) throw std::bad_alloc();
    std::fill(floats, floats + taken * ld, 0.0f);
    taken = 0;
  }

  float* take(long rows) {
    taken += rows;
    return floats ? floats + (taken - rows) * ld : nullptr;
  }

 private:
  float* floats = nullptr;
  long taken = 0;

  // Of the rows counted, for so many stars.
  long bytes(int stars) const { return taken * spread(stars) * long(sizeof(float)); }

  // An odd number of cache lines between rows, so that a column of rows spreads over the cache.
  static long spread(int stars) { return rounded_up(stars, LINE / 2) + LINE / 4; }
};

}  // namespace kernel
