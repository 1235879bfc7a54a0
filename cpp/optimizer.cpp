// Norm, clipping and update, each in one pass over the parameters, block by block. The rules are the kernels'.
#include "optimizer.hpp"

#include <algorithm>
#include <cmath>

#include "base/denormals.hpp"
#include "base/matrix.hpp"
#include "base/threads.hpp"
#include "kernels/isa.hpp"

namespace bptt {
namespace {

constexpr Index block = 16'384;            // parameters: a task of a thread, and what is summed by itself for the norm
constexpr double operations_of_each = 16;  // what an update of one parameter takes, in multiply-adds of a product
constexpr double beside_the_norm = 1e-6;

template <class Task> void by_blocks(Index count, int threads, const Task& task) {
  parallel((count + block - 1) / block, threads, [&](Index i) { task(i, i * block, std::min(block, count - i * block)); });
}

}  // namespace

template <class T>
double update(Rule rule, Index count, T* parameters, const T* gradient, T* first, T* second, const Clipping& clipping,
              const Rates& rates) {
  const FlushDenormals flush;
  const Kernels<T>& k = kernels<T>();
  const Call call(operations_of_each * double(count));

  const Array<double> squares((count + block - 1) / block);
  by_blocks(count, call.threads(), [&](Index i, Index from, Index n) { squares[i] = k.sum_of_squares(gradient + from, n); });
  double sum = 0;
  for (Index i = 0; i * block < count; ++i) sum += squares[i];
  const double norm = std::sqrt(sum) / clipping.scale;
  if (!std::isfinite(norm)) return norm;

  Update<T> all{};
  all.rule = rule;
  all.factor = T(std::min(1.0, clipping.norm / (norm + beside_the_norm)) / clipping.scale);
  all.limit = T(clipping.value);
  all.decay = T(rates.decay);
  all.keep = T(rates.keep);
  all.rate = T(rates.rate);
  all.beta1 = T(rates.beta1);
  all.beta2 = T(rates.beta2);
  all.rest1 = T(1 - rates.beta1);
  all.rest2 = T(1 - rates.beta2);
  all.root = T(rates.root);
  all.eps = T(rates.eps);
  by_blocks(count, call.threads(), [&](Index, Index from, Index n) {
    Update<T> part = all;
    part.count = n;
    part.parameters = parameters + from;
    part.gradient = gradient + from;
    part.first = first ? first + from : nullptr;
    part.second = second ? second + from : nullptr;
    k.update(part);
  });
  return norm;
}

template double update(Rule, Index, float*, const float*, float*, float*, const Clipping&, const Rates&);
template double update(Rule, Index, double*, const double*, double*, double*, const Clipping&, const Rates&);

}  // namespace bptt
