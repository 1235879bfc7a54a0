// How parameters follow the gradient, a vector at a time, and the gradient's norm. Included by kernels.cpp alone.
//
// No multiply-add is fused here, so that every instruction set gives the same bits.
#pragma once

#include "kernels/kernels.hpp"
#include "kernels/simd.hpp"

namespace bptt::BPTT_ISA {
namespace {

template <class T> [[gnu::always_inline]] inline Vector<T> within(Vector<T> limit, Vector<T> x) {
  return x > limit ? limit : x < -limit ? -limit : x;
}

// Elements [j, j + n): the equations of `Update`, with first = v or s, second = r.
template <class T, Rule rule> [[gnu::always_inline]] inline void update_vector(const Update<T>& u, Index j, Index n) {
  constexpr bool has_first = keeps_first(rule), has_second = keeps_second(rule);
  const Vector<T> theta = load_first(u.parameters + j, n);
  const Vector<T> clipped = within<T>(broadcast(u.limit), load_first(u.gradient + j, n) * broadcast(u.factor));
  const Vector<T> g = clipped + theta * broadcast(u.decay);

  Vector<T> scaled = g;  // g / (sqrt(r) + eps) where it is not Adam's
  Vector<T> divisor = {};
  if constexpr (has_second) {
    Vector<T> r = load_first(u.second + j, n);
    r = rule == Rule::adagrad ? r + g * g : r * broadcast(u.beta2) + g * broadcast(u.rest2) * g;
    store_first(u.second + j, r, n);
    divisor = square_root(r) * broadcast(u.root) + broadcast(u.eps);
    if constexpr (rule != Rule::adam) scaled = g / divisor;
  }

  Vector<T> direction = scaled;
  if constexpr (has_first) {
    Vector<T> v = load_first(u.first + j, n);
    v = rule == Rule::adam ? v * broadcast(u.beta1) + g * broadcast(u.rest1) : v * broadcast(u.beta1) + scaled;
    store_first(u.first + j, v, n);
    direction = rule == Rule::adam ? v / divisor : rule == Rule::nesterov ? g + v * broadcast(u.beta1) : v;
  }
  store_first(u.parameters + j, theta * broadcast(u.keep) - direction * broadcast(u.rate), n);
}

template <class T, Rule rule> void update_by(Update<T> u) {  // a copy: what is stored cannot change its numbers
  Index j = 0;
  for (; j + lanes<T> <= u.count; j += lanes<T>) update_vector<T, rule>(u, j, lanes<T>);
  if (j < u.count) update_vector<T, rule>(u, j, u.count - j);
}

template <class T> void update(const Update<T>& u) {
  switch (u.rule) {
    case Rule::sgd: return update_by<T, Rule::sgd>(u);
    case Rule::momentum: return update_by<T, Rule::momentum>(u);
    case Rule::nesterov: return update_by<T, Rule::nesterov>(u);
    case Rule::adagrad: return update_by<T, Rule::adagrad>(u);
    case Rule::rmsprop: return update_by<T, Rule::rmsprop>(u);
    case Rule::rmsprop_momentum: return update_by<T, Rule::rmsprop_momentum>(u);
    case Rule::adam: return update_by<T, Rule::adam>(u);
  }
}

constexpr Index parts = 16;  // sums side by side, whatever the width of a vector: element i belongs to sum i % parts

template <class T>
[[gnu::always_inline]] inline void add_squares(const T* x, Vector<double> (&sums)[parts / lanes<double>]) {
#pragma GCC unroll 8
  for (Index i = 0; i < parts / lanes<double>; ++i) {
    const Vector<double> wide = load_as_double(x + i * lanes<double>);
    sums[i] += wide * wide;
  }
}

template <class T> double sum_of_squares(const T* x, Index count) {
  Vector<double> sums[parts / lanes<double>] = {};
  Index j = 0;
  for (; j + parts <= count; j += parts) add_squares<T>(x + j, sums);
  if (j < count) {
    T rest[parts] = {};
    for (Index i = 0; j + i < count; ++i) rest[i] = x[j + i];
    add_squares<T>(rest, sums);
  }
  double sum[parts];
  __builtin_memcpy(sum, sums, sizeof sum);
  for (Index half = parts / 2; half > 0; half /= 2)
    for (Index i = 0; i < half; ++i) sum[i] += sum[i + half];
  return sum[0];
}

}  // namespace
}  // namespace bptt::BPTT_ISA
