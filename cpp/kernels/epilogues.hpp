// What is done to a sum before it is stored: the units' functions and the way back through them. Included by tiles.hpp alone.
#pragma once

#include "kernels/functions.hpp"
#include "kernels/kernels.hpp"
#include "kernels/simd.hpp"

namespace bptt::BPTT_ISA {
namespace {

[[gnu::always_inline]] inline bool is_derivative(Epilogue epilogue) {
  return epilogue == Epilogue::tanh_derivative || epilogue == Epilogue::relu_derivative;
}

// h = f(a), of several vectors at a time: each takes long, and none waits for another.
template <class T, int n> [[gnu::always_inline]] inline void apply(Epilogue epilogue, Vector<T> (&a)[n]) {
  if (epilogue == Epilogue::tanh) {
#pragma GCC unroll 4
    for (int i = 0; i < n; ++i) a[i] = tanh<T>(a[i]);
  } else if (epilogue == Epilogue::relu) {  // NaN stays NaN
#pragma GCC unroll 4
    for (int i = 0; i < n; ++i) a[i] = a[i] < Vector<T>{} ? Vector<T>{} : a[i];
  }
}

// dL/da = dL/dh f'(a), where h = f(a): 1 - h^2 for tanh; for relu 1 where h > 0, else 0.
template <class T> [[gnu::always_inline]] inline Vector<T> times_derivative(Epilogue epilogue, Vector<T> dh, Vector<T> h) {
  if (epilogue == Epilogue::tanh_derivative) return dh * fma(-h, h, broadcast(T(1)));
  return h <= Vector<T>{} ? Vector<T>{} : dh;
}

}  // namespace
}  // namespace bptt::BPTT_ISA
