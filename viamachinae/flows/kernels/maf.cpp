// The affine masked autoregressive flow on one CPU core: density, inverse and training step.
//
// Called through ctypes by viamachinae/flows/native.py, which also owns the layout of weights.
// Compiled several times, for different instruction sets; native.py loads the best that runs.
//
// Why it is fast:
// - Stars stand in vector lanes. An activation is a row of stars; weights are broadcast.
// - Units stand in the order of their autoregressive degree, so that what a unit sees is a
//   prefix of the layer below: the masked part of a product is never computed.
// - A tile of stars goes forward and backward through the whole flow while its activations
//   stay in the cache.
// - The inverse finds one feature after the other and computes each hidden unit once, when the
//   features that it sees are known: the cost of one forward pass.
//
// Layout: a row of weights holds, for each block, one matrix a layer (units out x stride), then
// gain and offset of the batch norm, if any. Column 0 of a matrix is the bias (row 0 of each
// layer's activations is constantly 1); the other columns are the units below in order of
// degree, conditions first; columns are padded with zeros to a multiple of 4. The last layer
// has rows shift, log scale of feature 0, then of feature 1, ...

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <new>
#include <utility>
#include <vector>

#if defined(_WIN32)
#define EXPORT extern "C" __declspec(dllexport)
#else
#define EXPORT extern "C" __attribute__((visibility("default")))
#endif

