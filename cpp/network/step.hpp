// The equations of a step of a layer, with what they need packed once. Everything that runs a network left to right takes its steps
// here.
#pragma once

#include "network/network.hpp"
#include "network/products.hpp"

namespace bptt {

/// A kind of unit: f, and the way back through it.
struct Unit {
  Epilogue f, derivative;
};
inline Unit unit_of(Activation activation) {
  switch (activation) {
    case Activation::tanh: return {Epilogue::tanh, Epilogue::tanh_derivative};
    case Activation::relu: return {Epilogue::relu, Epilogue::relu_derivative};
  }
  return {};
}

/// Of leaky units: v(t-1), and where v(t) goes, which may be the same place. Over several steps both move by `step`.
template <class T> struct Carry {
  Matrix<const T> before;
  T* after = nullptr;
  Index step = 0;

  static Carry in_place(Matrix<T> v) { return {v, v.data, 0}; }
};

template <class T> struct RecurrentStep {
  RecurrentStep(const Kernels<T>& k, const Network& network, Index layer, Matrix<const T> W, int threads = 1)
      : unit(unit_of(network.activation)), W_transposed(pack_transposed<T>(k, W, threads)) {
    if (!network.leaky()) return;
    alpha = Array<T>(W.rows);
    for (Index j = 0; j < W.rows; ++j) alpha[j] = T(network.alpha(layer, j));
  }

  bool leaky() const { return alpha.data() != nullptr; }

  /// a(t) = b + W r(t-1) + U x(t)     (10.8; `a` holds b + U x(t))
  /// h(t) = f(a(t))                   (10.9)
  /// Without r, `a` holds W r(t-1) too, or there is none. Over several steps r(t-1) moves as h(t) does.
  /// Leaky units: v(t) = (1 - alpha) v(t-1) + alpha a(t), h(t) = f(v(t))     (N.1, N.2)
  void operator()(Sum<T>& a, Matrix<const T> r, const Carry<T>& v, Matrix<T> h, const Steps& steps = {}) const {
    if (r.rows > 0) a.plus(r, W_transposed, steps.out);
    if (leaky()) a.leak(alpha.data(), v.before, v.after, v.step);
    a.into(h, unit.f, steps);
  }

  Unit unit;
  Packed<T> W_transposed;
  Array<T> alpha;
};

/// h = f(v), of a state that is given.
template <class T> void values_of(const Network& network, const Kernels<T>& k, Matrix<const T> v, Matrix<T> h) {
  assert(v.stride == v.cols && h.stride == h.cols);
  const Index count = v.rows * v.cols;
  if (network.activation == Activation::tanh) return k.tanh(v.data, count, h.data);
  for (Index i = 0; i < count; ++i) h.data[i] = v.data[i] < T(0) ? T(0) : v.data[i];
}

/// r(t) of an output recurrence: y_hat(t), the output unit's value of o(t) (10.11), or o(t) itself. `rows` rows without gaps.
template <class T> void feed_back(const Network& network, const Kernels<T>& k, const T* o, Index rows, T* r) {
  if (network.recurrence == Recurrence::o || network.output == Output::linear)
    std::copy_n(o, rows * network.n_out, r);
  else if (network.output == Output::softmax)
    k.softmax(o, rows, network.n_out, r);
  else
    k.sigmoid(o, rows * network.n_out, r);
}

/// The table of tokens: a row for each, b + its column of U.
template <class T> Array<T> token_table(Matrix<const T> U, const T* b) {
  Array<T> table(product(U.cols, U.rows));
  for (Index j = 0; j < U.rows; ++j)
    for (Index token = 0; token < U.cols; ++token) table[token * U.rows + j] = b[j] + U(j, token);
  return table;
}

}  // namespace bptt
