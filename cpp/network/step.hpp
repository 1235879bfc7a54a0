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

template <class T> struct RecurrentStep {
  RecurrentStep(const Kernels<T>& k, Matrix<const T> W, Activation activation, int threads = 1)
      : unit(unit_of(activation)), W_transposed(pack_transposed<T>(k, W, threads)) {}

  /// a(t) = b + W r(t-1) + U x(t)     (10.8; `a` holds b + U x(t))
  /// h(t) = f(a(t))                   (10.9)
  /// Without r, `a` holds W r(t-1) too, or there is none. Over several steps r(t-1) moves as h(t) does.
  void operator()(Sum<T>& a, Matrix<const T> r, Matrix<T> h, const Steps& steps = {}) const {
    if (r.rows > 0) a.plus(r, W_transposed, steps.out);
    a.into(h, unit.f, steps);
  }

  Unit unit;
  Packed<T> W_transposed;
};

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