namespace {

// --- vectors of stars ------------------------------------------------------------------------

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
inline Vec magnitude(Vec x) { return (Vec)((Int)x & 0x7fffffff); }
// NaN stays NaN, so that a bad number is seen in the loss.
inline Vec rectified(Vec x) { return x < 0 ? Vec{} : x; }

inline float sum(Vec x) {
  float total = 0;
  for (int lane = 0; lane < LANES; ++lane) total += x[lane];
  return total;
}

// Loops over registers must vanish, or the registers become memory.
#if defined(__clang__)
#define UNROLL _Pragma("unroll")
#else
#define UNROLL _Pragma("GCC unroll 8")
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

// The sums over lanes of four vectors.
inline Quad sums(const Vec* x) {
  const Quad a = fold(x[0]), b = fold(x[1]), c = fold(x[2]), d = fold(x[3]);
  const Quad ab = SHUFFLE(a, b, 0, 4, 1, 5) + SHUFFLE(a, b, 2, 6, 3, 7);
  const Quad cd = SHUFFLE(c, d, 0, 4, 1, 5) + SHUFFLE(c, d, 2, 6, 3, 7);
  return SHUFFLE(ab, cd, 0, 1, 4, 5) + SHUFFLE(ab, cd, 2, 3, 6, 7);
}

// e^x for abs(x) < 80, to 2 units in the last place: 2^n times a Taylor polynomial on
// abs(r) < ln(2) / 2, with ln(2) in two parts (Cody & Waite). NaN stays NaN.
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

// --- products --------------------------------------------------------------------------------

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
    for (int r = begin; r < end; ++r) {
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
  for (int s = 0; s < stars; s += LANES) {
    Vec y[R];
    UNROLL for (int k = 0; k < R; ++k) y[k] = load(g + k * ld + s);
    UNROLL for (int i = 0; i < 4; ++i) {
      const Vec x = load(in + i * ld + s);
      UNROLL for (int k = 0; k < R; ++k) total[k][i] += y[k] * x;
    }
  }
  UNROLL for (int k = 0; k < R; ++k) {
    const Quad added = sums(total[k]);
    UNROLL for (int i = 0; i < 4; ++i) gradient[k * stride + i] += added[i];
  }
}

// The same for rows [first, last).
void outer_rows(int first, int last, const float* g, const float* in, float* gradient,
                long stride, long ld, int stars) {
  for (int k = first, rows; k < last; k += rows) {
    const int left = last - k;
    rows = left >= OUTER && left != OUTER + 1 ? OUTER : std::min(left, 2);
    const auto some = rows == OUTER ? outer<OUTER> : rows == 2 ? outer<2> : outer<1>;
    some(g + k * ld, in, gradient + k * stride, stride, ld, stars);
  }
}

// --- the flow --------------------------------------------------------------------------------

constexpr float LOG_SCALE_BOUND = 5.0f;        // as in transforms.py
constexpr float BATCH_NORM_EPSILON = 1e-5f;    // as in transforms.py
constexpr float BATCH_NORM_MOMENTUM = 0.1f;    // as in transforms.py
constexpr float BETA_MEAN = 0.9f;              // as in optimiser.py
constexpr float BETA_SQUARE = 0.999f;          // as in optimiser.py
constexpr float EPSILON = 1e-8f;               // as in optimiser.py
constexpr float HALF_LOG_2_PI = 0.918938533f;
// Stars in a tile: wide enough to make sums over stars cheap, and the activations of a usual flow
// (0.3 to 1.2 MB) stay in the cache. Measured.
constexpr int TILE = 128;

int rounded_up(long n, int multiple) { return int((n + multiple - 1) / multiple) * multiple; }

struct Layer {
  int inputs, outputs;  // inputs with the constant 1 of the bias
  int stride;           // floats from one row of the matrix to the next
  long offset;          // of the matrix in a block's weights
  std::vector<int> begin, end;  // the inputs that an output sees
  std::vector<int> from, to;    // the outputs that see an input
  std::vector<int> up_to;       // outputs of degree i or less, by i
};

// What a block keeps of a tile: rows of stars, at a distance of `ld`.
struct Slot {
  float* in;                   // 1, conditions, features, zeros
  std::vector<float*> hidden;  // 1, units, zeros; layer by layer
  float* outputs;              // shift and unbounded log scale, feature by feature
  float* scale;                // exp(-log scale), by feature
  float* normal;               // standardised by the batch norm, by feature
  std::vector<float> deviation;  // standard deviation there, by feature
};

struct Adam {
  float learning_rate, weight_decay, max_norm;
};

class Flow {
 public:
  // `hidden[l]` units in layer l, whose degrees follow one another in `degrees`, sorted.
  Flow(int features, int conditions, int blocks, bool batch_norm, int n_hidden, const int* hidden,
       const int* degrees, int tile)
      : d(features), m(conditions), blocks(blocks), batch_norm(batch_norm) {
    std::vector<int> below(1 + m, 0);
    for (int i = 0; i < d; ++i) below.push_back(i + 1);
    long offset = 0;
    for (int l = 0; l <= n_hidden; ++l) {
      std::vector<int> own;
      if (l < n_hidden) {
        own.assign(degrees, degrees + hidden[l]);
        degrees += hidden[l];
      } else {
        for (int i = 0; i < d; ++i) own.insert(own.end(), 2, i);
      }
      add_layer(below, own, offset);
      below.assign(1, 0);
      below.insert(below.end(), own.begin(), own.end());
    }
    block_width = offset + (batch_norm ? 2 * d : 0);
    allocate(tile ? tile : TILE);
  }

  Flow(const Flow&) = delete;
  Flow& operator=(const Flow&) = delete;
  ~Flow() { std::free(memory); }

  long width() const { return blocks * block_width; }

  // z (n, d) and ln abs(dz/dx) of x (n, d) with conditions (n, m).
  void forward(const float* weights, float* statistics, const float* x,
               const float* condition, long n, float* z, float* log_det) {
    for (long start = 0; start < n; start += tile) {
      const int count = int(std::min<long>(tile, n - start));
      const int stars = rounded_up(count, STEP);
      for (int s = 0; s < stars; ++s) {
        const long star = start + std::min(s, count - 1);
        place(s, slots[0].in + (1 + m) * ld, x + star * d, condition + star * m);
      }
      const float* latent = through(weights, statistics, count, stars, false);
      for (int s = 0; s < count; ++s) {
        for (int i = 0; i < d; ++i) z[(start + s) * d + i] = latent[i * ld + s];
        log_det[start + s] = log_dets[s];
      }
    }
  }

