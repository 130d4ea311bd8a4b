// The masked network of a block, as networks.py has it, on rows of stars.
#pragma once

#include <algorithm>
#include <utility>
#include <vector>

#include "memory.h"
#include "products.h"
#include "univariate.h"

namespace kernel {

struct Layer {
  int inputs, outputs;  // inputs with the constant 1 of the bias
  int stride;           // floats from one row of the matrix to the next
  long offset;          // of the matrix in the network's weights
  std::vector<int> begin, end;  // the inputs that an output sees
  std::vector<int> from, to;    // the outputs that see an input
  std::vector<int> up_to;       // outputs of degree i or less, by i
};

// What a network holds of a tile.
struct Activations {
  float* in;                   // 1, conditions, features, zeros
  std::vector<float*> hidden;  // 1, units, zeros; layer by layer
  float* outputs;              // raw parameters, feature by feature
};

class MaskedNetwork {
 public:
  // `hidden[l]` units in layer l, whose degrees follow one another in `degrees`, sorted.
  MaskedNetwork(int features, int conditions, int outputs, int n_hidden, const int* hidden,
                const int* degrees)
      : d(features), m(conditions), raw(outputs) {
    std::vector<int> below(1 + m, 0);
    for (int i = 0; i < d; ++i) below.push_back(i + 1);
    for (int l = 0; l <= n_hidden; ++l) {
      std::vector<int> own;
      if (l < n_hidden) {
        own.assign(degrees, degrees + hidden[l]);
        degrees += hidden[l];
      } else {
        for (int i = 0; i < d; ++i) own.insert(own.end(), size_t(raw), i);
      }
      add_layer(below, own);
      below.assign(1, 0);
      below.insert(below.end(), own.begin(), own.end());
    }
  }

  // Floats in its weights.
  long width() const { return weights; }

  // Room for a tile's activations.
  void lay_out(Memory& memory, Activations& tile) const {
    tile.in = memory.take(layers[0].stride);
    tile.hidden.resize(layers.size() - 1);
    for (size_t l = 1; l < layers.size(); ++l) tile.hidden[l - 1] = memory.take(layers[l].stride);
    tile.outputs = memory.take(layers.back().outputs);
  }

  // Rows of the widest layer.
  long widest() const {
    long rows = 0;
    for (const Layer& layer : layers) rows = std::max<long>({rows, layer.stride, layer.outputs});
    return rows;
  }

  // The constant 1 that stands for the biases.
  void set_ones(const Activations& own, long ld) const {
    std::fill(own.in, own.in + ld, 1.0f);
    for (float* units : own.hidden) std::fill(units, units + ld, 1.0f);
  }

  void forward(const float* w, const Activations& own, const Tile& tile) const {
    const float* units = own.in;
    for (size_t l = 0; l + 1 < layers.size(); ++l) {
      float* above = own.hidden[l] + tile.ld;
      multiply<ROWS, Then::rectify>(outputs_of(w, layers[l]), 0, layers[l].outputs, units, above,
                                    above, tile.ld, tile.stars);
      units = own.hidden[l];
    }
    put_out(w, 0, d, units, own.outputs, tile);
  }

  // The raw parameters of feature i, and the units of degree i: those that see what has become
  // known since the last call, which was for feature i - 1.
  void forward(const float* w, const Activations& own, int i, const Tile& tile) const {
    const float* units = own.in;
    for (size_t l = 0; l + 1 < layers.size(); ++l) {
      const int known = i ? layers[l].up_to[i - 1] : 0;
      float* above = own.hidden[l] + tile.ld;
      multiply<ROWS, Then::rectify>(outputs_of(w, layers[l]), known, layers[l].up_to[i], units,
                                    above, above, tile.ld, tile.stars);
      units = own.hidden[l];
    }
    put_out(w, i, i + 1, units, own.outputs, tile);
  }

  // The gradient by the outputs, in `upper`, backward: to the weights, and to the features, where
  // `by_features` is given; there it is added. `upper` and `lower` have room for `widest` rows.
  void backward(const float* w, const Activations& own, float* upper, float* lower,
                float* gradient, float* by_features, const Tile& tile) const {
    for (size_t l = layers.size(); l-- > 0;) {
      const Layer& layer = layers[l];
      const float* units = l ? own.hidden[l - 1] : own.in;
      for (int i = 0; i < layer.inputs; i += 4)
        outer_rows(layer.from[i], layer.outputs, upper, units + i * tile.ld,
                   gradient + layer.offset + i, layer.stride, tile.ld, tile.stars);
      // Column 0 is the bias: what comes below starts at column 1.
      const int skip = l ? 1 : 1 + m;
      const Product below{w + layer.offset + skip, 1, layer.stride, layer.from.data() + skip,
                          layer.to.data() + skip};
      if (l) {
        multiply<ROWS, Then::gate>(below, 0, layer.inputs - 1, upper, lower, units + tile.ld,
                                   tile.ld, tile.stars);
        std::swap(upper, lower);
      } else if (by_features) {
        multiply<2, Then::nothing>(below, 0, d, upper, lower, lower, tile.ld, tile.stars);
        add(lower, by_features, tile);
      }
    }
  }

 private:
  int d, m, raw;  // raw parameters of a feature
  std::vector<Layer> layers;
  long weights = 0;

  void add_layer(const std::vector<int>& below, const std::vector<int>& own) {
    Layer layer;
    layer.inputs = int(below.size());
    layer.outputs = int(own.size());
    layer.stride = rounded_up(layer.inputs, 4);
    layer.offset = weights;
    weights += long(layer.outputs) * layer.stride;
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

  static Product outputs_of(const float* w, const Layer& layer) {
    return {w + layer.offset, layer.stride, 1, layer.begin.data(), layer.end.data()};
  }

  // The raw parameters of features [first, last). Few a feature: then rows of two features
  // together would undo much of what the masks save.
  void put_out(const float* w, int first, int last, const float* units, float* outputs,
               const Tile& tile) const {
    const auto some = raw < ROWS ? multiply<2, Then::nothing> : multiply<ROWS, Then::nothing>;
    some(outputs_of(w, layers.back()), first * raw, last * raw, units, outputs, outputs, tile.ld,
         tile.stars);
  }

  void add(const float* rows, float* total, const Tile& tile) const {
    for (int i = 0; i < d; ++i)
      for (long s = i * tile.ld; s < i * tile.ld + tile.stars; s += LANES)
        store(total + s, load(total + s) + load(rows + s));
  }
};

}  // namespace kernel
