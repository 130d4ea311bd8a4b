// The flow: forward, inverse and backward on tiles of stars. flow.cpp says how and why.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <memory>
#include <vector>

#include "batch_norm.h"
#include "memory.h"
#include "network.h"
#include "shape.h"

namespace kernel {

constexpr float HALF_LOG_2_PI = 0.918938533f;

// What a block keeps of a tile: rows of stars.
struct Slot {
  Activations network;
  float* kept;    // by its map, feature by feature
  float* normal;  // standardised by the batch norm, by feature
  std::vector<float> deviation;  // standard deviation there, by feature
};

class Flow {
 public:
  // A `tile` of 0 lets it choose.
  Flow(const Shape& shape, int tile)
      : d(shape.features),
        m(shape.conditions),
        blocks(shape.blocks),
        batch_norm(shape.batch_norm != 0),
        map(univariate_of(shape)),
        network(d, m, map->parameters(), shape.n_hidden, shape.hidden, shape.degrees),
        block_width(network.width() + (batch_norm ? 2 * d : 0)),
        slots(size_t(blocks + 1)) {
    for (int i = 0; i < d; ++i) places.push_back(i);
    places.insert(places.end(), shape.places, shape.places + (blocks - 1) * d);
    for (int i = 0; i < d; ++i) places.push_back(i);
    lay_out();
    memory.allocate(tile ? tile : memory.usual_tile());
    ld = memory.ld;
    lay_out();
    for (Slot& slot : slots) network.set_ones(slot.network, ld);
  }

  long width() const { return blocks * block_width; }

  long running() const { return batch_norm ? 2L * blocks * d : 0; }  // floats in its statistics
  int features() const { return d; }

  // z (n, d) and ln abs(dz/dx) of x (n, d) with conditions (n, m).
  void forward(const float* weights, float* statistics, const float* x, const float* condition,
               long n, float* z, float* log_det) {
    for (long start = 0; start < n; start += memory.tile) {
      const Tile tile = tile_of(n - start);
      place(features(slots[0]), x + start * d, condition + start * m, tile);
      take_out(through(weights, statistics, tile, false), z + start * d, tile);
      std::copy(log_dets, log_dets + tile.count, log_det + start);
    }
  }

  // ln p of x (n, d) with conditions (n, m).
  void log_prob(const float* weights, float* statistics, const float* x, const float* condition,
                long n, float* found) {
    for (long start = 0; start < n; start += memory.tile) {
      const Tile tile = tile_of(n - start);
      place(features(slots[0]), x + start * d, condition + start * m, tile);
      add_base(through(weights, statistics, tile, false), tile);
      std::copy(log_dets, log_dets + tile.count, found + start);
    }
  }

  // x (n, d) and ln abs(dx/dz) of z (n, d) with conditions (n, m).
  void inverse(const float* weights, float* statistics, const float* z, const float* condition,
               long n, float* x, float* log_det) {
    for (long start = 0; start < n; start += memory.tile) {
      const Tile tile = tile_of(n - start);
      place(delta, z + start * d, condition + start * m, tile);
      back(weights, statistics, tile);
      take_out(delta, x + start * d, tile);
      std::copy(log_dets, log_dets + tile.count, log_det + start);
    }
  }

  // The mean of -ln p over a batch of rows (features, conditions) of `stars`, and its gradient.
  // Entry i of the batch is row order[(cursor + i) % count]; all are rows 0, 1, ... if order is
  // null. As in training: batch norm uses the batch and updates the statistics.
  double loss(const float* weights, float* statistics, const float* stars, const int32_t* order,
              long count, long cursor, long batch, float* gradient) {
    std::fill(gradient, gradient + width(), 0.0f);
    double total = 0;
    for (long start = 0; start < batch; start += memory.tile) {
      const Tile tile = tile_of(batch - start);
      for (int s = 0; s < tile.stars; ++s) {
        const long position = (cursor + start + std::min(s, tile.count - 1)) % count;
        const float* star = stars + (order ? order[position] : position) * long(d + m);
        place(s, features(slots[0]), star, star + d);
        share[s] = s < tile.count ? 1.0f / float(batch) : 0.0f;
      }
      const float* latent = through(weights, statistics, tile, true);
      add_base(latent, tile);
      for (int s = 0; s < tile.count; ++s) total -= log_dets[s];
      backward(weights, statistics, latent, gradient, tile);
    }
    return total / double(batch);
  }

 private:
  int d, m, blocks;
  bool batch_norm;
  std::unique_ptr<Univariate> map;
  MaskedNetwork network;
  long block_width;
  std::vector<int> places;  // as in Shape, with rows for what comes in and what goes out
  Memory memory;
  long ld = 0;
  std::vector<Slot> slots;
  float *delta, *change, *upper, *lower, *log_dets, *share;

  void lay_out() {
    for (Slot& slot : slots) {
      network.lay_out(memory, slot.network);
      slot.kept = memory.take(d * map->kept());
      slot.normal = memory.take(d);
      slot.deviation.resize(size_t(d));
    }
    delta = memory.take(d), change = memory.take(d);
    upper = memory.take(network.widest()), lower = memory.take(network.widest());
    log_dets = memory.take(1), share = memory.take(1);
  }

  Tile tile_of(long left) const {
    const int count = int(std::min<long>(memory.tile, left));
    return {ld, rounded_up(count, STEP), count};
  }