  // x (n, d) and ln abs(dx/dz) of z (n, d) with conditions (n, m).
  void inverse(const float* weights, float* statistics, const float* z,
               const float* condition, long n, float* x, float* log_det) {
    for (long start = 0; start < n; start += tile) {
      const int count = int(std::min<long>(tile, n - start));
      const int stars = rounded_up(count, STEP);
      for (int s = 0; s < stars; ++s) {
        const long star = start + std::min(s, count - 1);
        place(s, delta, z + star * d, condition + star * m);
      }
      back(weights, statistics, stars);
      for (int s = 0; s < count; ++s) {
        for (int i = 0; i < d; ++i) x[(start + s) * d + i] = delta[i * ld + s];
        log_det[start + s] = log_dets[s];
      }
    }
  }

  // The mean of -ln p over a batch of rows (features, conditions) of `stars`, and its gradient.
  // Entry i of the batch is row order[(cursor + i) % count]; all are rows 0, 1, ... if order is
  // null. As in training: batch norm uses the batch and updates the statistics.
  double loss(const float* weights, float* statistics, const float* stars, const int32_t* order,
              long count, long cursor, long batch, float* gradient) {
    std::fill(gradient, gradient + width(), 0.0f);
    double total = 0;
    for (long start = 0; start < batch; start += tile) {
      const int present = int(std::min<long>(tile, batch - start));
      const int rounded = rounded_up(present, STEP);
      for (int s = 0; s < rounded; ++s) {
        const long position = (cursor + start + std::min(s, present - 1)) % count;
        const float* star = stars + (order ? order[position] : position) * long(d + m);
        place(s, slots[0].in + (1 + m) * ld, star, star + d);
        share[s] = s < present ? 1.0f / float(batch) : 0.0f;
      }
      const float* latent = through(weights, statistics, present, rounded, true);
      for (int s = 0; s < present; ++s) {
        double star = d * double(HALF_LOG_2_PI) - log_dets[s];
        for (int i = 0; i < d; ++i) star += 0.5 * latent[i * ld + s] * latent[i * ld + s];
        total += star;
      }
      backward(weights, latent, gradient, present, rounded);
    }
    return total / double(batch);
  }

 private:
  int d, m, blocks;
  bool batch_norm;
  std::vector<Layer> layers;
  long block_width;
  int tile;
  long ld;  // floats from one row of stars to the next
  float* memory = nullptr;
  std::vector<Slot> slots;
  float *delta, *change, *upper, *lower, *log_dets, *share;

  void add_layer(const std::vector<int>& below, const std::vector<int>& own, long& offset) {
    Layer layer;
    layer.inputs = int(below.size());
    layer.outputs = int(own.size());
    layer.stride = rounded_up(layer.inputs, 4);
    layer.offset = offset;
    offset += long(layer.outputs) * layer.stride;
    for (int degree : own) {
      const auto stop = std::upper_bound(below.begin() + 1, below.end(), degree);
      layer.end.push_back(int(stop - below.begin()));
    }
    layer.begin.assign(own.size(), 0);
    for (int degree : below)
      layer.from.push_back(int(std::lower_bound(own.begin(), own.end(), degree) - own.begin()));
    layer.to.assign(below.size(), layer.outputs);
    for (int i = 0; i < d; ++i)
      layer.up_to.push_back(int(std::upper_bound(own.begin(), own.end(), i) - own.begin()));
    layers.push_back(layer);
  }

