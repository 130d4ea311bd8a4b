// The masked autoregressive flow, with affine maps, rational-quadratic splines or both, on one
// CPU core: density, inverse and training step.
//
// Called through ctypes by viamachinae/flows/kernel.py; layout.py has the layout of weights.
// Compiled several times, for different instruction sets; variants.py loads the best that runs.
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
// has the raw parameters of feature 0, then those of feature 1, ...
//
// The files, each built on those after it: adam.h; flow.h; shape.h, network.h and batch_norm.h; the
// maps of single features chain.h, affine.h and spline.h, all of them a univariate.h; products.h,
// functions.h and memory.h; vectors.h.

#include <cmath>
#include <cstdint>
#include <new>

#include "adam.h"
#include "flow.h"

#if defined(_WIN32)
#define EXPORT extern "C" __declspec(dllexport)
#else
#define EXPORT extern "C" __attribute__((visibility("default")))
#endif

using kernel::Flow;
using kernel::Shape;

// Whether this processor has the instructions that this file was compiled for.
EXPORT int flow_runs_here() {
#if defined(__AVX512F__)
  return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("fma");
#elif defined(__AVX2__)
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
#else
  return 1;
#endif
}

// A workspace for one thread, or null where memory is short; a `tile` of 0 lets it choose.
EXPORT Flow* flow_create(const Shape* shape, int tile) {
  try {
    return new Flow(*shape, tile);
  } catch (const std::bad_alloc&) {
    return nullptr;
  }
}

EXPORT void flow_destroy(Flow* flow) { delete flow; }

// Floats in a row of weights.
EXPORT int64_t flow_width(const Flow* flow) { return flow->width(); }

// These three work on several flows, each a row of weights and of statistics; from the stars or
// conditions of one to those of the next it is a step, 0 where all have the same.

EXPORT void flow_forward(Flow* flow, int64_t flows, const float* weights, float* statistics,
                        const float* x, int64_t x_step, const float* condition,
                        int64_t condition_step, int64_t n, float* z, float* log_det) {
  for (int64_t k = 0; k < flows; ++k)
    flow->forward(weights + k * flow->width(), statistics + k * flow->running(), x + k * x_step,
                  condition + k * condition_step, n, z + k * n * flow->features(), log_det + k * n);
}

EXPORT void flow_inverse(Flow* flow, int64_t flows, const float* weights, float* statistics,
                        const float* z, int64_t z_step, const float* condition,
                        int64_t condition_step, int64_t n, float* x, float* log_det) {
  for (int64_t k = 0; k < flows; ++k)
    flow->inverse(weights + k * flow->width(), statistics + k * flow->running(), z + k * z_step,
                  condition + k * condition_step, n, x + k * n * flow->features(), log_det + k * n);
}

EXPORT void flow_log_prob(Flow* flow, int64_t flows, const float* weights, float* statistics,
                         const float* x, int64_t x_step, const float* condition,
                         int64_t condition_step, int64_t n, float* log_prob) {
  for (int64_t k = 0; k < flows; ++k)
    flow->log_prob(weights + k * flow->width(), statistics + k * flow->running(), x + k * x_step,
                   condition + k * condition_step, n, log_prob + k * n);
}

// So many steps of Adam on the mean of -ln p, each on the next batch, the first of which begins at
// `cursor`; `taken` were taken before, and `rates` has the learning rate of each. Only what `mask`
// shows is trained. Returns `loss` with the losses of all steps added.
EXPORT double flow_train(Flow* flow, float* weights, float* statistics, float* mean, float* square,
                        float* gradient, const float* mask, const float* stars,
                        const int32_t* order, int64_t count, int64_t cursor, int64_t batch,
                        int64_t steps, int64_t taken, const float* rates, float weight_decay,
                        float max_norm, double loss) {
  const int64_t n = flow->width();
  for (int64_t i = 0; i < steps; ++i) {
    loss += flow->loss(weights, statistics, stars, order, count, cursor + i * batch, batch,
                       gradient);
    const float shorten = kernel::shortening(gradient, mask, n, max_norm);
    kernel::adam(weights, gradient, mean, square, n, shorten, float(taken + i + 1), rates[i],
                 weight_decay);
  }
  return loss;
}

EXPORT double flow_loss(Flow* flow, const float* weights, float* statistics, const float* stars,
                       const int32_t* order, int64_t count, int64_t cursor, int64_t batch,
                       float* gradient) {
  return flow->loss(weights, statistics, stars, order, count, cursor, batch, gradient);
}

// Does nothing but multiply and add, in registers, and says how often: the ruler of a benchmark.
EXPORT double flow_peak(int64_t rounds) {
  constexpr int sums = 10;  // enough to hide the latency of an addition
  volatile float seed = 0.5f;
  const kernel::Vec factor = kernel::all(seed), added = kernel::all(seed);
  kernel::Vec total[sums];
  for (int i = 0; i < sums; ++i) total[i] = kernel::all(float(i));
  for (int64_t round = 0; round < rounds; ++round)
    for (int i = 0; i < sums; ++i) total[i] = total[i] * factor + added;
  for (int i = 0; i < sums; ++i) seed = seed + kernel::sum(total[i]);
  return 2.0 * sums * kernel::LANES * double(rounds);
}
