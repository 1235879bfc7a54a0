// What is done to a sum before it is stored: the units' functions and the way back through them. Included by tiles.hpp alone.
#pragma once

#include "kernels/functions.hpp"
#include "kernels/kernels.hpp"
#include "kernels/simd.hpp"

// One function, of which the compiler makes no copies for constant arguments.
#if __has_cpp_attribute(gnu::noclone)
#define BPTT_ONE_FUNCTION [[gnu::noinline, gnu::noclone]]
#else
#define BPTT_ONE_FUNCTION [[gnu::noinline]]
#endif

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

// dL/da = dL/dh f'(a), where h = f(a).
template <class T> [[gnu::always_inline]] inline Vector<T> through_tanh(Vector<T> dh, Vector<T> h) {
  return dh * fma(-h, h, broadcast(T(1)));  // f' = 1 - h^2
}
template <class T> [[gnu::always_inline]] inline Vector<T> through_relu(Vector<T> dh, Vector<T> h) {
  return h <= Vector<T>{} ? Vector<T>{} : dh;  // f' = 1 where h > 0, else 0
}

// The same for a tile of R rows and P vectors; `last` columns of the last vector exist.
template <class T, int R, int P>
[[gnu::always_inline]] inline void apply_derivative(Epilogue epilogue, Vector<T> (&dh)[R * P], const T* h, Index h_stride,
                                                    Index last) {
  for (int r = 0; r < R; ++r, h += h_stride) {
#pragma GCC unroll 8
    for (int p = 0; p < P; ++p) {
      const Vector<T> h_rp = p < P - 1 ? load(h + p * lanes<T>) : load_first(h + p * lanes<T>, last);
      Vector<T>& value = dh[r * P + p];
      value = epilogue == Epilogue::tanh_derivative ? through_tanh<T>(value, h_rp) : through_relu<T>(value, h_rp);
    }
  }
}

// v(t) = (1 - alpha) v(t-1) + alpha a(t), from carry = v(t-1). And back: da(t) = (1 - alpha) da(t+1) + alpha f'(v(t)) dh(t).
template <class T> [[gnu::always_inline]] inline Vector<T> leak(Vector<T> carry, Vector<T> value, Vector<T> alpha) {
  return alpha == broadcast(T(1)) ? value : fma(alpha, value - carry, carry);
}

// What is late of a tile of R rows and P vectors, whose sums have just been stored. One function for tiles of all sizes: there are
// many.
template <class T>
BPTT_ONE_FUNCTION void late_tile(const Affine<T>& s, Index R, Index P, Index row, Index column, Index last) {
  const bool back = is_derivative(s.late);
  for (Index r = row; r < row + R; ++r)
    for (Index p = 0; p < P; ++p) {
      const Index n = p < P - 1 ? lanes<T> : last, j = column + p * lanes<T>;
      const auto load_n = [n](const T* from) { return n == lanes<T> ? load(from) : load_first(from, n); };
      T* const out = s.out + r * s.out_stride + j;
      Vector<T> value[1] = {load_n(out)};
      if (back) {
        const Vector<T> h = load_n(s.h + r * s.h_stride + j);
        if (s.pull != T(0)) value[0] = fma(broadcast(s.pull), h, value[0]);
        value[0] = s.late == Epilogue::tanh_derivative ? through_tanh<T>(value[0], h) : through_relu<T>(value[0], h);
      }
      if (s.alpha != nullptr) value[0] = leak<T>(load_n(s.carry + r * s.carry_stride + j), value[0], load_n(s.alpha + j));
      if (!back) {
        store_first(s.carry_out + r * s.carry_stride + j, value[0], n);
        apply<T>(s.late, value);
      }
      store_first(out, value[0], n);
    }
}

}  // namespace
}  // namespace bptt::BPTT_ISA
