// The flow: forward, inverse and backward on tiles of stars. maf.cpp says how and why.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <new>
#include <utility>
#include <vector>

#include "products.h"

namespace maf {

constexpr float LOG_SCALE_BOUND = 5.0f;        // as in transforms.py
constexpr float BATCH_NORM_EPSILON = 1e-5f;    // as in transforms.py
constexpr float BATCH_NORM_MOMENTUM = 0.1f;    // as in transforms.py
constexpr float HALF_LOG_2_PI = 0.918938533f;
// Stars in a tile: wide enough to make sums over stars cheap, and the activations of a usual flow
// (0.3 to 1.2 MB) stay in the cache. Measured.
constexpr int TILE = 128;

inline int rounded_up(long n, int multiple) { return int((n + multiple - 1) / multiple) * multiple; }

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

}  // namespace maf