  // One piece of zeroed memory for all rows of stars.
  void allocate(int stars) {
    long rows = 0, widest = 0;
    for (const Layer& layer : layers) {
      rows += layer.stride;
      widest = std::max<long>({widest, layer.stride, layer.outputs});
    }
    rows += 4 * d;
    tile = rounded_up(stars, STEP);
    // An odd number of cache lines between rows, so that a column of rows spreads over the cache.
    ld = rounded_up(tile, LINE / 2) + LINE / 4;
    const long total = (rows * (blocks + 1) + 2 * d + 2 * widest + 2) * ld;
    memory = static_cast<float*>(std::aligned_alloc(LINE, size_t(total) * sizeof(float)));
    if (!memory) throw std::bad_alloc();
    std::fill(memory, memory + total, 0.0f);
    float* next = memory;
    const auto take = [&](long n) { return std::exchange(next, next + n * ld); };
    const auto take_units = [&](const Layer& layer) {
      float* units = take(layer.stride);
      std::fill(units, units + ld, 1.0f);
      return units;
    };
    for (int b = 0; b <= blocks; ++b) {
      Slot slot;
      slot.in = take_units(layers[0]);
      for (size_t l = 1; l < layers.size(); ++l) slot.hidden.push_back(take_units(layers[l]));
      slot.outputs = take(2 * d);
      slot.scale = take(d);
      slot.normal = take(d);
      slot.deviation.resize(size_t(d));
      slots.push_back(slot);
    }
    delta = take(d), change = take(d), upper = take(widest), lower = take(widest);
    log_dets = take(1), share = take(1);
  }

  // One star into column s: its features into rows of stars, its conditions into all slots.
  void place(int s, float* rows, const float* x, const float* condition) {
    for (int i = 0; i < d; ++i) rows[i * ld + s] = x[i];
    for (int c = 0; c < m; ++c) conditions(slots[0])[c * ld + s] = condition[c];
  }

  float* conditions(const Slot& slot) const { return slot.in + ld; }
  float* features(const Slot& slot) const { return slot.in + (1 + m) * ld; }

  void share_conditions(int stars) {
    for (int b = 1; b < blocks; ++b)
      for (int c = 0; c < m; ++c)
        std::memcpy(conditions(slots[b]) + c * ld, conditions(slots[0]) + c * ld,
                    size_t(stars) * sizeof(float));
  }

  const float* gain(const float* weights, int b) const {
    return weights + (b + 1) * block_width - 2 * d;
  }

  // The tile in slot 0 through all blocks; returns the rows of z. ln abs(dz/dx) is in log_dets.
  const float* through(const float* weights, float* statistics, int count, int stars,
                       bool training) {
    share_conditions(stars);
    std::fill(log_dets, log_dets + stars, 0.0f);
    for (int b = 0; b < blocks; ++b) {
      const float* w = weights + b * block_width;
      const float* units = slots[b].in;
      // Without a way back, one block's activations are enough.
      Slot& slot = slots[training ? b : 0];
      for (size_t l = 0; l + 1 < layers.size(); ++l) {
        float* above = slot.hidden[l] + ld;
        multiply<ROWS, Then::rectify>(outputs_of(w, layers[l]), 0, layers[l].outputs, units,
                                      above, above, ld, stars);
        units = slot.hidden[l];
      }
      multiply<2, Then::nothing>(outputs_of(w, layers.back()), 0, 2 * d, units, slot.outputs,
                                 slot.outputs, ld, stars);
      for (int i = 0; i < d; ++i) {
        // The next block takes the features in reverse order.
        float* z = features(slots[b + 1]) + (b + 1 < blocks ? d - 1 - i : i) * ld;
        affine(slot, i, features(slots[b]) + i * ld, z, stars);
        if (batch_norm)
          normalise(slot, i, gain(weights, b), statistics + 2 * b * d, z, count, stars, training);
      }
    }
    return features(slots[blocks]);
  }

  Product outputs_of(const float* w, const Layer& layer) const {
    return {w + layer.offset, layer.stride, 1, layer.begin.data(), layer.end.data()};
  }

  // z = (x - shift) exp(-log scale) of one feature.
  void affine(Slot& slot, int i, const float* x, float* z, int stars) {
    const float* shift = slot.outputs + 2 * i * ld;
    float* scale = slot.scale + i * ld;
    for (int s = 0; s < stars; s += LANES) {
      const Vec raw = load(shift + ld + s);
      const Vec log_scale = raw / (1 + magnitude(raw) * (1 / LOG_SCALE_BOUND));
      const Vec factor = exponential(-log_scale);
      store(scale + s, factor);
      store(z + s, (load(x + s) - load(shift + s)) * factor);
      store(log_dets + s, load(log_dets + s) - log_scale);
    }
  }

