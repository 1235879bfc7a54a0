// One vector register of the instruction set being compiled, as a value. Included by the kernels alone.
#pragma once

#include <cstddef>
#include <cstdint>

#if defined(__x86_64__) || defined(_M_X64)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

namespace bptt::BPTT_ISA {
namespace {

#if defined(__AVX512F__)
constexpr int vector_bytes = 64;
constexpr int registers = 32;
#elif defined(__AVX2__)
constexpr int vector_bytes = 32;
constexpr int registers = 16;
#elif defined(__aarch64__)
constexpr int vector_bytes = 16;
constexpr int registers = 32;
#else
constexpr int vector_bytes = 16;
constexpr int registers = 16;
#endif

template <class T> struct Simd;

template <> struct Simd<float> {
  typedef float Vector __attribute__((vector_size(vector_bytes)));
  typedef std::int32_t Bits __attribute__((vector_size(vector_bytes)));
  typedef std::uint32_t Unsigned __attribute__((vector_size(vector_bytes)));
  typedef float Half __attribute__((vector_size(vector_bytes / 2)));
  typedef float Small __attribute__((vector_size(16)));
};

template <> struct Simd<double> {
  typedef double Vector __attribute__((vector_size(vector_bytes)));
  typedef std::int64_t Bits __attribute__((vector_size(vector_bytes)));
  typedef std::uint64_t Unsigned __attribute__((vector_size(vector_bytes)));
  typedef double Small __attribute__((vector_size(16)));
};

template <class T> using Vector = typename Simd<T>::Vector;
template <class T> using Bits = typename Simd<T>::Bits;
template <class T> using Unsigned = typename Simd<T>::Unsigned;  // its sums may wrap
template <class T> constexpr std::ptrdiff_t lanes = vector_bytes / std::ptrdiff_t(sizeof(T));

template <class T> [[gnu::always_inline]] inline Vector<T> load(const T* from) {
  Vector<T> v;
  __builtin_memcpy(&v, from, sizeof v);
  return v;
}

template <class T> [[gnu::always_inline]] inline void store(T* to, Vector<T> v) { __builtin_memcpy(to, &v, sizeof v); }

// The same number in every lane. (x - 0 is x to the bit, for -0 and NaN too; compilers make it one broadcast.)
template <class T> [[gnu::always_inline]] inline Vector<T> broadcast(T x) { return x - Vector<T>{}; }

template <class T> [[gnu::always_inline]] inline Bits<T> bits(Vector<T> v) { return (Bits<T>)v; }

// a b + c, rounded once where the instruction set has it.
#if defined(__AVX2__) || defined(__aarch64__)
constexpr bool fma_rounds_once = true;
#else
constexpr bool fma_rounds_once = false;
#endif
#if defined(__AVX512F__)
[[gnu::always_inline]] inline Vector<float> fma(Vector<float> a, Vector<float> b, Vector<float> c) {
  return (Vector<float>)_mm512_fmadd_ps((__m512)a, (__m512)b, (__m512)c);
}
[[gnu::always_inline]] inline Vector<double> fma(Vector<double> a, Vector<double> b, Vector<double> c) {
  return (Vector<double>)_mm512_fmadd_pd((__m512d)a, (__m512d)b, (__m512d)c);
}
#elif defined(__AVX2__)
[[gnu::always_inline]] inline Vector<float> fma(Vector<float> a, Vector<float> b, Vector<float> c) {
  return (Vector<float>)_mm256_fmadd_ps((__m256)a, (__m256)b, (__m256)c);
}
[[gnu::always_inline]] inline Vector<double> fma(Vector<double> a, Vector<double> b, Vector<double> c) {
  return (Vector<double>)_mm256_fmadd_pd((__m256d)a, (__m256d)b, (__m256d)c);
}
#elif defined(__aarch64__)
[[gnu::always_inline]] inline Vector<float> fma(Vector<float> a, Vector<float> b, Vector<float> c) {
  return (Vector<float>)vfmaq_f32((float32x4_t)c, (float32x4_t)a, (float32x4_t)b);
}
[[gnu::always_inline]] inline Vector<double> fma(Vector<double> a, Vector<double> b, Vector<double> c) {
  return (Vector<double>)vfmaq_f64((float64x2_t)c, (float64x2_t)a, (float64x2_t)b);
}
#else
[[gnu::always_inline]] inline Vector<float> fma(Vector<float> a, Vector<float> b, Vector<float> c) { return a * b + c; }
[[gnu::always_inline]] inline Vector<double> fma(Vector<double> a, Vector<double> b, Vector<double> c) { return a * b + c; }
#endif

#if defined(__AVX512F__)
[[gnu::always_inline]] inline Vector<float> square_root(Vector<float> x) {
  return (Vector<float>)_mm512_maskz_sqrt_ps(__mmask16(-1), (__m512)x);
}
[[gnu::always_inline]] inline Vector<double> square_root(Vector<double> x) {
  return (Vector<double>)_mm512_maskz_sqrt_pd(__mmask8(-1), (__m512d)x);
}
#elif defined(__AVX2__)
[[gnu::always_inline]] inline Vector<float> square_root(Vector<float> x) { return (Vector<float>)_mm256_sqrt_ps((__m256)x); }
[[gnu::always_inline]] inline Vector<double> square_root(Vector<double> x) { return (Vector<double>)_mm256_sqrt_pd((__m256d)x); }
#elif defined(__SSE2__)
[[gnu::always_inline]] inline Vector<float> square_root(Vector<float> x) { return (Vector<float>)_mm_sqrt_ps((__m128)x); }
[[gnu::always_inline]] inline Vector<double> square_root(Vector<double> x) { return (Vector<double>)_mm_sqrt_pd((__m128d)x); }
#elif defined(__aarch64__)
[[gnu::always_inline]] inline Vector<float> square_root(Vector<float> x) { return (Vector<float>)vsqrtq_f32((float32x4_t)x); }
[[gnu::always_inline]] inline Vector<double> square_root(Vector<double> x) { return (Vector<double>)vsqrtq_f64((float64x2_t)x); }
#else
[[gnu::always_inline]] inline Vector<float> square_root(Vector<float> x) {
  for (std::ptrdiff_t j = 0; j < lanes<float>; ++j) x[j] = __builtin_sqrtf(x[j]);
  return x;
}
[[gnu::always_inline]] inline Vector<double> square_root(Vector<double> x) {
  for (std::ptrdiff_t j = 0; j < lanes<double>; ++j) x[j] = __builtin_sqrt(x[j]);
  return x;
}
#endif

// The first n lanes (0 <= n <= lanes): nothing beyond them is read or written; the others load as 0. A whole vector is stored
// without a mask: processors do not forward masked stores to the loads that follow.
#if defined(__AVX512F__)
[[gnu::always_inline]] inline Vector<float> load_first(const float* from, std::ptrdiff_t n) {
  return (Vector<float>)_mm512_maskz_loadu_ps(__mmask16((1u << n) - 1), from);
}
[[gnu::always_inline]] inline Vector<double> load_first(const double* from, std::ptrdiff_t n) {
  return (Vector<double>)_mm512_maskz_loadu_pd(__mmask8((1u << n) - 1), from);
}
[[gnu::always_inline]] inline void store_first(float* to, Vector<float> v, std::ptrdiff_t n) {
  if (n == lanes<float>) return store(to, v);
  _mm512_mask_storeu_ps(to, __mmask16((1u << n) - 1), (__m512)v);
}
[[gnu::always_inline]] inline void store_first(double* to, Vector<double> v, std::ptrdiff_t n) {
  if (n == lanes<double>) return store(to, v);
  _mm512_mask_storeu_pd(to, __mmask8((1u << n) - 1), (__m512d)v);
}
#else
template <class T> [[gnu::always_inline]] inline Vector<T> load_first(const T* from, std::ptrdiff_t n) {
  if (n == lanes<T>) return load(from);
  T lane[lanes<T>] = {};
  for (std::ptrdiff_t j = 0; j < n; ++j) lane[j] = from[j];
  return load(lane);
}
template <class T> [[gnu::always_inline]] inline void store_first(T* to, Vector<T> v, std::ptrdiff_t n) {
  if (n == lanes<T>) return store(to, v);
  T lane[lanes<T>];
  store(lane, v);
  for (std::ptrdiff_t j = 0; j < n; ++j) to[j] = lane[j];
}
#endif

template <class T> [[gnu::always_inline]] inline Vector<T> absolute(Vector<T> x) {
  constexpr auto magnitude = sizeof(T) == 4 ? std::int64_t(0x7fffffff) : std::int64_t(0x7fffffffffffffff);
  using Bit = decltype(Bits<T>{}[0] + 0);
  return (Vector<T>)(bits<T>(x) & Bit(magnitude));
}

template <class T> [[gnu::always_inline]] inline Vector<T> with_sign_of(Vector<T> magnitude, Vector<T> sign) {
  return (Vector<T>)(bits<T>(magnitude) | (bits<T>(sign) ^ bits<T>(absolute<T>(sign))));
}

// b where a or b is NaN.
template <class T> [[gnu::always_inline]] inline Vector<T> larger(Vector<T> a, Vector<T> b) { return a > b ? a : b; }
#if defined(__AVX512F__)
template <> [[gnu::always_inline]] inline Vector<float> larger<float>(Vector<float> a, Vector<float> b) {
  return (Vector<float>)_mm512_maskz_max_ps(__mmask16(-1), (__m512)a, (__m512)b);
}
#elif defined(__AVX2__)
template <> [[gnu::always_inline]] inline Vector<float> larger<float>(Vector<float> a, Vector<float> b) {
  return (Vector<float>)_mm256_max_ps((__m256)a, (__m256)b);
}
#endif

// Numbers 0, 1, ..., n - 1 as template arguments, as a shuffle wants them.
template <int... i> struct Numbers {};
template <int n, int... i> struct CountTo : CountTo<n - 1, n - 1, i...> {};
template <int... i> struct CountTo<0, i...> {
  using type = Numbers<i...>;
};

// Of two rows whose numbers differ by d alone (a power of two): the blocks of d lanes that they exchange in a transposition.
template <class T, int d, int... c>
[[gnu::always_inline]] inline void exchange(Vector<T>& a, Vector<T>& b, Numbers<c...>) {
  constexpr int n = int(lanes<T>);
#if defined(__clang__)
  const Vector<T> upper = __builtin_shufflevector(a, b, ((c & d) ? n + c - d : c)...);
  b = __builtin_shufflevector(a, b, ((c & d) ? n + c : c + d)...);
#else
  const Vector<T> upper = __builtin_shuffle(a, b, Bits<T>{((c & d) ? n + c - d : c)...});
  b = __builtin_shuffle(a, b, Bits<T>{((c & d) ? n + c : c + d)...});
#endif
  a = upper;
}

template <class T, int... c> [[gnu::always_inline]] inline Bits<T> lane_numbers(Numbers<c...>) { return Bits<T>{c...}; }

// The first n lanes; the others hold `other`.
template <class T> [[gnu::always_inline]] inline Vector<T> load_or(const T* from, std::ptrdiff_t n, T other) {
  if (n >= lanes<T>) return load(from);
  using Bit = decltype(Bits<T>{}[0] + 0);
  return lane_numbers<T>(typename CountTo<int(lanes<T>)>::type()) < Bit(n) ? load_first(from, n) : broadcast(other);
}

// A square of numbers, a vector a row.
template <class T, int d = 1> [[gnu::always_inline]] inline void transpose(Vector<T> (&square)[lanes<T>]) {
  if constexpr (d < lanes<T>) {
#pragma GCC unroll 16
    for (int r = 0; r < lanes<T>; ++r)
      if ((r & d) == 0) exchange<T, d>(square[r], square[r + d], typename CountTo<int(lanes<T>)>::type());
    transpose<T, 2 * d>(square);
  }
}

// All lanes into one: quarter by quarter, then what is left of a small register.
template <class T, class Operation> [[gnu::always_inline]] inline T fold(Vector<T> v, const Operation& operation) {
  using Small = typename Simd<T>::Small;
  Small part[sizeof v / sizeof(Small)];
  __builtin_memcpy(part, &v, sizeof v);
  Small all = part[0];
  for (std::size_t i = 1; i < sizeof v / sizeof(Small); ++i) all = operation(all, part[i]);
  T one = all[0];
  for (std::size_t j = 1; j < sizeof all / sizeof one; ++j) one = operation(one, T(all[j]));
  return one;
}

template <class T> [[gnu::always_inline]] inline T sum(Vector<T> v) {
  return fold<T>(v, [](auto a, auto b) { return a + b; });
}

template <class T> [[gnu::always_inline]] inline T largest(Vector<T> v) {
  return fold<T>(v, [](auto a, auto b) { return a > b ? a : b; });
}

// As many numbers as a vector has in double precision.
[[gnu::always_inline]] inline Vector<double> load_as_double(const double* from) { return load(from); }
[[gnu::always_inline]] inline Vector<double> load_as_double(const float* from) {
  Simd<float>::Half half;
  __builtin_memcpy(&half, from, sizeof half);
  return __builtin_convertvector(half, Vector<double>);
}

// The lanes of v in double precision, added up lane by lane into total (which holds the upper lanes' sums on the lower).
[[gnu::always_inline]] inline void add_in_double(Vector<double>& total, Vector<double> v) { total += v; }
[[gnu::always_inline]] inline void add_in_double(Vector<double>& total, Vector<float> v) {
  Simd<float>::Half half[2];
  __builtin_memcpy(half, &v, sizeof v);
  total += __builtin_convertvector(half[0], Vector<double>) + __builtin_convertvector(half[1], Vector<double>);
}

}  // namespace
}  // namespace bptt::BPTT_ISA
