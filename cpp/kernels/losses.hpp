// Output units, losses and their gradients, row by row. Included by kernels.cpp alone.
#pragma once

#include "kernels/functions.hpp"
#include "kernels/kernels.hpp"

namespace bptt::BPTT_ISA {
namespace {

constexpr float minus_infinity = -__builtin_huge_valf();

template <class T> [[gnu::always_inline]] inline T largest_of(const T* o, Index n) {
  Vector<T> most = broadcast(T(minus_infinity));
  for (Index j = 0; j < n; j += lanes<T>) most = larger<T>(most, load_or(o + j, n - j, T(minus_infinity)));
  return largest<T>(most);
}

// e_j = exp(o_j - most); returns their sum. With the largest o_j for `most` no exponential overflows, and the sum is at least 1.
template <class T> [[gnu::always_inline]] inline T exponentials(const T* o, Index n, T most, T* e) {
  Vector<T> total = {};
  for (Index j = 0; j < n; j += lanes<T>) {
    const Vector<T> e_j = exp<T>(load_or(o + j, n - j, T(minus_infinity)) - broadcast(most));
    total += e_j;
    store_first(e + j, e_j, n - j < lanes<T> ? n - j : lanes<T>);
  }
  return sum<T>(total);
}

template <class T> [[gnu::always_inline]] inline void scale(T* row, Index n, T factor) {
  Index j = 0;
  for (; j + lanes<T> <= n; j += lanes<T>) store(row + j, load(row + j) * broadcast(factor));
  if (j < n) store_first(row + j, load_first(row + j, n - j) * broadcast(factor), n - j);
}

template <class T> [[gnu::always_inline]] inline void set_zero(T* row, Index n) {
  for (Index j = 0; j < n; ++j) row[j] = T(0);
}

// Several rows at once, step by step: the steps of a row wait for each other, those of different rows need not. log(total) +
// most - o_y is -log softmax(o)_y; a row that takes no part has total 1 and weight 0.
template <class T> void softmax_loss(const Loss<T>& s) {
  constexpr Index chunk = 8;
  for (Index from = 0; from < s.rows; from += chunk) {
    const Index rows = s.rows - from < chunk ? s.rows - from : chunk;
    double totals[chunk], others[chunk], losses[chunk];
    T most[chunk], weight[chunk];
    for (Index i = 0; i < chunk; ++i) totals[i] = 1, others[i] = losses[i] = 0;
    T* const o = s.o + from * s.o_stride;
    const std::int32_t* const target = s.target + from;
    for (Index i = 0; i < rows; ++i) {
      weight[i] = target[i] < 0 ? T(0) : s.weight ? s.weight[from + i] : T(1);
      most[i] = largest_of(o + i * s.o_stride, s.n);
    }
    for (Index i = 0; i < rows; ++i) {
      if (weight[i] == T(0)) continue;
      T* const row = o + i * s.o_stride;
      others[i] = double(most[i]) - double(row[target[i]]);
      totals[i] = exponentials(row, s.n, most[i], row);
    }
    for (Index i = 0; i < rows; ++i) {
      T* const row = o + i * s.o_stride;
      if (weight[i] == T(0)) {
        set_zero(row, s.n);
      } else if (s.gradient) {  // w (y_hat - y)
        scale(row, s.n, T(weight[i] / T(totals[i])));
        row[target[i]] -= weight[i];
      }
    }
    for (Index i = 0; i < chunk; i += lanes<double>) store(losses + i, log(load(totals + i)) + load(others + i));
    for (Index i = 0; i < rows; ++i) s.loss[from + i] = double(weight[i]) * losses[i];
  }
}

// Rows of either loss whose terms are element by element: term(o, y, gradient) gives the terms and their derivatives. Where y is
// NaN, or an output's own weight is 0, there is none.
template <class T, class Term> [[gnu::always_inline]] inline void elementwise_loss(const Loss<T>& s, const Term& term) {
  for (Index r = 0; r < s.rows; ++r) {
    T* o = s.o + r * s.o_stride;
    const T* const weights = s.each_output_has_weight ? s.weight + r * s.n : nullptr;
    const T weight = s.weight && !weights ? s.weight[r] : T(1);
    s.loss[r] = 0;
    if (weight == T(0)) {
      set_zero(o, s.n);
      continue;
    }
    const T* y = s.y + r * s.y_stride;
    Vector<double> total = {};
    for (Index j = 0; j < s.n; j += lanes<T>) {
      const Index width = s.n - j < lanes<T> ? s.n - j : lanes<T>;
      const Vector<T> y_j = load_first(y + j, width), none = {};
      Vector<T> gradient;
      Vector<T> loss = term(load_first(o + j, width), y_j, gradient);
      auto takes_part = y_j == y_j;
      if (weights) {
        const Vector<T> w = load_first(weights + j, width);
        takes_part = takes_part & (w != none);
        loss *= w, gradient *= w;
      }
      loss = takes_part ? loss : none;
      gradient = takes_part ? gradient : none;
      T lane[lanes<T>];
      store(lane, loss);  // lanes beyond the row are no part of the loss
      add_in_double(total, load_first(lane, width));
      if (s.gradient) store_first(o + j, gradient * broadcast(weight), width);
    }
    s.loss[r] = double(weight) * sum<double>(total);
  }
}

template <class T> struct Sigmoid {
  Vector<T> e, y_hat;  // e = exp(-|o|), y_hat = 1 / (1 + exp(-o))
};

template <class T> [[gnu::always_inline]] inline Sigmoid<T> sigmoid_of(Vector<T> o) {
  const Vector<T> e = exp<T>(-absolute<T>(o));
  const Vector<T> one = broadcast(T(1));
  return {e, (o < Vector<T>{} ? e : one) / (one + e)};
}

// -y log sigma(o) - (1 - y) log(1 - sigma(o)) = max(o, 0) - o y + log(1 + exp(-|o|))
template <class T> void sigmoid_loss(const Loss<T>& s) {
  elementwise_loss<T>(s, [](Vector<T> o, Vector<T> y, Vector<T>& gradient) __attribute__((always_inline)) {
    const Sigmoid<T> z = sigmoid_of<T>(o);
    gradient = z.y_hat - y;
    return larger<T>(o, Vector<T>{}) - o * y + log1p<T>(z.e);
  });
}

template <class T> void squared_loss(const Loss<T>& s) {
  elementwise_loss<T>(s, [](Vector<T> o, Vector<T> y, Vector<T>& gradient) __attribute__((always_inline)) {
    gradient = o - y;
    return broadcast(T(0.5)) * gradient * gradient;
  });
}

template <class T> void softmax(const T* o, Index rows, Index n, T* y_hat) {
  for (Index r = 0; r < rows; ++r, o += n, y_hat += n) {
    scale(y_hat, n, T(1) / exponentials(o, n, largest_of(o, n), y_hat));
  }
}

template <class T, class Function> [[gnu::always_inline]] inline void map(const T* x, Index count, T* y, const Function& f) {
  for (Index j = 0; j < count; j += lanes<T>) {
    const Index width = count - j < lanes<T> ? count - j : lanes<T>;
    store_first(y + j, f(load_first(x + j, width)), width);
  }
}

template <class T> void sigmoid(const T* o, Index count, T* y_hat) {
  map<T>(o, count, y_hat, [](Vector<T> v) __attribute__((always_inline)) { return sigmoid_of<T>(v).y_hat; });
}

template <class T> void tanh(const T* x, Index count, T* y) {
  map<T>(x, count, y, [](Vector<T> v) __attribute__((always_inline)) { return tanh<T>(v); });
}

template <class T> void softmax_back(const T* y, const T* dy, Index rows, Index n, T* d_o) {
  for (Index r = 0; r < rows; ++r, y += n, dy += n, d_o += n) {
    Vector<T> products = {};
    for (Index j = 0; j < n; j += lanes<T>) {
      const Index width = n - j < lanes<T> ? n - j : lanes<T>;
      products = fma(load_first(y + j, width), load_first(dy + j, width), products);
    }
    const Vector<T> mean = broadcast(sum<T>(products));
    for (Index j = 0; j < n; j += lanes<T>) {
      const Index width = n - j < lanes<T> ? n - j : lanes<T>;
      store_first(d_o + j, fma(load_first(y + j, width), load_first(dy + j, width) - mean, load_first(d_o + j, width)), width);
    }
  }
}

template <class T> void sigmoid_back(const T* y, const T* dy, Index count, T* d_o) {
  for (Index j = 0; j < count; j += lanes<T>) {
    const Index width = count - j < lanes<T> ? count - j : lanes<T>;
    const Vector<T> y_j = load_first(y + j, width), slope = y_j * (broadcast(T(1)) - y_j);
    store_first(d_o + j, fma(slope, load_first(dy + j, width), load_first(d_o + j, width)), width);
  }
}

}  // namespace
}  // namespace bptt::BPTT_ISA