  // Batch norm of one feature, in place; in training by mean and variance of the first `count`.
  void normalise(Slot& slot, int i, const float* gains, float* statistics, float* z, int count,
                 int stars, bool training) {
    float *mean = statistics + i, *var = statistics + d + i;
    float centre = *mean, spread = *var;
    if (training) {
      double total = 0, squares = 0;
      for (int s = 0; s < count; ++s) total += z[s];
      centre = float(total / count);
      for (int s = 0; s < count; ++s) squares += double(z[s] - centre) * (z[s] - centre);
      spread = float(squares / count);
      *mean += BATCH_NORM_MOMENTUM * (centre - *mean);
      *var += BATCH_NORM_MOMENTUM * (spread - *var);
    }
    const float deviation = std::sqrt(spread + BATCH_NORM_EPSILON);
    const float slope = std::exp(gains[i]), offset = gains[d + i];
    const float log_slope = gains[i] - std::log(deviation);
    float* normal = slot.normal + i * ld;
    for (int s = 0; s < stars; s += LANES) {
      const Vec standard = (load(z + s) - centre) / deviation;
      store(normal + s, standard);
      store(z + s, standard * slope + offset);
      store(log_dets + s, load(log_dets + s) + log_slope);
    }
    slot.deviation[size_t(i)] = deviation;
  }

  // Adds the gradient of the loss over a tile that has just gone through.
  void backward(const float* weights, const float* latent, float* gradient, int count, int stars) {
    for (int i = 0; i < d; ++i)
      for (int s = 0; s < stars; s += LANES)
        store(delta + i * ld + s, load(latent + i * ld + s) * load(share + s));
    for (int b = blocks - 1; b >= 0; --b) {
      if (batch_norm) unnormalise(b, gain(weights, b), gradient, count, stars);
      through_scale(slots[b], stars);
      through_layers(slots[b], weights + b * block_width, gradient + b * block_width, b > 0,
                     stars);
      for (int i = 0; b > 0 && i < d; ++i)
        std::memcpy(delta + (d - 1 - i) * ld, change + i * ld, size_t(stars) * sizeof(float));
    }
  }

  // delta from behind the batch norm to in front of it. With y the standardised feature and
  // a = dL/dy: dL/dx = (a - mean(a) - y mean(a y) + y / count) / deviation, where the last term
  // comes from ln(deviation) in the loss.
  void unnormalise(int b, const float* gains, float* gradient, int count, int stars) {
    float* own = gradient + (b + 1) * block_width - 2 * d;
    for (int i = 0; i < d; ++i) {
      float *a = delta + i * ld, *y = slots[b].normal + i * ld;
      double offset = 0, product = 0;
      for (int s = 0; s < count; ++s) {
        offset += a[s];
        product += double(a[s]) * y[s];
      }
      const float slope = std::exp(gains[i]);
      own[i] += float(product * slope) - 1;
      own[d + i] += float(offset);
      const float by_y = float(1 - product * slope) / float(count);
      const float constant = float(offset * slope) / float(count);
      const float deviation = slots[b].deviation[size_t(i)];
      for (int s = 0; s < stars; s += LANES) {
        const Vec moved = (load(a + s) * slope - constant + load(y + s) * by_y) / deviation;
        store(a + s, load(share + s) > 0 ? moved : Vec{});
      }
    }
  }

  // delta = dL/dz into `upper` = dL/d(shift, log scale) and `change` = dL/dx at fixed scale.
  void through_scale(const Slot& slot, int stars) {
    for (int i = 0; i < d; ++i) {
      const float *x = features(slot) + i * ld, *shift = slot.outputs + 2 * i * ld;
      for (int s = 0; s < stars; s += LANES) {
        const Vec factor = load(slot.scale + i * ld + s);
        const Vec moved = load(delta + i * ld + s) * factor;
        const Vec bound = 1 / (1 + magnitude(load(shift + ld + s)) * (1 / LOG_SCALE_BOUND));
        const Vec by_log_scale = load(share + s) - moved * (load(x + s) - load(shift + s));
        store(upper + 2 * i * ld + s, -moved);
        store(upper + (2 * i + 1) * ld + s, by_log_scale * bound * bound);
        store(change + i * ld + s, moved);
      }
    }
  }