  // One star into column s: its features into rows of stars, its conditions into those of slot 0.
  void place(int s, float* rows, const float* x, const float* condition) {
    for (int i = 0; i < d; ++i) rows[i * ld + s] = x[i];
    for (int c = 0; c < m; ++c) conditions(slots[0])[c * ld + s] = condition[c];
  }

  // The stars of a tile, one after the other.
  void place(float* rows, const float* x, const float* condition, const Tile& tile) {
    for (int s = 0; s < tile.stars; ++s) {
      const int star = std::min(s, tile.count - 1);
      place(s, rows, x + star * d, condition + star * m);
    }
  }

  void take_out(const float* rows, float* x, const Tile& tile) const {
    for (int s = 0; s < tile.count; ++s)
      for (int i = 0; i < d; ++i) x[s * d + i] = rows[i * ld + s];
  }

  // Adds the log density of latent space to ln abs(dz/dx): what is in log_dets is then ln p.
  void add_base(const float* latent, const Tile& tile) {
    for (int s = 0; s < tile.stars; s += LANES) {
      Vec squares{};
      for (int i = 0; i < d; ++i) squares += load(latent + i * ld + s) * load(latent + i * ld + s);
      store(log_dets + s, load(log_dets + s) - 0.5f * squares - d * HALF_LOG_2_PI);
    }
  }

  float* conditions(const Slot& slot) const { return slot.network.in + ld; }
  float* features(const Slot& slot) const { return slot.network.in + (1 + m) * ld; }

  void copy(const float* from, float* to, const Tile& tile) const {
    std::memcpy(to, from, size_t(tile.stars) * sizeof(float));
  }

  BatchNorm normaliser(const float* weights, float* statistics, int b, int i) const {
    const float* gains = weights + (b + 1) * block_width - 2 * d;
    float* running = statistics + 2 * b * d;
    return {gains[i], gains[d + i], running + i, running + d + i};
  }

  // The tile in slot 0 through all blocks; returns the rows of z. ln abs(dz/dx) is in log_dets.
  const float* through(const float* weights, float* statistics, const Tile& tile, bool training) {
    for (int b = 1; b < blocks; ++b)
      for (int c = 0; c < m; ++c)
        copy(conditions(slots[0]) + c * ld, conditions(slots[b]) + c * ld, tile);
    std::fill(log_dets, log_dets + tile.stars, 0.0f);
    for (int b = 0; b < blocks; ++b) {
      // Without a way back, one block's activations are enough.
      Slot& slot = slots[training ? b : 0];
      Activations own = slot.network;
      own.in = slots[b].network.in;
      network.forward(weights + b * block_width, own, tile);
      for (int i = 0; i < d; ++i) {
        float* z = features(slots[b + 1]) + places[(b + 1) * d + i] * ld;
        map->forward(raw_of(slot, i), kept_of(slot, i), features(slots[b]) + i * ld, z, log_dets,
                     tile);
        if (batch_norm)
          slot.deviation[size_t(i)] =
              normaliser(weights, statistics, b, i)
                  .forward(z, slot.normal + i * ld, log_dets, tile, training);
      }
    }
    return features(slots[blocks]);
  }

  float* raw_of(const Slot& slot, int i) const {
    return slot.network.outputs + i * map->parameters() * ld;
  }
  float* kept_of(const Slot& slot, int i) const { return slot.kept + i * map->kept() * ld; }

  // Adds the gradient of the loss over a tile that has just gone through.
  void backward(const float* weights, float* statistics, const float* latent, float* gradient,
                const Tile& tile) {
    for (int i = 0; i < d; ++i)
      for (int s = 0; s < tile.stars; s += LANES)
        store(delta + i * ld + s, load(latent + i * ld + s) * load(share + s));
    for (int b = blocks - 1; b >= 0; --b) {
      const Slot& slot = slots[size_t(b)];
      float* by_gains = gradient + (b + 1) * block_width - 2 * d;
      for (int i = 0; i < d; ++i) {
        float* by_z = delta + i * ld;
        if (batch_norm)
          normaliser(weights, statistics, b, i)
              .backward(by_z, slot.normal + i * ld, slot.deviation[size_t(i)], share, by_gains[i],
                        by_gains[d + i], tile);
        map->backward(raw_of(slot, i), kept_of(slot, i), features(slot) + i * ld, by_z, share,
                      upper + i * map->parameters() * ld, change + i * ld, tile);
      }
      network.backward(weights + b * block_width, slot.network, upper, lower,
                       gradient + b * block_width, b ? change : nullptr, tile);
      for (int i = 0; b && i < d; ++i)
        copy(change + places[b * d + i] * ld, delta + i * ld, tile);
    }
  }

  // z in `delta` back through all blocks into x there; ln abs(dx/dz) is in log_dets.
  void back(const float* weights, float* statistics, const Tile& tile) {
    std::fill(log_dets, log_dets + tile.stars, 0.0f);
    const Slot& slot = slots[0];
    for (int b = blocks - 1; b >= 0; --b) {
      for (int i = 0; batch_norm && i < d; ++i)
        normaliser(weights, statistics, b, i).inverse(delta + i * ld, log_dets, tile);
      for (int i = 0; i < d; ++i) {
        network.forward(weights + b * block_width, slot.network, i, tile);
        map->inverse(raw_of(slot, i), kept_of(slot, i), delta + i * ld, features(slot) + i * ld,
                     log_dets, tile);
      }
      for (int i = 0; i < d; ++i)
        copy(features(slot) + places[b * d + i] * ld, delta + i * ld, tile);
    }
  }
};

}  // namespace kernel
