// exp, tanh and the logarithms to some 95 bits: what the kernels' functions are compared with. Pairs of doubles, whose operations
// are off by at most 10 u^2 each, u = 2^-53 (Joldes, Muller, Popescu: "Tight and rigorous error bounds", 2017). No function here
// adds up more than 200 u^2, so that each is within 2^-98 of the truth. Plain arithmetic, compiled without contraction.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>

namespace exact {

/// 2^exponent (high + low), where high is the sum rounded to double.
struct Number {
  double high = 0, low = 0;
  int exponent = 0;
};

inline Number two_sum(double a, double b) {
  const double s = a + b, part = s - a;
  return {s, (a - (s - part)) + (b - part)};
}

inline Number quick_sum(double a, double b) {  // |a| >= |b|
  const double s = a + b;
  return {s, b - (s - a)};
}

// The exponents of two numbers are the same, or 0.
inline Number operator+(Number a, Number b) {
  const Number s = two_sum(a.high, b.high), t = two_sum(a.low, b.low);
  const Number u = quick_sum(s.high, s.low + t.high);
  return quick_sum(u.high, u.low + t.low);
}

inline Number operator-(Number a) { return {-a.high, -a.low}; }

inline Number operator*(Number a, Number b) {
  const double p = a.high * b.high, e = std::fma(a.high, b.high, -p);
  return quick_sum(p, e + (a.high * b.low + a.low * b.high));
}

inline Number operator/(Number a, Number b) {
  const double first = a.high / b.high;
  Number rest = a + -(b * Number{first});
  const double second = rest.high / b.high;
  rest = rest + -(b * Number{second});
  return quick_sum(first, second) + Number{rest.high / b.high};
}

// exp(x) - 1, for |x| <= 0.7: Taylor's series of x / 512, from which (1 + e)^2 - 1 = e (2 + e) leads back in 9 steps. The terms
// from the sixth power on are below 2^-57 of the sum, so that doubles do for them; the first one left out is below 2^-107.
inline Number exp_minus_1(Number x) {
  static const Number third = Number{1} / Number{3}, fifth = Number{1} / Number{5};
  const Number y = {x.high / 512, x.low / 512};
  const double z = y.high;
  const Number tail = quick_sum(1, z / 6 * (1 + z / 7 * (1 + z / 8 * (1 + z / 9 * (1 + z / 10)))));
  Number e = Number{1} + y * fifth * tail;
  e = Number{1} + Number{y.high / 4, y.low / 4} * e;
  e = Number{1} + y * third * e;
  e = Number{1} + Number{y.high / 2, y.low / 2} * e;
  e = y * e;
  for (int i = 0; i < 9; ++i) e = e * (Number{2} + e);
  return e;
}

// x = k ln 2 + r. ln 2 in three parts; k times either of the first two is exact for |k| < 2^12.
inline Number reduced(Number x, double k) {
  const Number r = two_sum(x.high - k * 0x1.62e42fefa3000p-1, -k * 0x1.3de6af278e000p-42);
  return r + Number{x.low} + Number{-k * 0x1.9cc01f97b57a0p-83};
}

inline Number exp(double x) {
  const double k = std::nearbyint(x * 1.4426950408889634);
  Number e = Number{1} + exp_minus_1(reduced({x}, k));
  e.exponent = int(k);
  return e;
}

// (exp(2x) - 1) / (exp(2x) + 1)
inline Number tanh(double x) {
  if (std::abs(x) > 40) return quick_sum(std::copysign(1.0, x), std::copysign(0x1p-115, -x));  // 1 - tanh(40) = 2^-114.4
  if (std::abs(x) < 0x1p-28) {                                                                 // x - x^3 / 3 + 2 x^5 / 15
    const double square = x * x;
    return quick_sum(x, -x * square * (1 / 3.0 - square * (2 / 15.0)));
  }
  const double twice = 2 * std::abs(x), k = twice > 0.7 ? std::nearbyint(twice * 1.4426950408889634) : 0;
  Number e = exp_minus_1(reduced({twice}, k));
  if (k != 0) {
    const double power = std::ldexp(1.0, int(k));
    e = Number{power * e.high, power * e.low} + Number{power - 1};
  }
  const Number y = e / (e + Number{2});
  return x < 0 ? -y : y;
}

// log(1 + e) = y + 2 d / (2 + ...), the next step of Halley's method from a y that is right to double. 0 <= e <= 1.
inline Number log_1_plus(double e) {
  if (e < 0x1p-60) return quick_sum(e, -e * e / 2);
  const Number y = {std::log1p(e)}, got = exp_minus_1(y);
  const Number middle = Number{1} + (Number{e} + got) * Number{0.5};
  return y + (Number{e} + -got) / middle;
}

// x >= 1
inline Number log(double x) {
  if (x <= 2) return log_1_plus(x - 1);
  const double first = std::log(x);
  const Number got = exp(first);
  const Number wanted = {std::ldexp(x, -got.exponent)};
  return Number{first} + (wanted + -Number{got.high, got.low}) / ((wanted + Number{got.high, got.low}) * Number{0.5});
}

/// high + low, rounded once to T: a sum rounded to odd in double is rounded right by the conversion that follows.
template <class T> T nearest(double high, double low) {
  const Number s = two_sum(high, low);
  if constexpr (sizeof(T) == sizeof(double)) return s.high;
  std::int64_t bits;
  std::memcpy(&bits, &s.high, sizeof bits);
  if (s.low != 0 && bits % 2 == 0) bits += (s.low > 0) == (s.high > 0) ? 1 : -1;
  double odd;
  std::memcpy(&odd, &bits, sizeof odd);
  return T(odd);
}

}  // namespace exact