  // `upper` backward through the network; what reaches the features is added to `change`.
  void through_layers(const Slot& slot, const float* w, float* gradient, bool to_features,
                      int stars) {
    for (size_t l = layers.size(); l-- > 0;) {
      const Layer& layer = layers[l];
      const float* units = l ? slot.hidden[l - 1] : slot.in;
      for (int i = 0; i < layer.inputs; i += 4)
        outer_rows(layer.from[i], layer.outputs, upper, units + i * ld,
                   gradient + layer.offset + i, layer.stride, ld, stars);
      // Column 0 is the bias: what comes below starts at column 1.
      const int skip = l ? 1 : 1 + m;
      const Product below{w + layer.offset + skip, 1, layer.stride, layer.from.data() + skip,
                          layer.to.data() + skip};
      if (l) {
        multiply<ROWS, Then::gate>(below, 0, layer.inputs - 1, upper, lower, units + ld, ld,
                                   stars);
        std::swap(upper, lower);
      } else if (to_features) {
        multiply<2, Then::nothing>(below, 0, d, upper, lower, lower, ld, stars);
        for (int i = 0; i < d; ++i)
          for (int s = 0; s < stars; s += LANES)
            store(change + i * ld + s, load(change + i * ld + s) + load(lower + i * ld + s));
      }
    }
  }

  // z in `delta` back through all blocks into x there; ln abs(dx/dz) is in log_dets.
  void back(const float* weights, float* statistics, int stars) {
    std::fill(log_dets, log_dets + stars, 0.0f);
    Slot& slot = slots[0];
    for (int b = blocks - 1; b >= 0; --b) {
      const float* w = weights + b * block_width;
      if (batch_norm) denormalise(gain(weights, b), statistics + 2 * b * d, stars);
      for (int i = 0; i < d; ++i) {
        const float* units = slot.in;
        for (size_t l = 0; l + 1 < layers.size(); ++l) {
          // The units of degree i: those that see what has just become known.
          const int known = i ? layers[l].up_to[i - 1] : 0;
          float* above = slot.hidden[l] + ld;
          multiply<ROWS, Then::rectify>(outputs_of(w, layers[l]), known, layers[l].up_to[i],
                                        units, above, above, ld, stars);
          units = slot.hidden[l];
        }
        multiply<2, Then::nothing>(outputs_of(w, layers.back()), 2 * i, 2 * i + 2, units,
                                   slot.outputs, slot.outputs, ld, stars);
        place_feature(slot, i, stars);
      }
      for (int i = 0; i < d; ++i)
        std::memcpy(delta + (b ? d - 1 - i : i) * ld, features(slot) + i * ld,
                    size_t(stars) * sizeof(float));
    }
  }

  // x = z exp(log scale) + shift of one feature.
  void place_feature(Slot& slot, int i, int stars) {
    const float *z = delta + i * ld, *shift = slot.outputs + 2 * i * ld;
    float* x = features(slot) + i * ld;
    for (int s = 0; s < stars; s += LANES) {
      const Vec raw = load(shift + ld + s);
      const Vec log_scale = raw / (1 + magnitude(raw) * (1 / LOG_SCALE_BOUND));
      store(x + s, load(z + s) * exponential(log_scale) + load(shift + s));
      store(log_dets + s, load(log_dets + s) + log_scale);
    }
  }

