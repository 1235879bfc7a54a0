// exp, tanh and the logarithms, a vector at a time, each within 2 places of the correctly rounded value, but tanh of doubles within
// 3 (docs/reliability.md). Included by the kernels alone.
#pragma once

#include "kernels/simd.hpp"

namespace bptt::BPTT_ISA {
namespace {

// sum of c[k] x^k, by Horner's rule for the even and for the odd powers: two short chains instead of a long one
template <class T, int n>
[[gnu::always_inline]] inline Vector<T> polynomial(Vector<T> x, Vector<T> square, const T (&c)[n]) {
  Vector<T> p[2] = {broadcast(c[(n - 1) / 2 * 2]), broadcast(c[n / 2 * 2 - 1])};
#pragma GCC unroll 16
  for (int k = n - 3; k >= 0; --k) p[k % 2] = fma(p[k % 2], square, broadcast(c[k]));
  return fma(p[1], x, p[0]);
}

template <class T> struct Constants;

// q: (exp(r) - 1 - r) / r^2 on |r| <= ln(2)/2;  g: (atanh(s) - s) / s^3 in s^2, up to s = 1/3. Minimax, by Remez exchange.
template <> struct Constants<float> {
  static constexpr float log2_e = 1.44269504088896341f, ln2_high = 0.693359375f, ln2_low = -2.12194440054690583e-4f;
  static constexpr float round = 12582912.0f;  // 1.5 * 2^23: adding it leaves the nearest integer in the low bits
  static constexpr int mantissa = 23;
  static constexpr std::int32_t bias = 127;
  static constexpr float exp_zero = -87.3f;  // below: exp is below the smallest normal number
  static constexpr float tanh_one = -10.0f;  // below: tanh rounds to -1
  static constexpr float minus_half_ln2 = -0.34657359027997265f;
  static constexpr float q[] = {0.50000000269501713f, 0.16666576970026700f, 0.041666375133902483f, 0.0083631812376520448f,
                                0.0013941124021726353f};
  static constexpr float g[] = {0.33333333333560899f,  0.19999999802214697f,  0.14285742326463905f, 0.11109624710568311f,
                                0.091281933131939448f, 0.072187087705695576f, 0.095459250692092323f};
};

template <> struct Constants<double> {
  static constexpr double log2_e = 1.44269504088896340736, ln2_high = 6.93147180369123816490e-01,
                          ln2_low = 1.90821492927058770002e-10;
  static constexpr double round = 6755399441055744.0;  // 1.5 * 2^52
  static constexpr int mantissa = 52;
  static constexpr std::int64_t bias = 1023;
  static constexpr double exp_zero = -708.3;
  static constexpr double tanh_one = -20.0, minus_half_ln2 = -0.34657359027997265471;
  static constexpr double q[] = {0.50000000000000010223,     0.16666666666666674531,   0.041666666666624123685,
                                 0.0083333333333222064253,   0.0013888888917215464878, 0.00019841269886593242623,
                                 0.000024801521293631156394, 2.7557242334461311045e-6, 2.7620089410422870213e-7,
                                 2.5110050643311260268e-8};
  static constexpr double g[] = {0.33333333333333333330,  0.20000000000000008112,  0.14285714285710837288,
                                 0.11111111111684888482,  0.09090909041640467016,  0.076923101841915416494,
                                 0.066665869730046060291, 0.058840241539217825292, 0.052399264641756045416,
                                 0.049728455893803871317, 0.031601039600740241623, 0.076270136060174357402};
};

// 2^k, from the low bits of round + k.
template <class T> [[gnu::always_inline]] inline Vector<T> power_of_two(Vector<T> shifted) {
  using C = Constants<T>;
  return (Vector<T>)(((Unsigned<T>)shifted << C::mantissa) + (Unsigned<T>)(Bits<T>{} + (C::bias << C::mantissa)));
}

// For x <= 0 (softmax and sigmoid need no other); NaN stays NaN. exp(x) = 2^k exp(r), k = round(x / ln 2), r what is left.
template <class T> [[gnu::always_inline]] inline Vector<T> exp(Vector<T> x) {
  using C = Constants<T>;
  const Vector<T> shifted = fma(x, broadcast(C::log2_e), broadcast(C::round));
  const Vector<T> k = shifted - broadcast(C::round);
  const Vector<T> r = fma(k, broadcast(-C::ln2_low), fma(k, broadcast(-C::ln2_high), x));
  const Vector<T> square = r * r, fraction = fma(square, polynomial<T>(r, square, C::q), r);
  return x < broadcast(C::exp_zero) ? Vector<T>{} : power_of_two<T>(shifted) * (fraction + broadcast(T(1)));
}

// The q of exp(2 s) - 1 = 2 s + s^2 sum of q'[k] s^k: the same numbers times powers of two.
template <class T> struct OfTwice {
  static constexpr int n = sizeof(Constants<T>::q) / sizeof(T);
  T q[n] = {};
  constexpr OfTwice() {
    T power = 4;
    for (int k = 0; k < n; ++k, power *= 2) q[k] = power * Constants<T>::q[k];
  }
};

// tanh |x| = -m / (2 + m), with m = exp(-2 |x|) - 1: no cancellation near 0, no overflow, one division. The argument is reduced to
// 2 s = -2 |x| - k ln 2. A step that rounds once does: where the error of ln 2 counts k times, exp(-2 |x|) is 2^k times as small.
template <class T> [[gnu::always_inline]] inline Vector<T> tanh(Vector<T> x) {
  using C = Constants<T>;
  static constexpr OfTwice<T> twice;
  constexpr T round = C::round + C::bias;  // leaves the bits of 2^k's exponent
  const Bits<T> sign = bits<T>(broadcast(T(-0.0)));
  const Vector<T> minus = larger<T>(broadcast(C::tanh_one), (Vector<T>)(bits<T>(x) | sign));
  const Vector<T> shifted = fma(minus, broadcast(2 * C::log2_e), broadcast(round));
  const Vector<T> k = shifted - broadcast(round);
  Vector<T> s;
  if constexpr (fma_rounds_once)
    s = fma(k, broadcast(C::minus_half_ln2), minus);
  else
    s = fma(k, broadcast(-C::ln2_low / 2), fma(k, broadcast(-C::ln2_high / 2), minus));
  const Vector<T> square = s * s, fraction = fma(square, polynomial<T>(s, square, twice.q), s + s);
  const Vector<T> scale = (Vector<T>)((Unsigned<T>)shifted << C::mantissa);
  const Vector<T> m = fma(scale, fraction, scale - broadcast(T(1)));
  return (Vector<T>)((bits<T>(m) & ~sign) | (bits<T>(x) & sign)) / (m + broadcast(T(2)));
}

// 2 atanh(s) = log((1 + s) / (1 - s)), for 0 <= s <= 1/3
template <class T> [[gnu::always_inline]] inline Vector<T> twice_atanh(Vector<T> s) {
  const Vector<T> z = s * s;
  const Vector<T> twice = s + s;
  return fma(twice * z, polynomial<T>(z, z * z, Constants<T>::g), twice);
}

// log(1 + e), for 0 <= e <= 1: exact where e is tiny
template <class T> [[gnu::always_inline]] inline Vector<T> log1p(Vector<T> e) { return twice_atanh<T>(e / (e + broadcast(T(2)))); }

// log(x), for normal x >= 1; NaN stays NaN. x = 2^k m with 1 <= m < 2.
[[gnu::always_inline]] inline Vector<double> log(Vector<double> x) {
  using C = Constants<double>;
  const Bits<double> one = Bits<double>{} + (C::bias << C::mantissa);
  const Bits<double> mantissa = Bits<double>{} + ((std::int64_t(1) << C::mantissa) - 1);
  const Vector<double> m = (Vector<double>)((bits<double>(x) & mantissa) | one);
  // 2^52 + (exponent bits) is a double whose low bits are the integer
  const Bits<double> exponent = ((bits<double>(x) >> C::mantissa) & 2047) | (Bits<double>{} + (std::int64_t(1075) << C::mantissa));
  const Vector<double> k = (Vector<double>)exponent - broadcast(4503599627370496.0 + double(C::bias));
  const Vector<double> fraction = twice_atanh<double>((m - broadcast(1.0)) / (m + broadcast(1.0)));
  const Vector<double> y = fma(k, broadcast(C::ln2_high), fma(k, broadcast(C::ln2_low), fraction));
  return x == x ? y : x;
}

}  // namespace
}  // namespace bptt::BPTT_ISA