  void denormalise(const float* gains, float* statistics, int stars) {
    for (int i = 0; i < d; ++i) {
      const float deviation = std::sqrt(statistics[d + i] + BATCH_NORM_EPSILON);
      const float slope = std::exp(gains[i]) / deviation, offset = gains[d + i];
      const float log_slope = gains[i] - std::log(deviation);
      float* x = delta + i * ld;
      for (int s = 0; s < stars; s += LANES) {
        store(x + s, (load(x + s) - offset) / slope + statistics[i]);
        store(log_dets + s, load(log_dets + s) - log_slope);
      }
    }
  }
};

// --- Adam ------------------------------------------------------------------------------------

// Zeroes what is masked in a gradient; the factor that makes it no longer than max_norm.
float shortening(float* gradient, const float* mask, long n, float max_norm) {
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

void adam(float* weights, const float* gradient, float* mean, float* square, long n,
          float shorten, float rate, float decay, float floor) {
  for (long i = 0; i < n; ++i) {
    const float g = gradient[i] * shorten + decay * weights[i];
    mean[i] += (1 - BETA_MEAN) * (g - mean[i]);
    square[i] += (1 - BETA_SQUARE) * (g * g - square[i]);
    weights[i] -= mean[i] * rate / (std::sqrt(square[i]) + floor);
  }
}

}  // namespace

// --- what Python calls -----------------------------------------------------------------------

// Whether this processor has the instructions that this file was compiled for.
EXPORT int maf_runs_here() {
#if defined(__AVX512F__)
  return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("fma");
#elif defined(__AVX2__)
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
#else
  return 1;
#endif
}

// A workspace for one thread, or null where memory is short; a `tile` of 0 lets it choose.
EXPORT Flow* maf_create(int features, int conditions, int blocks, int batch_norm, int n_hidden,
                        const int* hidden, const int* degrees, int tile) {
  try {
    return new Flow(features, conditions, blocks, batch_norm != 0, n_hidden, hidden, degrees,
                    tile);
  } catch (const std::bad_alloc&) {
    return nullptr;
  }
}

EXPORT void maf_destroy(Flow* flow) { delete flow; }

// Floats in a row of weights.
EXPORT int64_t maf_width(const Flow* flow) { return flow->width(); }

EXPORT void maf_forward(Flow* flow, const float* weights, float* statistics, const float* x,
                        const float* condition, int64_t n, float* z, float* log_det) {
  flow->forward(weights, statistics, x, condition, n, z, log_det);
}

EXPORT void maf_inverse(Flow* flow, const float* weights, float* statistics, const float* z,
                        const float* condition, int64_t n, float* x, float* log_det) {
  flow->inverse(weights, statistics, z, condition, n, x, log_det);
}

EXPORT double maf_loss(Flow* flow, const float* weights, float* statistics, const float* stars,
                       const int32_t* order, int64_t count, int64_t cursor, int64_t batch,
                       float* gradient) {
  return flow->loss(weights, statistics, stars, order, count, cursor, batch, gradient);
}

// One update by Adam, the `step`-th, after shortening the gradient to max_norm.
EXPORT void maf_update(float* weights, float* gradient, float* mean, float* square,
                       const float* mask, int64_t n, float step, float learning_rate,
                       float weight_decay, float max_norm) {
  const float shorten = shortening(gradient, mask, n, max_norm);
  const float root = std::sqrt(1 - std::pow(BETA_SQUARE, step));
  const float rate = learning_rate * root / (1 - std::pow(BETA_MEAN, step));
  adam(weights, gradient, mean, square, n, shorten, rate, weight_decay, EPSILON * root);
}

// Does nothing but multiply and add, in registers, and says how often: the ruler of a benchmark.
EXPORT double maf_peak(int64_t rounds) {
  constexpr int sums = 10;  // enough to hide the latency of an addition
  volatile float seed = 0.5f;
  const Vec factor = all(seed), added = all(seed);
  Vec total[sums];
  for (int i = 0; i < sums; ++i) total[i] = all(float(i));
  for (int64_t round = 0; round < rounds; ++round)
    for (int i = 0; i < sums; ++i) total[i] = total[i] * factor + added;
  for (int i = 0; i < sums; ++i) seed = seed + sum(total[i]);
  return 2.0 * sums * LANES * double(rounds);
}
